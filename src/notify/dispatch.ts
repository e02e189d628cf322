import { toAppError, type AppError } from '../base/errors.ts'
import type { Notifier, NotifyEvent } from '../model/notify.ts'
import type { RunReport } from '../model/report.ts'
import { composeNotification } from './compose.ts'
import { eventsOf } from './outcome.ts'

export interface Delivery {
  notifier: string
  event: NotifyEvent
  error?: AppError
}

/**
 * Tells each notifier about the jobs that name it, at most one message each, if one of the events is among those it
 * wants. Never rejects: a notifier that fails never fails a backup, and its error is in the result.
 */
export async function notifyAll(
  report: RunReport,
  notifiers: readonly Notifier[],
  options: {
    wantedBy: (job: string) => readonly string[]
    /** Events that were told before. */
    known?: readonly NotifyEvent[]
    signal?: AbortSignal
  },
): Promise<Delivery[]> {
  const deliveries = notifiers.map(async (notifier): Promise<Delivery[]> => {
    const own = narrowed(report, (job) => options.wantedBy(job).includes(notifier.name))
    const known = notifier.everyRun === true ? [] : (options.known ?? [])
    const event = eventsOf(own).find((one) => notifier.on.includes(one) && !known.includes(one))
    if (event === undefined) return []
    const delivery = { notifier: notifier.name, event }
    try {
      await notifier.send(composeNotification(own, event), options.signal ? { signal: options.signal } : {})
      return [delivery]
    } catch (error) {
      return [{ ...delivery, error: toAppError(error, 'notify.failed') }]
    }
  })
  return (await Promise.all(deliveries)).flat()
}

function narrowed(report: RunReport, wanted: (job: string) => boolean): RunReport {
  const of = <T extends { job: string }>(items: readonly T[]): T[] => items.filter((item) => wanted(item.job))
  return {
    ...report,
    runs: of(report.runs),
    backups: of(report.backups),
    recent: of(report.recent),
    pruned: report.pruned.map((plan) => ({ ...plan, keep: of(plan.keep), remove: of(plan.remove) })),
  }
}
