/** A job's lane with the backups that it needs: one where the log begins anew, and every `fullEvery`. */
import { toAppError } from '../base/errors.ts'
import { parseDuration } from '../base/units.ts'
import type { Job } from '../model/job.ts'
import type { LaneSource } from '../model/lane.ts'
import type { Warning } from '../model/progress.ts'
import type { Vault } from '../model/vault.ts'
import { followLane, type LaneOptions } from './lane.ts'
import { laneReporter, type LaneReporter } from './lane-health.ts'
import { exclusively, type Deps } from './recorder.ts'
import { planPrune, pruneAndKeepLocks } from './prune.ts'
import { viewLane } from './restore-point.ts'
import { runJobs, type JobRun, type Openers } from './run-jobs.ts'
import type { Run } from '../model/run.ts'

export interface RunLane {
  job: Job
  source: LaneSource
  vaults: readonly Vault[]
  sealMs: number
  /** Make the backups. */
  base: boolean
  openers: Openers
}

export interface RunLaneOptions extends Omit<LaneOptions, 'onNewLineage'> {
  trigger?: Run['trigger']
  onBackup?: (done: JobRun) => void
}

const LOOK_MS = 1000
const AGAIN_MS = 60_000
const PRUNE_MS = 3_600_000
const DEFAULT_EVERY = '1d'

/** One lane of a job at a time. Ends when the signal aborts. */
export async function runLane(deps: Deps, lane: RunLane, options: RunLaneOptions): Promise<void> {
  const { clock } = deps
  const { job, source, vaults, sealMs } = lane
  await exclusively(deps, `lane:${job.name}`, async () => {
    const ended = new AbortController()
    const signal = AbortSignal.any([options.signal, ended.signal])
    const health = laneReporter(deps, job.name)
    let following = false
    const following$ = followLane(
      clock,
      { job: job.name, source, vaults, sealMs },
      {
        ...options,
        signal,
        onState: (state) => {
          following ||= state.state === 'following'
          health.state(state)
          // What is stored then begins with a copy.
          if (source.copies === true && state.until !== undefined && state.until > new Date(0)) health.gapOver()
          options.onState?.(state)
        },
        onSlot(message) {
          health.slot(message)
          if (message !== undefined) options.onWarning({ code: 'slot', message })
        },
        onNewLineage({ first, message }) {
          if (!first) health.gap(message)
          options.onWarning(begins(first, message, source.copies === true))
        },
      },
    )
      .catch((error: unknown) => {
        health.state({ state: 'waiting', problem: toAppError(error).message })
        throw error
      })
      .finally(() => ended.abort())
    // What is pruned after each backup elsewhere.
    if (source.copies === true) await keepPruned(deps, lane, { ...options, signal })
    else if (lane.base) await keepBased(deps, lane, { ...options, signal }, { following: () => following, health })
    await following$
  })
}

function begins(first: boolean, message: string, copies: boolean): Warning {
  const next = copies ? 'with the copy that is made now' : 'with the first backup that is made while this runs'
  if (first) return { code: 'note', message: `points in time begin ${next}` }
  return { code: 'lane', message: `points in time have a gap and begin again ${next}: ${message}` }
}

async function keepPruned(deps: Deps, { job, vaults }: RunLane, { signal, onWarning }: RunLaneOptions): Promise<void> {
  const { retention } = job
  while (!signal.aborted) {
    await deps.clock.sleep(PRUNE_MS, signal).catch(() => undefined)
    if (signal.aborted || retention === undefined) continue
    for (const vault of vaults)
      try {
        const plan = await planPrune(deps, vault, { job: job.name, retention })
        await pruneAndKeepLocks(deps, vault, plan, { signal, onWarning })
      } catch (error) {
        onWarning({ code: 'prune', message: `old log could not be removed: ${toAppError(error).message}` })
      }
  }
}

/** Makes a backup where none lies in the newest stretch of log, and when the last one is old. */
async function keepBased(
  deps: Deps,
  lane: RunLane,
  options: RunLaneOptions,
  { following, health }: { following: () => boolean; health: LaneReporter },
): Promise<void> {
  const { clock } = deps
  const { job, vaults, openers } = lane
  const { signal, onWarning, trigger, onBackup } = options
  // Where a schedule makes them, only what is missing is made here.
  const { fullEvery = job.schedule === undefined ? DEFAULT_EVERY : undefined } = job
  const everyMs = fullEvery === undefined ? Infinity : parseDuration(fullEvery)
  let notBefore = 0
  while (!signal.aborted) {
    await clock.sleep(LOOK_MS, signal).catch(() => undefined)
    if (signal.aborted || !following() || clock.monotonic() < notBefore) continue
    try {
      const due: string[] = []
      for (const vault of vaults) if (await isDue(vault, job.name, everyMs, clock.now())) due.push(vault.name)
      notBefore = clock.monotonic() + AGAIN_MS
      if (due.length === 0) continue
      const results = await runJobs(
        deps,
        [{ ...job, vaults: job.vaults.filter((name) => due.includes(name)) }],
        openers,
        {
          signal,
          type: 'full',
          ...(trigger && { trigger }),
        },
      )
      for (const done of results) {
        onBackup?.(done)
        if (done.error !== undefined)
          onWarning({
            code: 'backup',
            message: `the backup that points in time begin with failed: ${done.error.message}`,
          })
        else {
          health.gapOver()
          onWarning({ code: 'note', message: `points in time begin with ${done.result?.backup.id}` })
        }
      }
    } catch (error) {
      if (signal.aborted) return
      notBefore = clock.monotonic() + AGAIN_MS
      onWarning({ code: 'backup', message: `whether a backup is due cannot be told: ${toAppError(error).message}` })
    }
  }
}

async function isDue(vault: Vault, job: string, everyMs: number, now: Date): Promise<boolean> {
  const view = await viewLane(vault, job)
  const newest = view?.chains.at(-1)
  if (view === undefined || newest === undefined) return true
  const own = view.windows.filter(({ chain }) => chain === newest).flatMap(({ bases }) => bases)
  const last = own.reduce((time, base) => Math.max(time, base.time.getTime()), 0)
  return now.getTime() - last >= everyMs
}
