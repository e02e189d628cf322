export { files, type FilesEnvironment } from './source.ts'
export { filesTarget } from './target.ts'
export type { FilesTargetSettings, Overwrite } from './target-settings.ts'
