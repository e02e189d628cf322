/** The lanes of jobs that are continuous: one each, wherever it runs, as long as the configuration wants it. */
import type { App } from '../app.ts'
import { AppError, toAppError } from '../base/errors.ts'
import type { Job } from '../model/job.ts'
import { forgetLane, laneReporter } from '../operations/lane-health.ts'
import { runLane } from '../operations/run-lane.ts'
import type { JobRun } from '../operations/run-jobs.ts'

export interface LanesOptions {
  signal: AbortSignal
  onNote?: (text: string) => void
  /** Backups that lanes made: for the report and for those who want to hear. */
  onResults: (job: Job, results: readonly JobRun[]) => Promise<void>
}

/** How soon what the configuration says is done. */
const LOOK_MS = 2000
/** How soon another process takes over a lane, and how long after a failure. */
const STANDBY_MS = 5000
const AGAIN_MS = 60_000
/** What was committed is stored after so long at most. */
const SEAL_MS = 5000

interface Followed {
  /** What it was begun with. */
  as: string
  stop: AbortController
  ended: Promise<void>
}

export async function followLanes(app: App, options: LanesOptions): Promise<void> {
  const { signal } = options
  const lanes = new Map<string, Followed>()
  while (!signal.aborted) {
    try {
      await app.refresh()
      const wanted = wantedJobs(app)
      for (const [name, { as, stop, ended }] of lanes) {
        if (wanted.get(name)?.as === as) continue
        stop.abort(new AppError('run.interrupted', `the job ${name} is not what it was`))
        await ended
        lanes.delete(name)
        if (wanted.has(name)) continue
        forgetLane(app.history(), name)
        options.onNote?.(`lane of ${name}: let go`)
      }
      for (const [name, { job, as }] of wanted) {
        if (lanes.has(name)) continue
        const stop = new AbortController()
        const until = AbortSignal.any([signal, stop.signal])
        lanes.set(name, { as, stop, ended: followJob(app, job, { ...options, signal: until }) })
      }
    } catch (thrown) {
      const error = toAppError(thrown)
      app.log.error(`lanes: ${error.message}`, { code: error.code })
    }
    await app.clock.sleep(LOOK_MS, signal).catch(() => undefined)
  }
  await Promise.all([...lanes.values()].map(({ ended }) => ended))
}

/** A pause of its backups is one of its lane too. */
export function wantsLane(app: App, { name, enabled, continuous }: Job): boolean {
  if (!enabled || continuous !== true) return false
  const { pausedUntil } = app.history().service.state(`${name}/backup`) ?? {}
  return pausedUntil === undefined || pausedUntil <= app.clock.now()
}

/** With all that their lanes depend on, in words that can be compared. Those of the configuration file stay as they are. */
function wantedJobs(app: App): Map<string, { job: Job; as: string }> {
  const { jobs, server } = app.settings
  const labels = new Set(server.labels)
  const { definitions } = app.history().server
  const versionOf = (kind: 'job' | 'vault', name: string): string => {
    const found = definitions.get(kind, name)
    return found === undefined ? '' : `${found.id} ${found.version}`
  }
  const wanted = new Map<string, { job: Job; as: string }>()
  for (const job of Object.values(jobs)) {
    if (!wantsLane(app, job)) continue
    if (!job.labels.every((label) => labels.has(label))) continue
    const as = [versionOf('job', job.name), ...job.vaults.map((vault) => `${vault} ${versionOf('vault', vault)}`)]
    wanted.set(job.name, { job, as: as.join('\n') })
  }
  return wanted
}

async function followJob(app: App, job: Job, { signal, onNote, onResults }: LanesOptions): Promise<void> {
  const note = (level: 'info' | 'warn' | 'error', text: string): void => {
    app.log[level](`lane of ${job.name}: ${text}`)
    onNote?.(`lane of ${job.name}: ${text}`)
  }
  while (!signal.aborted) {
    let rest = AGAIN_MS
    try {
      const source = await app.laneSource(job)
      if (source === undefined)
        throw new AppError('config.invalid', `the source of ${job.name} has no log that can be followed`)
      const openers = app.openers()
      const vaults = await Promise.all(job.vaults.map(async (name) => openers.vault(name, job)))
      let told = ''
      await runLane(
        app.deps,
        { job, source, vaults, sealMs: SEAL_MS, base: true, openers },
        {
          signal,
          trigger: 'schedule',
          onBackup: (done) =>
            void onResults(job, [done]).catch((error: unknown) => note('error', toAppError(error).message)),
          onWarning: ({ code, message }) => note(code === 'note' ? 'info' : 'warn', message),
          onState: ({ state, problem }) => {
            const text = state === 'waiting' ? `waiting: ${problem}` : 'following the log'
            if (text !== told) note(state === 'waiting' ? 'warn' : 'info', (told = text))
          },
        },
      )
    } catch (thrown) {
      const error = toAppError(thrown)
      // Another process has it; this one stands by.
      if (error.code === 'run.locked') rest = STANDBY_MS
      else if (!signal.aborted) {
        laneReporter(app.deps, job.name).state({ state: 'waiting', problem: error.message })
        note('error', `${error.code}: ${error.message}`)
      }
    }
    await app.clock.sleep(rest, signal).catch(() => undefined)
  }
}
