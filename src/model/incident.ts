/** `overdue`: a run did not come when it should. `proof`: nothing was proved to restore for too long. */
export type IncidentKind = 'failure' | 'damage' | 'unreachable' | 'config' | 'overdue' | 'proof' | 'space' | 'warning'

/** Something that is wrong until it is right again: opened once however often it shows, closed by itself. */
export interface Incident {
  id: string
  kind: IncidentKind
  job: string
  vault?: string
  message: string
  hint?: string
  /** The run that showed it last. */
  run?: string
  openedAt: Date
  closedAt?: Date
  /** How often it showed. */
  count: number
  acknowledgedAt?: Date
  acknowledgedBy?: string
  snoozedUntil?: Date
  /** When somebody was told last. */
  toldAt?: Date
}

/** What is wrong with a job now. */
export interface Finding {
  kind: IncidentKind
  job: string
  vault?: string
  message: string
  hint?: string
  run?: string
}

export interface IncidentFilter {
  job?: string
  open?: boolean
  limit?: number
}

export interface IncidentStore {
  /**
   * Makes the open incidents of a job exactly these findings: opens what is new, counts what shows again by another run,
   * closes what is gone. Gives what changed.
   */
  review(job: string, findings: readonly Finding[]): { opened: Incident[]; closed: Incident[] }
  /** Newest first. */
  list(filter?: IncidentFilter): Incident[]
  /** Undefined if there is none, or several begin so. */
  find(id: string): Incident | undefined
  acknowledge(id: string, by: string): void
  snooze(id: string, until: Date): void
  told(id: string): void
}
