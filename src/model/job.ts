import type { Bandwidth } from './bandwidth.ts'
import type { BackupType, ProofLevel } from './backup.ts'
import type { DatabaseSourceSettings } from './databases.ts'
import type { Retention } from './retention.ts'

/** A job as configured, every default filled in. Sources and vaults are opened from it by app.ts. */
export interface Job {
  name: string
  enabled: boolean
  source: SourceSettings
  /** Names of configured vaults; each gets its own backup. */
  vaults: string[]
  /** How many of the vaults have to succeed, and how many are written at once; all of them, one after the other, by default. */
  vaultStrategy?: { strategy: 'all' | 'any' | 'priority'; concurrency?: number; read?: 'once' | 'each' }
  type: BackupType | 'auto'
  fullEvery?: string
  /** Checked and kept as it is; the scheduler reads it. */
  schedule?: ScheduleSettings
  /** The log of its source is followed all the time. */
  continuous?: boolean
  retention?: Retention
  verify: {
    afterBackup: ProofLevel
    restoreTest?: { every: string; level: ProofLevel }
    assert: string[]
    shrink?: number
  }
  bandwidth?: Bandwidth
  /** Names of configured notifiers; all of them where the job names none. */
  notify: string[]
  /** It names none: it hears also of notifiers that are added later. */
  notifyAll?: true
  hooks: { before: string[]; after: string[]; onFailure: string[] }
  tags: string[]
  /** Only workers that have all of these run it. */
  labels: string[]
}

export interface ScheduleSettings {
  cron: string
  timezone?: string
  missed: 'once' | 'skip'
  jitter?: string
}

export type SourceSettings = ({ type: 'files' } & FilesSettings) | DatabaseSourceSettings | S3dbSourceSettings

/** Its keys are those of s3db.js and are read where that is loaded. */
export interface S3dbSourceSettings {
  type: 's3db'
  /** As configured, without the type; secrets are `Secret`s. */
  options: Record<string, unknown>
}

export interface FilesSettings {
  paths: string[]
  exclude?: string[]
  include?: string[]
  excludeIfPresent?: string[]
  /** Read `.holdfastignore` files; true by default. */
  ignoreFiles?: boolean
  oneFileSystem?: boolean
  /** Leave out files larger than this, such as `2g`. */
  excludeLargerThan?: string
  excludeHidden?: boolean
  xattrs?: boolean
  /** Copy SQLite databases by the backup API instead of their bytes; true by default. */
  sqlite?: boolean
}
