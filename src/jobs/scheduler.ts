/**
 * Writes down every due time once, and queues a run for it. What it knows is in the store: any process may do the next
 * tick, and two that do it at once write the same.
 */
import { randomUUID } from 'node:crypto'
import type { CronTimes } from '../base/cron.ts'
import type { Clock } from '../base/clock.ts'
import { runId } from '../base/ids.ts'
import type { Cursor, NewSlot, Recurrence, RecurrenceState, ServiceStore, Task } from '../model/service.ts'
import { dueTimes, fatesOf, jitterMs, timesOf } from '../policy/schedule.ts'

export interface SchedulerDeps {
  clock: Clock
  store: ServiceStore
  /** As configured and added now. */
  recurrences(): readonly Recurrence[]
  /** Called in the transaction that queues it. */
  onQueued(task: Task): void
  /** A run whose worker is gone; its task is queued again, or given up. */
  onAbandoned(task: Task, again: boolean): void
}

export interface Scheduler {
  /** Everything that is due by now. Gives the tasks that it queued. */
  tick(): Task[]
  /** The last tick left some for the next one, which should come soon: no tick takes long. */
  readonly behind: boolean
}

/** A time that nobody looked at for so long was missed: the machine slept, or no scheduler ran. */
const GRACE_MS = 90_000
/** Of one recurrence in one tick; the rest comes with the next. */
const MOST_SLOTS = 1000
/** Recurrences in one tick: what else the process does waits for no more. */
const MOST_DUE = 1000
/** So long a burst may last; what is left then is looked at anew. */
const BURST_MS = 2000
/** From so many on, one question for all is cheaper. */
const MANY = 50
/** A cursor so far ahead was written while the clock was wrong. */
const CLOCK_WRONG_MS = 86_400_000
export const MOST_ATTEMPTS = 3
/** Before another attempt, and longer each time. */
const AGAIN_AFTER_MS = 30_000

interface Known {
  spec: string
  times: CronTimes
  next: number
}

export function createScheduler(deps: SchedulerDeps): Scheduler {
  const { clock, store } = deps
  /** When to look at a recurrence again; what counts is in the store. */
  const known = new Map<string, Known>()
  let behind = false
  /** Ticks that follow each other at once do what was due at the first of them, by the states that it read. */
  let burst: { begun: number; now: Date; states: Map<string, RecurrenceState> } | undefined
  /** Due times of this tick. */
  const shared = new Map<string, Date[]>()

  function tick(): Task[] {
    again()
    if (burst !== undefined && clock.monotonic() - burst.begun > BURST_MS) burst = undefined
    const now = burst?.now ?? clock.now()
    const slots: NewSlot[] = []
    const cursors: Cursor[] = []
    const present = new Set<string>()
    shared.clear()
    const due: [Recurrence, Known][] = []
    for (const recurrence of deps.recurrences()) {
      present.add(recurrence.name)
      const entry = knownOf(recurrence)
      if (entry.next <= now.getTime()) due.push([recurrence, entry])
    }
    behind = due.length > MOST_DUE
    due.length = Math.min(due.length, MOST_DUE)
    const states = burst?.states ?? (due.length > MANY ? store.states() : undefined)
    burst = behind && states !== undefined ? (burst ?? { begun: clock.monotonic(), now, states }) : undefined
    for (const [recurrence, entry] of due) {
      const state = states === undefined ? store.state(recurrence.name) : states.get(recurrence.name)
      slots.push(...look(recurrence, entry, state, now, cursors))
    }
    for (const name of known.keys()) if (!present.has(name)) known.delete(name)
    const made = slots.length === 0 && cursors.length === 0 ? [] : store.record(slots, cursors, deps.onQueued)
    for (const { recurrence, at: cursor, spec } of cursors)
      states?.set(recurrence, { ...states.get(recurrence), cursor, spec })
    return made
  }

  function knownOf(recurrence: Recurrence): Known {
    const spec = specOf(recurrence)
    const before = known.get(recurrence.name)
    if (before?.spec === spec) return before
    const entry = { spec, times: timesOfRecurrence(recurrence), next: 0 }
    known.set(recurrence.name, entry)
    return entry
  }

  function look(
    recurrence: Recurrence,
    entry: Known,
    state: RecurrenceState | undefined,
    now: Date,
    cursors: Cursor[],
  ): NewSlot[] {
    const { name } = recurrence
    const after = cursorOf(state, entry.spec, now)
    const due = dueOf(entry, after, now)
    const reached = due.length === MOST_SLOTS ? (due.at(-1) as Date) : now
    entry.next = entry.times.next(reached)?.getTime() ?? Infinity
    if (due.length > 0 || state?.spec !== entry.spec || state.cursor > now)
      cursors.push({ recurrence: name, at: reached, spec: entry.spec })
    return slotsOf(recurrence, due, now, state)
  }

  /** Many jobs have the same schedule. */
  function dueOf({ spec, times }: Known, after: Date, now: Date): Date[] {
    const key = `${spec} ${after.getTime()}`
    let due = shared.get(key)
    if (due === undefined) {
      due = dueTimes(times, after, now, MOST_SLOTS)
      shared.set(key, due)
    }
    return due
  }

  function slotsOf(recurrence: Recurrence, due: Date[], now: Date, state: RecurrenceState | undefined): NewSlot[] {
    const { name, job } = recurrence
    const missed = 'cron' in recurrence.schedule ? recurrence.schedule.missed : 'once'
    const paused = state?.pausedUntil
    const awake = due.filter((at) => paused === undefined || at >= paused)
    const asleep = due
      .filter((at) => !awake.includes(at))
      .map((at) => ({
        recurrence: name,
        job,
        due: at,
        state: 'paused' as const,
        ...(state?.pauseReason !== undefined && { reason: state.pauseReason }),
      }))
    const rest = fatesOf(awake, now, missed, GRACE_MS).map(({ at, fate, late }): NewSlot => {
      const slot = { recurrence: name, job, due: at }
      if (fate === 'missed') return { ...slot, state: 'missed', reason: late ? 'no scheduler ran' : 'a later one runs' }
      const task = taskOf(recurrence, at, late)
      return { ...slot, state: 'queued', run: task.run, task }
    })
    return [...asleep, ...rest]
  }

  function taskOf(
    { name, job, kind, schedule, level, labels = [], check }: Recurrence,
    due: Date,
    late: boolean,
  ): Task {
    const start = late ? clock.now() : due
    const wait = 'cron' in schedule ? jitterMs(name, due, schedule) : 0
    return {
      id: randomUUID(),
      job,
      kind,
      recurrence: name,
      due,
      notBefore: new Date(start.getTime() + wait),
      trigger: late ? 'catch-up' : 'schedule',
      run: runId(),
      attempt: 1,
      ...(level && { level }),
      labels,
      ...(check && { options: check }),
    }
  }

  /** What dead workers left is tried again, not for ever. */
  function again(): void {
    for (const claim of store.abandoned()) {
      const { task } = claim
      // A restore that began has changed its target: whoever asked for it decides.
      const more = task.kind !== 'restore' && task.attempt < MOST_ATTEMPTS
      const next = runId()
      const at = new Date(clock.now().getTime() + AGAIN_AFTER_MS * (task.attempt - 1))
      const done = more
        ? store.release(claim, next, at, deps.onQueued)
        : store.finish(claim, 'interrupted', 'its worker died each time')
      if (done) deps.onAbandoned(task, more)
    }
  }

  return {
    tick,
    get behind() {
      return behind
    },
  }
}

/** From where times count: never before the schedule was known, and not from a future that a wrong clock wrote. */
function cursorOf(state: RecurrenceState | undefined, spec: string, now: Date): Date {
  if (state === undefined || state.spec !== spec) return now
  return state.cursor.getTime() - now.getTime() > CLOCK_WRONG_MS ? now : state.cursor
}

function specOf({ schedule }: Recurrence): string {
  return 'cron' in schedule ? `${schedule.timezone ?? ''} ${schedule.cron}` : `every ${schedule.everyMs}`
}

export function timesOfRecurrence({ schedule }: Pick<Recurrence, 'schedule'>): CronTimes {
  if ('cron' in schedule) return timesOf(schedule)
  const { everyMs } = schedule
  return { next: (after) => new Date((Math.floor(after.getTime() / everyMs) + 1) * everyMs) }
}
