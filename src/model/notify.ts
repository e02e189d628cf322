import type { Run } from './run.ts'

export type NotifyEvent =
  | 'start'
  | 'success'
  | 'warning'
  | 'failure'
  | 'recovered'
  | 'overdue'
  | 'weekly'
  | 'monthly'
  | 'test'

export interface Notification {
  event: NotifyEvent
  /** One line. */
  title: string
  /** Plain text, some lines. */
  text: string
  /** The same for a mail program: inline styles only. */
  html?: string
  /** Such as the page of the report. */
  attachments?: { name: string; type: string; text: string }[]
  runs: Run[]
  host: string
  time: Date
}

/** Who hears about it. A notifier that fails never fails a backup. */
export interface Notifier {
  readonly name: string
  /** The events that it wants. */
  readonly on: readonly NotifyEvent[]
  /** Wants to hear of each run, also of what is known to be wrong. */
  readonly everyRun?: true
  /** Rejects with `notify.failed`, saying what the other side answered. */
  send(notification: Notification, options?: { signal?: AbortSignal }): Promise<void>
}
