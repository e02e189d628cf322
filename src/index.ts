/** The library's door. */
export { createApp, parseStorageUrl, type App, type AppOptions, type VaultOpening } from './app.ts'
export { AppError, isAppError, type ErrorCode } from './base/errors.ts'
export { loadConfig, type LoadedConfig, type LoadOptions } from './config/load.ts'
export type { Backup, BackupType, ProofLevel } from './model/backup.ts'
export type { Entry, RestoredEntry, SourceEntry } from './model/entry.ts'
export type { ProgressEvent, Warning } from './model/progress.ts'
export type { Run, RunStatus } from './model/run.ts'
export type { Settings, Secret } from './model/settings.ts'
export type { Source, SourceReading, Target } from './model/source.ts'
export type { Storage, StoredObject } from './model/storage.ts'
export type { Vault } from './model/vault.ts'
export {
  open,
  type Cancel,
  type GivenVault,
  type Holdfast,
  type OpenOptions,
  type SourceBackup,
} from './library/open.ts'
export type { Operation, RunEvent } from './library/operation.ts'
export type { Counters, Stage } from './model/progress.ts'
export type { Retention } from './model/retention.ts'
export type { RestoreOutcome, SourceCheck } from './model/source.ts'
export { BackupError, BackupPlugin } from './s3db-plugin/index.ts'
export type * from './s3db-plugin/types.ts'
export { connectS3db } from './sources/s3db/connect.ts'
export { openClient as s3dbClient, s3db, type ClientOpener, type S3dbSettings } from './sources/s3db/source.ts'
export { s3dbTarget, type S3dbTargetSettings } from './sources/s3db/target.ts'
