/** When jobs are due: pure functions over cron expressions, zones and moments. */
import { createHash } from 'node:crypto'
import { parseCron, type CronTimes } from '../base/cron.ts'
import { parseDuration } from '../base/units.ts'
import type { ScheduleSettings } from '../model/job.ts'

/** Expressions that many jobs share are compiled once, and their next time is found once. */
const compiled = new Map<string, CronTimes>()
const MOST_COMPILED = 10_000

export function timesOf({ cron, timezone }: Pick<ScheduleSettings, 'cron' | 'timezone'>): CronTimes {
  const key = `${timezone ?? ''} ${cron}`
  const known = compiled.get(key)
  if (known !== undefined) return known
  const times = remembering(parseCron(cron, timezone))
  if (compiled.size >= MOST_COMPILED) compiled.clear()
  compiled.set(key, times)
  return times
}

/** Asked again for a moment before the time that it gave last, it gives that again. */
function remembering(times: CronTimes): CronTimes {
  let from = Infinity
  let found: Date | undefined
  return {
    next(after) {
      const at = after.getTime()
      if (found !== undefined && at >= from && at < found.getTime()) return found
      found = times.next(after)
      from = at
      return found
    },
  }
}

/** The times after `after`, up to and with `until`: at most so many. */
export function dueTimes(times: CronTimes, after: Date, until: Date, most: number): Date[] {
  const due: Date[] = []
  for (let next = times.next(after); next !== undefined && next <= until; next = times.next(next)) {
    due.push(next)
    if (due.length === most) break
  }
  return due
}

export function nextTimes(times: CronTimes, after: Date, count: number): Date[] {
  return dueTimes(times, after, new Date(8.64e15), count)
}

/** The same for each process that asks: a part of the jitter that follows from the job's name and the time. */
export function jitterMs(name: string, due: Date, { jitter }: Pick<ScheduleSettings, 'jitter'>): number {
  if (jitter === undefined) return 0
  const share = createHash('sha256').update(`${name}\0${due.getTime()}`).digest().readUInt32LE() / 2 ** 32
  return Math.floor(share * parseDuration(jitter))
}

export type SlotFate = 'queued' | 'missed'

/**
 * What becomes of times that came since the last look. A time is missed when nobody looked for so long after it; `once`
 * makes up for all that were missed with one run, unless one is due now anyway.
 */
export function fatesOf(
  due: readonly Date[],
  now: Date,
  missed: ScheduleSettings['missed'],
  graceMs: number,
): { at: Date; fate: SlotFate; late: boolean }[] {
  const late = (at: Date): boolean => now.getTime() - at.getTime() > graceMs
  const last = due.length - 1
  return due.map((at, n) => ({
    at,
    late: late(at),
    // Of several that are due at once only the last runs: they would be the same.
    fate: n === last && (missed === 'once' || !late(at)) ? 'queued' : 'missed',
  }))
}
