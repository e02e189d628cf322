export { files, type FilesEnvironment } from './source.ts'
