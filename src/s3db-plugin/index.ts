export { BackupError } from './errors.ts'
export { BackupPlugin } from './plugin.ts'
export type * from './types.ts'
