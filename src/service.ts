/** The scheduler and the workers of this process, over the app: they run until the signal aborts. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { App } from './app.ts'
import { type AppError, toAppError } from './base/errors.ts'
import { parseDuration } from './base/units.ts'
import { VERSION } from './base/version.ts'
import type { Delivery } from './jobs/queue-pg-boss.ts'
import { createScheduler, timesOfRecurrence, type Scheduler } from './jobs/scheduler.ts'
import { work } from './jobs/worker.ts'
import type { Lease } from './model/catalogue.ts'
import type { Incident } from './model/incident.ts'
import type { Job } from './model/job.ts'
import { newRun } from './model/run.ts'
import type { Recurrence, Task } from './model/service.ts'
import { followLanes, wantsLane } from './service-lanes.ts'
import { expectLane } from './operations/lane-health.ts'
import type { JobRun } from './operations/run-jobs.ts'
import { executeTask } from './operations/execute-task.ts'
import { latestVersion, registryOf } from './operations/update.ts'
import { findingsOf, needsReminder, type Expected } from './operations/incidents.ts'

export interface ServiceOptions {
  scheduler: boolean
  worker: boolean
  signal: AbortSignal
  /** What a person at the console should see. */
  onNote?: (text: string) => void
}

const TICK_MS = 1000
const BEHIND_MS = 20
/** How soon another scheduler takes over. */
const STANDBY_MS = 5000
/** How long the ledger is kept. */
const LEDGER_MS = 400 * 86_400_000
const DAY_MS = 86_400_000
const REVIEW_MS = 60_000
const HOUR_MS = 3_600_000
/** Where the catalogue keeps the newest version that was seen. */
export const NEWER_KEY = 'newer version'

/** Resolves when all has ended, within the time that a stop may take. */
export async function runService(app: App, options: ServiceOptions): Promise<void> {
  const { signal } = options
  // Opened now, so that a broken catalogue stops the start.
  app.history().reapRuns()
  let room = 0
  const delivery = await deliveryOf(app, options.worker ? () => room > 0 : undefined)
  if (delivery !== undefined) deliveries.set(app, delivery)
  await Promise.all([
    ...(options.scheduler ? [schedule(app, options)] : []),
    ...(options.worker
      ? [followLanes(app, { ...options, onResults: async (job, results) => tellResults(app, job, results, signal) })]
      : []),
    ...(options.worker
      ? [
          work(
            {
              clock: app.clock,
              store: app.history().service,
              may: (task, atWork) => vaultsAreFree(app, task, atWork),
              execute: async (task, stop) => execute(app, task, stop, options),
              ...(delivery && { arrival: async (stop) => delivery.arrival(stop), onRoom: (now) => (room = now) }),
              onQueued: (task) => saveQueued(app, task),
              onProblem: ({ code, message }) => app.log.error(`worker: ${message}`, { code }),
            },
            {
              concurrency: app.settings.server.concurrency,
              labels: app.settings.server.labels,
              drainMs: parseDuration(app.settings.server.drain),
              signal,
            },
          ),
        ]
      : []),
  ])
  deliveries.delete(app)
  await delivery?.close().catch(() => undefined)
}

const deliveries = new WeakMap<App, Delivery>()

/** Over a catalogue in PostgreSQL; where that fails workers look for themselves, as over SQLite. */
async function deliveryOf(app: App, hasRoom: (() => boolean) | undefined): Promise<Delivery | undefined> {
  const { catalogue } = app.settings.server
  if (!catalogue.startsWith('postgres')) return undefined
  const onProblem = ({ code, message }: AppError): void => app.log.warn(`queue: ${message}`, { code })
  try {
    const { pgBossDelivery } = await import('./jobs/queue-pg-boss.ts')
    return await pgBossDelivery(catalogue, { ...(hasRoom && { hasRoom }), onProblem })
  } catch (thrown) {
    onProblem(toAppError(thrown, 'catalogue.failed'))
    return undefined
  }
}

/** Of vaults that take few runs at a time; a restore waits for nobody. */
export function vaultsAreFree({ settings }: Pick<App, 'settings'>, task: Task, atWork: readonly Task[]): boolean {
  const vaultsOf = ({ job, options }: Task): string[] =>
    options?.vault === undefined ? (settings.jobs[job]?.vaults ?? []) : [options.vault]
  if (task.kind === 'restore') return true
  return vaultsOf(task).every((vault) => {
    const most = settings.vaults[vault]?.concurrentRuns
    return most === undefined || atWork.filter((one) => vaultsOf(one).includes(vault)).length < most
  })
}

async function execute(
  app: App,
  task: Task,
  signal: AbortSignal,
  { onNote }: ServiceOptions,
): Promise<Awaited<ReturnType<typeof executeTask>>> {
  onNote?.(`${task.kind} of ${task.job} begins`)
  const begun: Promise<void>[] = []
  await refreshed(app)
  const job = app.settings.jobs[task.job]
  const outcome = await executeTask(app.deps, task, job, app.openers(), signal, (...start) => {
    begun.push(app.tellStart(...start))
  })
  if (outcome.state !== 'interrupted') await Promise.all(begun)
  onNote?.(`${task.kind} of ${task.job}: ${outcome.state}${outcome.reason === undefined ? '' : `: ${outcome.reason}`}`)
  // A stop must not wait for a mail server.
  if (outcome.state === 'interrupted' || job === undefined) return outcome
  try {
    await tellResults(app, job, outcome.results, signal)
  } catch (thrown) {
    // What was done is done, whoever could be told of it.
    const { code, message } = toAppError(thrown)
    app.log.error(`nobody could be told how a run of ${job.name} ended: ${message}`, { code })
  }
  return outcome
}

/** Runs that ended, and what they show to be wrong, or right again. */
async function tellResults(app: App, job: Job, results: readonly JobRun[], signal: AbortSignal): Promise<void> {
  const reviewed = review(app, job)
  await tellSilent(app, reviewed)
  const opened = reviewed.opened.filter((incident) => !isSilent(incident))
  // What is known to be wrong is not told with every run, but reminded of.
  const known = opened.length > 0 ? [] : (['failure', 'warning'] as const)
  await app.tell(results, { signal, known })
  for (const incident of opened) app.history().incidents.told(incident.id)
}

/** No run tells of it. */
const isSilent = ({ run }: Incident): boolean => run === undefined

async function tellSilent(app: App, { opened, closed }: { opened: Incident[]; closed: Incident[] }): Promise<void> {
  for (const incident of opened.filter(isSilent)) {
    app.history().incidents.told(incident.id)
    const late = incident.kind === 'overdue' || incident.kind === 'proof' || incident.kind === 'space'
    await app.tellIncident(incident, late ? 'overdue' : 'failure')
  }
  for (const incident of closed.filter(isSilent)) await app.tellIncident(incident, 'recovered')
}

/** What others changed is taken up; where that fails the work goes on as it was known before. */
async function refreshed(app: App): Promise<void> {
  try {
    await app.refresh()
  } catch (thrown) {
    const { code, message } = toAppError(thrown)
    app.log.error(`what was made by the page or the API cannot be read anew: ${message}`, { code })
  }
}

function review(app: App, job: Job): { opened: Incident[]; closed: Incident[] } {
  const catalogue = app.history()
  const now = app.clock.now()
  const expected = recurrencesOf(app).flatMap((one): Expected[] => {
    if (one.job !== job.name || one.kind !== 'backup') return []
    const state = catalogue.service.state(one.name)
    if (state === undefined) return []
    const paused = state.pausedUntil !== undefined && state.pausedUntil > now
    return [{ times: timesOfRecurrence(one), since: firstDue(app, one, state.cursor), paused }]
  })
  return catalogue.incidents.review(
    job.name,
    findingsOf(catalogue, job, expected, now, (vault) => app.settings.vaults[vault]?.limits ?? {}),
  )
}

/** A schedule counts from its first time in the ledger: what is new is not overdue at once. */
function firstDue(app: App, { name }: Recurrence, cursor: Date): Date {
  const first = app.history().service.firstSlot(name)
  return first === undefined ? cursor : new Date(first.getTime() - 1)
}

/** What no run tells: runs that did not come, proofs that are too old, and what nobody acknowledged. */
export async function reviewAll(app: App): Promise<void> {
  const catalogue = app.history()
  const now = app.clock.now()
  for (const job of Object.values(app.settings.jobs).filter(({ enabled }) => enabled)) {
    if (wantsLane(app, job)) expectLane(app.deps, job.name)
    await tellSilent(app, review(app, job))
  }
  await reviewLeftOut(app)
  reapQueued(app)
  for (const incident of catalogue.incidents.list({ open: true, limit: 1000 })) {
    if (!needsReminder(incident, now)) continue
    catalogue.incidents.told(incident.id)
    await app.tellIncident(incident, incident.kind === 'overdue' || incident.kind === 'proof' ? 'overdue' : 'failure')
  }
}

/** So long a run may be written down as waiting while nothing says so any more. */
const FORGOTTEN_MS = 10 * 60_000

/** Whose task is over, and whose end could not be written by the process that had it, does not wait any more. */
function reapQueued(app: App): void {
  const catalogue = app.history()
  const now = app.clock.now()
  const until = new Date(now.getTime() - FORGOTTEN_MS)
  const queued = catalogue.runs({ status: ['queued'], until, limit: 1000 })
  if (queued.length === 0) return
  const open = new Set(catalogue.service.tasks().map(({ run }) => run))
  for (const run of queued.filter(({ id }) => !open.has(id))) {
    const message = 'what became of it could not be written down'
    const error = {
      code: 'run.interrupted' as const,
      message,
      hint: 'See the log of the worker, and the runs after it.',
    }
    catalogue.saveRun({ ...run, status: 'interrupted', endedAt: now, error })
  }
}

/** A job that cannot be used does not run, so that no run tells of it; and what was wrong with jobs that are gone is over. */
async function reviewLeftOut(app: App): Promise<void> {
  const { incidents } = app.history()
  const left = new Map(app.leftOut().flatMap(({ kind, name, why }) => (kind === 'job' ? [[name, why]] : [])))
  for (const [job, why] of left) {
    const message = `the job cannot be used and does not run: ${why}`
    const { opened } = incidents.review(job, [{ kind: 'config', job, message }])
    for (const incident of opened) {
      incidents.told(incident.id)
      await app.tellIncident(incident, 'failure')
    }
  }
  const gone = incidents
    .list({ open: true, limit: 1000 })
    .filter(({ job }) => app.settings.jobs[job] === undefined && !left.has(job))
  for (const job of new Set(gone.map((one) => one.job))) incidents.review(job, [])
}

/** One scheduler at a time works; the others stand by. */
async function schedule(app: App, { signal, onNote }: ServiceOptions): Promise<void> {
  const { clock } = app
  const catalogue = app.history()
  let lease: Lease | undefined
  let tidied = -Infinity
  // What was due while nothing ran has its chance first.
  let reviewed = clock.monotonic()
  // Not at once: a server that is only tried out asks nobody.
  let looked = clock.monotonic() - DAY_MS + HOUR_MS
  const scheduler = schedulerOf(app)
  while (!signal.aborted) {
    let rest = TICK_MS
    try {
      if (lease?.held() !== true) {
        lease = catalogue.lease('scheduler')
        if (lease !== undefined) onNote?.('scheduling')
      }
      if (lease === undefined) rest = STANDBY_MS
      else {
        catalogue.reapRuns()
        await refreshed(app)
        scheduler.tick()
        if (scheduler.behind) rest = BEHIND_MS
        if (clock.monotonic() - reviewed > REVIEW_MS) {
          reviewed = clock.monotonic()
          await reviewAll(app)
          await app.tellDigests()
        }
        if (clock.monotonic() - looked > DAY_MS) {
          looked = clock.monotonic()
          await lookForNewer(app, signal)
        }
        if (clock.monotonic() - tidied > DAY_MS) {
          tidied = clock.monotonic()
          catalogue.service.tidy(new Date(clock.now().getTime() - LEDGER_MS))
          await app.tidyRuns()
        }
      }
    } catch (thrown) {
      const error = toAppError(thrown)
      app.log.error(`scheduler: ${error.message}`, { code: error.code })
      rest = STANDBY_MS
    }
    await clock.sleep(rest, signal).catch(() => undefined)
  }
  lease?.release()
}

/** Once a day, unless that is switched off. That nobody answers is no fault. */
async function lookForNewer(app: App, signal: AbortSignal): Promise<void> {
  const { update } = app.settings
  if (!update.notice) return
  try {
    const { latest, newer } = await latestVersion(await registryOf(update.registry), VERSION, signal)
    app.history().set(NEWER_KEY, latest)
    if (newer) app.log.info(`version ${latest} of Holdfast is there, this is ${VERSION}`)
  } catch (error) {
    app.log.debug(`newer versions could not be looked for: ${toAppError(error).message}`)
  }
}

export function schedulerOf(app: App): Scheduler {
  const catalogue = app.history()
  return createScheduler({
    clock: app.clock,
    store: catalogue.service,
    recurrences: () => recurrencesOf(app),
    onQueued: (task) => saveQueued(app, task),
    onAbandoned(task, again) {
      const run = catalogue.run(task.run)
      app.log.warn(`the worker of ${task.job} is gone${again ? '; its run is tried again' : ' each time: given up'}`)
      if (run === undefined || run.endedAt !== undefined) return
      const error = {
        code: 'run.interrupted',
        message: 'the process that worked on it is gone',
        hint: again ? 'It is tried again by itself.' : 'It was tried several times: see the logs of these runs.',
      }
      catalogue.saveRun({ ...run, status: 'interrupted', endedAt: app.clock.now(), error })
    },
  })
}

/** Of the configuration, and added by hand for jobs that there are. */
export function recurrencesOf(app: App): Recurrence[] {
  const { jobs } = app.settings
  const configured = Object.values(jobs).flatMap((job) => (job.enabled ? ofJob(job) : []))
  const added = app.history().service.added()
  return [...configured, ...added.filter(({ job }) => jobs[job]?.enabled === true)]
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

/** What waits is seen in the list of runs. */
export function saveQueued(app: App, task: Task): void {
  const vault = task.options?.vault ?? app.settings.jobs[task.job]?.vaults[0]
  const { run: id, kind, job, trigger } = task
  const run = newRun({ id, kind, job, trigger, status: 'queued', createdAt: app.clock.now(), ...(vault && { vault }) })
  app.history().saveRun(run)
  deliveries.get(app)?.announce(task)
}
