/** Every operation is a run: recorded from its start to its one end, with stages, last figures, warnings and error. */
import { hostname } from 'node:os'
import type { Clock } from '../base/clock.ts'
import { AppError, isAbort, toAppError } from '../base/errors.ts'
import { runId } from '../base/ids.ts'
import type { Catalogue } from '../model/catalogue.ts'
import type { PointTrial } from '../model/lane.ts'
import type { OnProgress, ProgressEvent, Warning } from '../model/progress.ts'
import type { Target, Trial } from '../model/source.ts'
import { newRun, type Run, type RunKind, type RunStatus } from '../model/run.ts'

export interface Deps {
  clock: Clock
  catalogue: Catalogue
  /** Opens the run's own log. */
  openRunLog?: (id: string) => RunLog
  /** Sees every event of every run. */
  onEvent?: (run: Run, event: ProgressEvent) => void
  /** Calls back, until disposed, for what goes wrong in this vault's storage without ending the work. */
  watchVault?: (vault: string, onWarning: (warning: Warning) => void) => Disposable
  host?: string
  /** Holds a run that works on a vault to a rate, in KiB a second; undefined: to what the settings say again. */
  limitRun?: (run: { id: string; vault: string }, rate: number | 'none' | undefined) => void
  /** How to show that backups of a kind of source restore, where that takes more than a folder. */
  trial?: (source: string) => Promise<Trial | undefined>
  /** How to show that moments of an engine restore. */
  pointTrial?: (engine: string) => Promise<PointTrial | undefined>
  /** Makes the target of a trial restore in a scratch folder. */
  scratchTarget?: (root: string) => Target
}

export interface RunLog {
  readonly path: string
  write(event: ProgressEvent | { type: 'end'; status: RunStatus; error?: Run['error'] }): void
  close(): Promise<void>
}

export interface RunHandle {
  readonly run: Run
  /** Aborted by the caller, or by who asks the catalogue to cancel the run. */
  readonly signal: AbortSignal
  readonly onProgress: OnProgress
  readonly onWarning: (warning: Warning) => void
  stage(stage: Run['stages'][number]['stage'], detail?: string): void
  log(level: 'debug' | 'info' | 'warn' | 'error', message: string): void
}

export interface Recorded<T> {
  run: Run
  result?: T
  error?: AppError
}

const KEPT_WARNINGS = 100
/** Whoever watches sees two steps a second. */
const SAVE_EVERY_MS = 500
/** How soon a run sees that it was asked to stop, or to be slower. */
const LOOK_EVERY_MS = 1000
/** Warnings that leave a backup whole: a socket skipped, a link not followed. */
const HARMLESS = new Set(['note'])

export interface RunStart {
  kind: RunKind
  job: string
  vault?: string
  trigger?: Run['trigger']
  /** Of a run that waits in the queue and now begins. */
  id?: string | undefined
  signal?: AbortSignal | undefined
}

/** Runs `work`; never rejects: the outcome is in the run, which is stored before this resolves. */
export async function recorded<T>(
  deps: Deps,
  { signal, id: queued, ...start }: RunStart,
  work: (handle: RunHandle) => Promise<T>,
): Promise<Recorded<T>> {
  const { clock, catalogue } = deps
  const now = clock.now()
  const id = queued ?? runId()
  const createdAt = (queued === undefined ? undefined : catalogue.run(queued)?.createdAt) ?? now
  const run = newRun({ id, ...start, status: 'running', createdAt, startedAt: now })
  const log = deps.openRunLog?.(run.id)
  if (log !== undefined) run.log = log.path
  let saved = 0

  const save = (): void => {
    saved = clock.monotonic()
    catalogue.saveRun(run)
  }
  function endStage(status: 'success' | 'failed'): void {
    const open = run.stages.at(-1)
    if (open === undefined || open.status !== 'running') return
    open.status = status
    open.endedAt = clock.now()
  }
  const onProgress: OnProgress = (event) => {
    if (event.type === 'stage') {
      endStage('success')
      run.stages.push({ stage: event.stage, startedAt: clock.now(), status: 'running' })
      save()
    } else if (event.type === 'warning') {
      if (HARMLESS.has(event.code)) {
        run.noteCount = (run.noteCount ?? 0) + 1
        keep((run.notes ??= []), event)
      } else {
        run.warningCount += 1
        keep(run.warnings, event)
      }
    } else if (event.type === 'progress') {
      run.counters = event.counters
      if (clock.monotonic() - saved > SAVE_EVERY_MS) save()
    }
    if (event.type !== 'progress') log?.write(event)
    deps.onEvent?.(run, event)
  }
  const asked = new AbortController()
  const handle: RunHandle = {
    run,
    signal: signal === undefined ? asked.signal : AbortSignal.any([signal, asked.signal]),
    onProgress,
    onWarning: (warning) => onProgress({ type: 'warning', ...warning }),
    stage: (stage, detail) => onProgress({ type: 'stage', stage, ...(detail !== undefined && { detail }) }),
    log: (level, message) => onProgress({ type: 'log', level, message }),
  }

  save()
  using _watching = start.vault === undefined ? undefined : deps.watchVault?.(start.vault, handle.onWarning)
  const { vault } = start
  let rate: number | 'none' | undefined
  const hold = (next: typeof rate): void => {
    if (next === rate || vault === undefined) return
    rate = next
    deps.limitRun?.({ id: run.id, vault }, next)
    if (next !== undefined)
      handle.log('info', next === 'none' ? 'not limited, by hand' : `limited to ${next} KiB/s, by hand`)
  }
  const look = (): void => {
    const by = catalogue.cancelAsked(run.id)
    if (by !== undefined) asked.abort(new AppError('run.cancelled', `cancelled by ${by}`))
    hold(catalogue.limitAsked(run.id))
  }
  // Of a run that waited it may be known before it begins.
  if (queued !== undefined) look()
  const looking = setInterval(look, LOOK_EVERY_MS).unref()
  let outcome: { result: T } | { error: AppError }
  try {
    outcome = { result: await work(handle) }
    endStage('success')
    run.status = run.warningCount > 0 ? 'warning' : 'success'
  } catch (thrown) {
    const error = toAppError(thrown)
    outcome = { error }
    endStage('failed')
    run.status = statusOf(error)
    run.error = { code: error.code, message: error.message, hint: error.hint }
  }
  clearInterval(looking)
  hold(undefined)
  run.endedAt = clock.now()
  log?.write({ type: 'end', status: run.status, ...(run.error && { error: run.error }) })
  await log?.close()
  save()
  return { run, ...outcome }
}

/** What a run that ended with this error is called. */
export function statusOf(error: AppError): RunStatus {
  if (error.code === 'run.interrupted') return 'interrupted'
  if (isAbort(error)) return 'cancelled'
  return error.code === 'run.skipped' ? 'skipped' : 'failed'
}

function keep(list: Warning[], { code, message, path }: Warning): void {
  if (list.length < KEPT_WARNINGS) list.push({ code, message, ...(path !== undefined && { path }) })
}

/** Two runs of one job never overlap on this catalogue. */
export async function exclusively<T>(deps: Deps, name: string, work: () => Promise<T>): Promise<T> {
  using lease = deps.catalogue.lease(name)
  if (lease === undefined) {
    const owner = deps.catalogue.leaseOwner(name) ?? 'another process'
    throw new AppError('run.locked', `${name.replace(':', ' ')} is already at work in ${owner}`)
  }
  return await work()
}

export const hostOf = (deps: Deps): string => deps.host ?? hostname()
