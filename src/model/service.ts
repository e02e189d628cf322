/** What the service keeps: which times were due, and who works on what. One store, several processes. */
import type { ProofLevel } from './backup.ts'
import type { ScheduleSettings } from './job.ts'

export type TaskKind = 'backup' | 'verify' | 'restore' | 'check'

/** Under what a task on a whole vault, which belongs to no job, stands in the queue: names of jobs have no slash. */
export const vaultWork = (vault: string): string => `${VAULT_WORK}${vault}`
const VAULT_WORK = 'vault/'

/** Whose a task is, as it is shown: work on a whole vault is of no job. */
export const whose = ({ job }: { job: string }): { job: string; vault?: string } =>
  job.startsWith(VAULT_WORK) ? { job: '', vault: job.slice(VAULT_WORK.length) } : { job }

/** Something that recurs: a job's own schedule, one added at the command line, a job's restore test, or the checks of a vault. */
export interface Recurrence {
  /** Unique, such as `web/backup`. */
  name: string
  /** Of a vault's checks: `vaultWork` of it. */
  job: string
  kind: 'backup' | 'verify' | 'check'
  /** A cron schedule, or every so many milliseconds. */
  schedule: ScheduleSettings | { everyMs: number }
  /** From the configuration, or added by `schedule add`. */
  origin: 'config' | 'added'
  /** For `verify`. */
  level?: ProofLevel
  /** That a worker must have. */
  labels?: string[]
  /** For `check`. */
  check?: VaultCheck
}

export interface VaultCheck {
  vault: string
  /** The share of the stored bytes that is read and hashed, 0 to 1. */
  readData: number
}

/** What became of one due time. */
export type SlotState = 'queued' | 'missed' | 'skipped' | 'paused' | 'done' | 'failed' | 'interrupted'

export interface Slot {
  recurrence: string
  job: string
  due: Date
  state: SlotState
  /** Why it did not run. */
  reason?: string
  run?: string
}

export type TaskState = 'queued' | 'claimed' | 'done'

/** A run to be made. The run's own record is in the catalogue, under `run`. */
export interface Task {
  id: string
  job: string
  kind: TaskKind
  recurrence?: string
  due: Date
  notBefore: Date
  trigger: 'manual' | 'schedule' | 'api' | 'catch-up'
  /** Of the run that this attempt makes. */
  run: string
  attempt: number
  level?: ProofLevel
  /** Labels that the worker must have. */
  labels: string[]
  /** What is to be done beyond the kind, such as where a restore goes. Kept sealed: it may hold a password. */
  options?: TaskOptions
}

export interface TaskOptions {
  /** The backup that is verified or restored; the newest of the job if absent. */
  backup?: string
  vault?: string
  restore?: RestoreOrder
  /** Of a check: the share of the bytes that is read. */
  readData?: number
}

/** A restore that somebody asked for and a worker makes. */
export interface RestoreOrder {
  /** A moment of the job's log in place of a backup: a time, a position or a name; or just before an event. */
  point?: { at: string } | { before: string }
  /** Files, folders or tables; all of it if empty. */
  paths: string[]
  to:
    | { type: 'folder'; path: string }
    | { type: 'original' }
    | {
        type: 'database'
        database?: string
        host?: string
        port?: number
        user?: string
        password?: string
        file?: string
        from?: string
      }
  overwrite?: 'never' | 'if-newer' | 'if-changed' | 'always'
  delete: boolean
  ownership?: boolean
}

export interface Claim {
  task: Task
  token: string
}

export interface RecurrenceState {
  /** All times up to here have their slot. */
  cursor: Date
  /** The schedule that the cursor belongs to. */
  spec: string
  pausedUntil?: Date
  pauseReason?: string
}

/** All times of a recurrence up to `at` have their slot; `spec` is the schedule that they belong to. */
export interface Cursor {
  recurrence: string
  at: Date
  spec: string
}

export interface ServiceStore {
  state(recurrence: string): RecurrenceState | undefined
  /** Of all of them, by name. */
  states(): Map<string, RecurrenceState>
  /** `until` undefined: go on. */
  pause(recurrence: string, until: Date | undefined, reason?: string): void
  /** Added by hand, not those of the configuration. */
  added(): Recurrence[]
  add(recurrence: Recurrence): void
  /** False if there is none of that name. */
  removeAdded(name: string): boolean

  /**
   * Writes slots, each once whoever writes it, and for those `queued` their task, unless a task of the same recurrence
   * waits or works: then the slot is `skipped`. With them the cursors move, and `onTask` is called for each task that is
   * new: all or nothing. Gives these tasks.
   */
  record(slots: readonly NewSlot[], cursors: readonly Cursor[], onTask?: (task: Task) => void): Task[]
  /** A task that no schedule asked for. Undefined when the job has one of that kind that waits or works; restores always go. */
  enqueue(task: Task): Task | undefined
  /** The first due time that is known of it. */
  firstSlot(recurrence: string): Date | undefined
  slots(filter: { recurrence?: string; job?: string; since?: Date; limit?: number }): Slot[]
  tasks(state?: TaskState): (Task & { state: TaskState; by?: string })[]

  /** The oldest task that may begin now and whose job nobody works on; a restore waits for nobody. `may` decides beside what others work on. */
  claim(
    labels: readonly string[],
    leaseMs: number,
    may?: (task: Task, atWork: readonly Task[]) => boolean,
  ): Claim | undefined
  /** False when the lease is lost: somebody else may have the task. */
  renew(claim: Claim, leaseMs: number): boolean
  /** Ends the task, with what became of its slot. False when the lease was lost. */
  finish(claim: Claim, state: SlotState, reason?: string): boolean
  /**
   * Back into the queue, for another attempt with a new run. `onTask` is called with it before anybody else can take it:
   * all or nothing. False when the lease was lost.
   */
  release(claim: Claim, run: string, notBefore: Date, onTask?: (task: Task) => void): boolean
  /** Ends a task that still waits. False if it does not wait. */
  withdraw(run: string, reason: string): boolean
  /** Claims whose owner is dead or silent for longer than its lease. */
  abandoned(): Claim[]
  /** Removes ended tasks and slots from before. */
  tidy(before: Date): void
}

export interface NewSlot extends Slot {
  task?: Task
}
