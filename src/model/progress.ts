/** What an operation tells while it works. Surfaces render it; the run log keeps the warnings. */
export interface Warning {
  /** `unreadable`, `changed`, `vanished`, `skipped`, … */
  code: string
  message: string
  path?: string
}

export type ReportWarning = (warning: Warning) => void

/** The stages of a run, in the words that the user sees. */
export type Stage =
  | 'prepare'
  | 'scan'
  | 'backup'
  | 'commit'
  | 'verify'
  | 'prune'
  | 'restore'
  | 'check'
  | 'copy'
  | 'report'

export interface Counters {
  filesDone: number
  bytesDone: number
  /** Bytes handed to the storage. */
  bytesStored: number
  /** Unknown until a scan or a manifest tells. */
  filesTotal?: number
  bytesTotal?: number
  /** The item in hand. */
  current?: string
}

export type ProgressEvent =
  | { type: 'stage'; stage: Stage; detail?: string }
  | { type: 'progress'; stage: Stage; counters: Counters }
  | ({ type: 'warning' } & Warning)
  | { type: 'log'; level: 'debug' | 'info' | 'warn' | 'error'; message: string; fields?: Record<string, unknown> }

export type OnProgress = (event: ProgressEvent) => void
