import type { Counters, Stage, Warning } from './progress.ts'

export type RunKind = 'backup' | 'restore' | 'verify' | 'prune' | 'check' | 'copy'

/** `queued → running → ` one of the others. `interrupted`: the process died; `cancelled`: somebody asked. */
export type RunStatus =
  | 'queued'
  | 'running'
  | 'success'
  | 'warning'
  | 'failed'
  | 'cancelled'
  | 'interrupted'
  | 'skipped'

export interface Run {
  id: string
  kind: RunKind
  job: string
  vault?: string
  status: RunStatus
  trigger: 'manual' | 'schedule' | 'api' | 'catch-up'
  createdAt: Date
  startedAt?: Date
  endedAt?: Date
  /** The last known figures. */
  counters?: Counters
  backupId?: string
  /** Figures of the outcome, as the summary shows them. */
  summary?: Record<string, unknown>
  error?: { code: string; message: string; hint: string }
  warnings: Warning[]
  /** How many warnings there were in all; `warnings` keeps the first hundred. */
  warningCount: number
  /** What is worth knowing and leaves nothing out, such as a socket that was skipped: the first hundred of `noteCount`. */
  notes?: Warning[]
  noteCount?: number
  stages: RunStage[]
  /** The file of the run's own log. */
  log?: string
}

export interface RunStage {
  stage: Stage
  startedAt: Date
  endedAt?: Date
  status: 'running' | 'success' | 'failed'
}

/** The record of a run before anything is known of it. */
export function newRun(known: Pick<Run, 'id' | 'kind' | 'job' | 'status' | 'createdAt'> & Partial<Run>): Run {
  return { warnings: [], warningCount: 0, stages: [], ...known, trigger: known.trigger ?? 'manual' }
}
