import type { Backup, BackupFilter } from './backup.ts'
import type { JobFigures } from './board.ts'
import type { Usage } from './usage.ts'
import type { ServerStore } from './server-store.ts'
import type { ServiceStore } from './service.ts'
import type { IncidentStore } from './incident.ts'
import type { Run, RunKind, RunStatus } from './run.ts'

/**
 * The database of runs and backups: a cache and a history. Several processes use it at once. Losing it loses no
 * backup: `connect` fills it again from the vaults.
 */
export interface Catalogue {
  /** What the scheduler and the workers keep. */
  readonly service: ServiceStore
  /** What is wrong, and was. */
  readonly incidents: IncidentStore
  /** What the API keeps. */
  readonly server: ServerStore
  /** Stores the run whole, new or changed. */
  saveRun(run: Run): void
  run(id: string): Run | undefined
  /** Asks whoever works on the run to stop; `by` says who asks. */
  askToCancel(id: string, by: string): void
  /** Who asked, if somebody did. */
  cancelAsked(id: string): string | undefined
  /** Asks whoever works on the run to pass no more than so many KiB a second, or as much as it can. */
  askToLimit(id: string, rate: number | 'none'): void
  limitAsked(id: string): number | 'none' | undefined
  /** Newest first. */
  runs(filter?: RunFilter): Run[]

  /** Newest first; ties by id. */
  runsPage(filter: RunFilter & { before?: After; limit: number }): Run[]
  /** Newest first; `before.id` is `VAULT\nID`. */
  backupsPage(filter: {
    job?: string
    vault?: string
    tag?: string
    id?: string
    since?: Date
    until?: Date
    before?: After
    limit: number
  }): Backup[]
  /** Of each job that has runs or backups. */
  board(since: Date): Map<string, JobFigures>

  saveUsage(vault: string, usage: Usage): void
  /** Oldest first. */
  usage(vault: string, since: Date): Usage[]

  /** Makes the known backups of a vault exactly these. */
  replaceBackups(vault: string, backups: Backup[]): void
  saveBackup(backup: Backup): void
  removeBackups(vault: string, ids: string[]): void
  /** Oldest first. */
  backups(filter?: BackupFilter & { vault?: string }): Backup[]

  /**
   * Takes the lease called `name`, or gives undefined while a live owner has it. A lease ends by release, when its owner's
   * process is gone, or when it was not renewed in time: nothing is left behind to clean up by hand. Renewed by itself.
   */
  lease(name: string, options?: { onLost?: () => void }): Lease | undefined
  leaseOwner(name: string): string | undefined

  /** Small values that must survive, such as the last seen state of a vault. */
  get(key: string): string | undefined
  set(key: string, value: string): void

  /** Runs that say `running` but whose process is gone become `interrupted`; gives them. */
  reapRuns(): Run[]
  /**
   * Deletes finished runs that ended before, and gives their logs. The newest of each job, kind and vault stays, and its
   * newest good one.
   */
  pruneRuns(before: Date): string[]
  close(): void
}

/** Where a page of a list begins: behind this one. */
export interface After {
  at: Date
  id: string
}

export interface RunFilter {
  job?: string
  vault?: string
  until?: Date
  kind?: RunKind
  status?: RunStatus[]
  since?: Date
  limit?: number
}

export interface Lease extends Disposable {
  readonly name: string
  /** True while we still have it. */
  held(): boolean
  release(): void
}
