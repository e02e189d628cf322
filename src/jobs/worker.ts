/** Takes tasks from the store, one job at a time each, and works on them under a lease. */
import type { Clock } from '../base/clock.ts'
import { AppError, toAppError, type AppError as Failure } from '../base/errors.ts'
import { runId } from '../base/ids.ts'
import type { Claim, ServiceStore, SlotState, Task } from '../model/service.ts'

export interface WorkerDeps {
  clock: Clock
  store: ServiceStore
  /** Does the work; what comes back is written down. Rejects only by a defect, or with `run.interrupted`. */
  execute(task: Task, signal: AbortSignal): Promise<{ state: SlotState; reason?: string }>
  /** Whether this one may begin beside those that others work on. */
  may?(task: Task, atWork: readonly Task[]): boolean
  /** Resolves when something may have come, or the signal aborts. Without it the store is asked often. */
  arrival?(signal: AbortSignal): Promise<void>
  /** How many more may begin now, each time that changes. */
  onRoom?(room: number): void
  /** A task that goes back to the queue with a new run; called in the transaction that puts it there. */
  onQueued(task: Task): void
  /** The store does not answer, or a defect. The worker goes on. */
  onProblem(error: Failure): void
}

export interface WorkerOptions {
  /** Tasks at a time. */
  concurrency: number
  labels?: readonly string[]
  /** How long a stop waits for what is at work before it interrupts it. */
  drainMs: number
  /** No new tasks when this aborts. */
  signal: AbortSignal
}

const LEASE_MS = 60_000
const POLL_MS = 500
/** Where something tells of what comes: only for what was not told. */
const RARE_POLL_MS = 5000
/** After a fault of the store. */
const REST_MS = 5000

/** Works until the signal aborts; resolves when nothing is at work any more. */
export async function work(deps: WorkerDeps, options: WorkerOptions): Promise<void> {
  const { clock, store } = deps
  const { concurrency, labels = [], drainMs, signal } = options
  const active = new Set<Promise<void>>()
  const stopping = new AbortController()

  while (!signal.aborted) {
    let claim: Claim | undefined
    let rest = deps.arrival === undefined ? POLL_MS : RARE_POLL_MS
    deps.onRoom?.(concurrency - active.size)
    try {
      claim = active.size < concurrency ? store.claim(labels, LEASE_MS, deps.may) : undefined
    } catch (error) {
      deps.onProblem(toAppError(error, 'catalogue.failed'))
      rest = REST_MS
    }
    if (claim !== undefined) {
      const working: Promise<void> = one(deps, claim, stopping.signal).finally(() => active.delete(working))
      active.add(working)
      continue
    }
    const turned = new AbortController()
    const any = AbortSignal.any([signal, turned.signal])
    await Promise.race([
      sleep(clock, rest, any),
      ...(deps.arrival === undefined ? [] : [deps.arrival(any)]),
      ...(active.size >= concurrency ? active : []),
    ])
    turned.abort()
  }

  const drained = Promise.all(active)
  const patience = new AbortController()
  await Promise.race([drained, sleep(clock, drainMs, patience.signal)])
  patience.abort()
  stopping.abort(new AppError('run.interrupted', 'the worker was stopped'))
  await drained
}

async function one(deps: WorkerDeps, claim: Claim, stopping: AbortSignal): Promise<void> {
  const { clock, store } = deps
  const lost = new AbortController()
  const ended = new AbortController()
  const renewing = (async () => {
    for (;;) {
      await sleep(clock, LEASE_MS / 4, ended.signal)
      if (ended.signal.aborted) return
      if (!attempt(deps, () => store.renew(claim, LEASE_MS))) {
        lost.abort(new AppError('run.interrupted', 'another worker has this run now'))
        return
      }
    }
  })()
  try {
    const { state, reason } = await deps.execute(claim.task, AbortSignal.any([stopping, lost.signal]))
    const stopped = state === 'interrupted' && stopping.aborted && claim.task.kind !== 'restore'
    await written(deps, () => (stopped ? putBack(deps, claim) : store.finish(claim, state, reason)))
  } catch (thrown) {
    const error = toAppError(thrown)
    deps.onProblem(error)
    await written(deps, () => store.finish(claim, 'failed', error.message))
  } finally {
    ended.abort()
    await renewing
  }
}

/** A stop is no fault of the run: it goes on with the next worker, at once. */
function putBack(deps: WorkerDeps, claim: Claim): boolean {
  return deps.store.release(claim, runId(), deps.clock.now(), deps.onQueued)
}

/** True also when the store cannot be asked: what it does not deny still counts. */
function attempt(deps: WorkerDeps, call: () => boolean): boolean {
  try {
    return call()
  } catch (error) {
    deps.onProblem(toAppError(error, 'catalogue.failed'))
    return true
  }
}

/** How often the end of a task is tried to be written. Its lease is renewed meanwhile, so nobody else takes it. */
const WRITE_TRIES = 12

/** A task whose end was not written would stay claimed for as long as this process lives. */
async function written(deps: WorkerDeps, call: () => boolean): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      call()
      return
    } catch (error) {
      deps.onProblem(toAppError(error, 'catalogue.failed'))
      if (tries === WRITE_TRIES) return
      await deps.clock.sleep(REST_MS)
    }
  }
}

async function sleep(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  await clock.sleep(ms, signal).catch(() => undefined)
}
