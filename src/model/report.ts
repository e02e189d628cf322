import type { Backup } from './backup.ts'
import type { Run, RunKind, RunStatus } from './run.ts'

/** What happened, as the page, the JSON file and the mail after a run tell it. Plain data, made by whoever ran it. */
export interface RunReport {
  host: string
  /** Of Holdfast. */
  version: string
  startedAt: Date
  endedAt: Date
  /** One for each job and vault, in the order in which they ran. */
  runs: Run[]
  /** The backups that these runs made. */
  backups: Backup[]
  pruned: PruneReport[]
  /** Earlier runs of the same jobs, for the strips; the runs of this report are the last of them. */
  recent: RecentRuns[]
}

/** What retention kept and removed in one vault, each with its reasons. */
export interface PruneReport {
  vault: string
  keep: PrunedBackup[]
  remove: PrunedBackup[]
  /** False: a plan only. */
  applied: boolean
  bytesFreed: number
}

export interface PrunedBackup {
  id: string
  job: string
  time: Date
  storedBytes?: number
  reasons: string[]
}

export interface RecentRuns {
  job: string
  /** Oldest first. */
  runs: { id: string; kind: RunKind; status: RunStatus; at: Date; durationMs?: number }[]
}
