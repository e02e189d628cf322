/** The scheduler and the workers of this process, over the app: they run until the signal aborts. */
import type { App } from '../app.ts'
import { type AppError, toAppError } from '../base/errors.ts'
import { parseDuration } from '../base/units.ts'
import { VERSION } from '../base/version.ts'
import type { Delivery } from '../jobs/queue-pg-boss.ts'
import { createScheduler, type Scheduler } from '../jobs/scheduler.ts'
import { work } from '../jobs/worker.ts'
import type { Lease } from '../model/catalogue.ts'
import { newRun } from '../model/run.ts'
import { whose, type Task } from '../model/service.ts'
import { followLanes } from './lanes.ts'
import { executeTask } from '../operations/execute-task.ts'
import { latestVersion, registryOf } from '../operations/update.ts'
import { reviewAll, tellCheck, tellResults } from './incidents.ts'
import { recurrencesOf } from './times.ts'

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
    const { pgBossDelivery } = await import('../jobs/queue-pg-boss.ts')
    return await pgBossDelivery(catalogue, { ...(hasRoom && { hasRoom }), onProblem })
  } catch (thrown) {
    onProblem(toAppError(thrown, 'catalogue.failed'))
    return undefined
  }
}

/** Of vaults that take few runs at a time; a restore waits for nobody. */
export function vaultsAreFree({ settings }: Pick<App, 'settings'>, task: Task, atWork: readonly Task[]): boolean {
  const vaultsOf = ({ job, options }: Task): string[] => {
    const vault = options?.vault ?? whose({ job }).vault
    return vault === undefined ? (settings.jobs[job]?.vaults ?? []) : [vault]
  }
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
  if (outcome.state === 'interrupted') return outcome
  const { vault } = task.options ?? {}
  try {
    if (job !== undefined) await tellResults(app, job, outcome.results, signal)
    else if (task.kind === 'check' && vault !== undefined) await tellCheck(app, vault)
  } catch (thrown) {
    // What was done is done, whoever could be told of it.
    const { code, message } = toAppError(thrown)
    app.log.error(`nobody could be told how a run of ${task.job} ended: ${message}`, { code })
  }
  return outcome
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

/** What waits is seen in the list of runs. */
export function saveQueued(app: App, task: Task): void {
  const vault = task.options?.vault ?? app.settings.jobs[task.job]?.vaults[0]
  const { run: id, kind, trigger } = task
  const job = kind === 'check' ? '' : task.job
  const run = newRun({ id, kind, job, trigger, status: 'queued', createdAt: app.clock.now(), ...(vault && { vault }) })
  app.history().saveRun(run)
  deliveries.get(app)?.announce(task)
}
