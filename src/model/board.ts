/** What is known of each job at a glance: for lists of many. */
import type { ProofLevel } from './backup.ts'
import type { RunStatus } from './run.ts'

export interface RunMark {
  id: string
  status: RunStatus
  at: Date
  endedAt?: Date
}

export interface VaultFigures {
  backups: number
  newest?: Date
  storedBytes: number
  proof?: { level: ProofLevel; at: Date; backup: string }
}

export interface JobFigures {
  /** Backups only. */
  lastRun?: RunMark
  lastGood?: RunMark
  /** Of any kind, that waits or works. */
  open?: string
  /** Backups since the moment that was asked for, oldest first. */
  recent: RunMark[]
  backups: number
  sourceBytes: number
  storedBytes: number
  /** Bytes of content, oldest first; the last twenty. */
  sizes: number[]
  newest?: Date
  /** The latest that was shown to restore: V3 or higher. */
  proof?: { level: ProofLevel; at: Date; backup: string }
  vaults: Map<string, VaultFigures>
}
