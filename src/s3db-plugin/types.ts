/** What the plugin takes and gives. Names and shapes are those of the plugin that comes with s3db.js. */
import type { ProofLevel } from '../model/backup.ts'
import type { ObjectClient } from '../sources/s3db/object-client.ts'

/** What is used of a database: any of s3db.js 21 fits. */
export interface DatabaseLike {
  /** Structural, so that s3db's own types fit: checked when it is used. */
  readonly client: object
  connect?(): Promise<unknown>
}

export type CompressionType = 'none' | 'gzip' | 'brotli' | 'deflate' | 'zstd'

export interface EncryptionOptions {
  /** `AES-256-GCM`, in any case. */
  algorithm: string
  /** A password; or 32 bytes as base64 or hex, which are used as they are if there is no `keyDerivation`. */
  key: string
  keyDerivation?: { algorithm?: string; iterations?: number; salt?: string }
}

export interface RetentionPolicy {
  daily?: number
  weekly?: number
  monthly?: number
  yearly?: number
}

export interface FilesystemConfig {
  /** Folder, with `{date} {time} {year} {month} {day} {type} {backupId}`, in UTC. */
  path: string
  permissions?: number
  directoryPermissions?: number
  compression?: CompressionType
}

export interface S3Config {
  /** That of the database where absent. */
  bucket?: string
  /** As for the file system; `backups/{date}/` where absent. */
  path?: string
  storageClass?: string
  serverSideEncryption?: 'AES256' | 'aws:kms'
  kmsKeyId?: string
  /** An S3Client of `@aws-sdk/client-s3`, or a client of s3db.js. */
  client?: object
  region?: string
  endpoint?: string
  forcePathStyle?: boolean
  accessKeyId?: string
  secretAccessKey?: string
  sessionToken?: string
  compression?: CompressionType
}

export type DestinationOptions = { driver: 'filesystem'; config: FilesystemConfig } | { driver: 's3'; config: S3Config }

export interface MultiConfig {
  /** `all` unless said. */
  strategy?: 'all' | 'any' | 'priority'
  /** How many destinations are written at once; 3 unless said. */
  concurrency?: number
  destinations: DestinationOptions[]
}

export type BackupHook = (type: string, context: BackupHookContext) => unknown
export type RestoreHook = (backupId: string, context: RestoreHookContext) => unknown

export interface BackupHookContext extends Partial<BackupResult> {
  backupId: string
  error?: Error
}

export interface RestoreHookContext extends RestoreOptions {
  restored?: RestoredResource[]
  error?: Error
}

export interface BackupPluginOptions {
  driver?: 'filesystem' | 's3' | 'multi'
  config?: FilesystemConfig | S3Config | MultiConfig | Record<string, never>
  retention?: RetentionPolicy
  include?: string[] | null
  exclude?: string[]
  compression?: CompressionType
  encryption?: EncryptionOptions | null
  verification?: boolean
  tempDir?: string
  verbose?: boolean
  /** Reads of the database in flight, 1 to 64. */
  parallelism?: number
  onBackupStart?: BackupHook | null
  onBackupComplete?: BackupHook | null
  onBackupError?: BackupHook | null
  onRestoreStart?: RestoreHook | null
  onRestoreComplete?: RestoreHook | null
  onRestoreError?: RestoreHook | null
}

export interface BackupOptions {
  /** Names or patterns; what `include` says where absent. */
  resources?: string[]
  compression?: CompressionType
  /** Kept with the backup, readable without its key. */
  metadata?: Record<string, unknown>
  signal?: AbortSignal
}

/** Where one copy lies. */
export interface DriverInfo {
  driver: 'filesystem' | 's3'
  /** Position among the destinations of `multi`. */
  destination?: number
  status: 'success' | 'failed' | 'missing'
  error?: string
  /** Of the archive: a path, or a key in the bucket. Further parts of a large one follow its name. */
  path?: string
  manifestPath?: string
  bucket?: string
  key?: string
  manifestKey?: string
  storageClass?: string
  size?: number
  uploadedAt?: string
}

export interface BackupResult {
  id: string
  type: string
  /** Stored bytes of one copy. */
  size: number
  /** Milliseconds. */
  duration: number
  /** SHA-256 of the stored archive, hex. */
  checksum: string
  /** One, or a list with the driver `multi`. */
  driverInfo: DriverInfo | DriverInfo[]
}

export interface BackupRecord extends BackupResult {
  /** When the database was read, ISO 8601. */
  timestamp: string
  /** The date of it. */
  createdAt: string
  resources: string[]
  /** Records by resource. */
  records: Record<string, number>
  /** `partial`: copies are missing that the strategy `all` asks for. */
  status: 'in_progress' | 'completed' | 'partial' | 'failed'
  error: string | null
  compression: string
  compressed: boolean
  encrypted: boolean
  /** The backup that it builds on, and all that restoring it reads. */
  parent: string | null
  needs: string[]
  proof: ProofLevel
  metadata: Record<string, unknown>
  path?: string
  manifestPath?: string
}

export interface ListBackupsOptions {
  /** 50 unless said. */
  limit?: number
  /** How ids begin. */
  prefix?: string
  /** Both inclusive; a date without a time means the whole day, in UTC. */
  startDate?: string | number | Date
  endDate?: string | number | Date
}

export interface RestoreOptions {
  /** Replace what is there and differs; else nothing is written if anything does. */
  overwrite?: boolean
  /** `merge` is `overwrite: true`; `replace` also removes what the backup does not have; `skip` keeps what is there. */
  mode?: 'merge' | 'replace' | 'skip'
  resources?: string[]
  /** A database of s3db.js, a connection string, or the name of a database beside this one; this one where absent. */
  target?: DatabaseLike | string
  dryRun?: boolean
  signal?: AbortSignal
}

export interface RestoredResource {
  name: string
  /** Records that were written, or with `dryRun` would be. */
  recordsRestored: number
  /** Records of the backup. */
  totalRecords: number
}

export interface RestoreResult {
  backupId: string
  restored: RestoredResource[]
  dryRun: boolean
  /** What happened to objects: records, references of partitions, content. */
  effects: Record<string, number>
}

export type Check = 'pass' | 'fail'

export interface Validation {
  backupId: string
  timestamp: string
  checks: { exists?: Check; integrity?: Check; restore?: Check; completeness?: Check }
  overall: 'pass' | 'fail' | 'error'
  /** Why a check failed, in words. */
  problems: string[]
  error?: string
}

export interface ValidationReport {
  timestamp: string
  totalBackups: number
  passed: number
  failed: number
  errors: number
  validations: Validation[]
}

export interface Health {
  ok: boolean
  problems: string[]
  latest: BackupRecord | null
  hoursOld: number | null
}

export interface CleanupResult {
  count: number
  removed: string[]
  bytesFreed: number
}

export type { ObjectClient }
