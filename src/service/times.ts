/** What recurs, and when it comes next. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { App } from '../app.ts'
import { parseDuration } from '../base/units.ts'
import { timesOfRecurrence } from '../jobs/scheduler.ts'
import type { Job } from '../model/job.ts'
import { vaultWork, type Recurrence } from '../model/service.ts'
import type { VaultSettings } from '../model/settings.ts'

/** Of the configuration, and added by hand for jobs that there are. */
export function recurrencesOf(app: App): Recurrence[] {
  const { jobs } = app.settings
  const configured = Object.values(jobs).flatMap((job) => (job.enabled ? ofJob(job) : []))
  const checks = Object.values(app.settings.vaults).flatMap(checksOf)
  const added = app.history().service.added()
  return [...configured, ...checks, ...added.filter(({ job }) => jobs[job]?.enabled === true)]
}

/** When it comes next, a pause considered. */
export function nextDue(app: App, recurrence: Recurrence): Date | undefined {
  const now = app.clock.now()
  const paused = app.history().service.state(recurrence.name)?.pausedUntil
  return dueAfter(recurrence, now, paused, 1)[0]
}

const LOOKED_AHEAD = 2000
const AT_ONCE = 20

/** Computes the next times of schedules in small steps, before somebody waits for all of them. */
export async function lookAhead(app: App, signal: AbortSignal): Promise<void> {
  for (const [index, one] of recurrencesOf(app).slice(0, LOOKED_AHEAD).entries()) {
    if (signal.aborted) return
    dueAfter(one, app.clock.now(), undefined, 1)
    if (index % AT_ONCE === 0) await nextTurn()
  }
}

interface Ahead {
  from: number
  /** All times from then up to here are known. */
  until: number
  times: Date[]
}

const ahead = new Map<string, Ahead>()
/** The same by the object, which is that of the settings for most. */
const aheadOf = new WeakMap<object, Ahead>()
const AHEAD_MS = 26 * 3_600_000
/** Of what comes each minute not all of the next day is wanted. */
const MOST_AHEAD = 60

/** The next times of a schedule, a pause considered; kept, as of a thousand schedules each look would cost too much. */
export function dueAfter(
  recurrence: Pick<Recurrence, 'schedule'>,
  now: Date,
  paused: Date | undefined,
  most: number,
): Date[] {
  if (paused !== undefined && paused > now) {
    const next = timesOfRecurrence(recurrence).next(paused)
    return next === undefined ? [] : [next]
  }
  const known = aheadOf.get(recurrence.schedule)
  const found = laterIn(known, now)
  if (found !== undefined) return found.slice(0, most)
  const key = JSON.stringify(recurrence.schedule)
  let made = ahead.get(key)
  if (laterIn(made, now) === undefined) {
    made = timesAhead(recurrence, now)
    if (ahead.size > 20_000) ahead.clear()
    ahead.set(key, made)
  }
  if (made !== undefined) aheadOf.set(recurrence.schedule, made)
  return (laterIn(made, now) ?? made?.times ?? []).slice(0, most)
}

/** Those after now, when enough of them are known. */
function laterIn(known: Ahead | undefined, now: Date): Date[] | undefined {
  const time = now.getTime()
  if (known === undefined || known.from > time || known.until < time + AHEAD_MS / 2) return undefined
  const [first] = known.times
  if (first !== undefined && first > now) return known.times
  const later = known.times.filter((one) => one > now)
  return later.length === 0 ? undefined : later
}

function timesAhead(recurrence: Pick<Recurrence, 'schedule'>, now: Date): Ahead {
  const computed = timesOfRecurrence(recurrence)
  const end = now.getTime() + AHEAD_MS
  const times: Date[] = []
  let next = computed.next(now)
  // The next one in any case, however far it is.
  while (next !== undefined && times.length < MOST_AHEAD && (times.length === 0 || next.getTime() <= end)) {
    times.push(next)
    next = computed.next(next)
  }
  const until = next === undefined ? Infinity : times.length === MOST_AHEAD ? Infinity : end
  return { from: now.getTime(), until, times }
}

function ofJob(job: Job): Recurrence[] {
  const { name, schedule, verify, labels } = job
  const own = { job: name, origin: 'config' as const, ...(labels.length > 0 && { labels }) }
  const { restoreTest } = verify
  return [
    ...(schedule === undefined ? [] : [{ ...own, name: `${name}/backup`, kind: 'backup' as const, schedule }]),
    ...(restoreTest === undefined
      ? []
      : [
          {
            ...own,
            name: `${name}/verify`,
            kind: 'verify' as const,
            schedule: { everyMs: parseDuration(restoreTest.every) },
            level: restoreTest.level,
          },
        ]),
  ]
}

function checksOf({ name, check }: VaultSettings): Recurrence[] {
  if (check === undefined) return []
  const { everyMs, readData } = check
  const job = vaultWork(name)
  return [
    {
      name: `${job}/check`,
      job,
      kind: 'check',
      schedule: { everyMs },
      origin: 'config',
      check: { vault: name, readData },
    },
  ]
}
