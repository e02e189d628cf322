/** What a worker does with a task: the job's backups, or the proof of its newest one. */
import { AppError, toAppError } from '../base/errors.ts'
import type { ProofLevel } from '../model/backup.ts'
import type { Job } from '../model/job.ts'
import type { SlotState, Task } from '../model/service.ts'
import type { Run } from '../model/run.ts'
import type { Vault } from '../model/vault.ts'
import { check } from './check.ts'
import { recorded, statusOf, type Deps, type RunHandle } from './recorder.ts'
import { restorePointByOrder } from './point-order.ts'
import { verifyPoint } from './point-verify.ts'
import { viewLane } from './restore-point.ts'
import { restoreByOrder } from './restore-order.ts'
import { runJobs, type JobRun, type Openers } from './run-jobs.ts'
import { verify } from './verify.ts'

export interface TaskOutcome {
  state: SlotState
  reason?: string
  /** Of backups, for the report and for those who want to hear. */
  results: JobRun[]
}

export async function executeTask(
  deps: Deps,
  task: Task,
  job: Job | undefined,
  openers: Openers,
  signal: AbortSignal,
  onStart?: (job: Job, runId: string) => void,
): Promise<TaskOutcome> {
  if (task.kind === 'restore') return bring(deps, task, job, openers, signal)
  if (task.kind === 'check') return look(deps, task, openers, signal)
  if (job === undefined) {
    const error = new AppError('job.not-found', `there is no job ${task.job} any more`)
    endQueued(deps, task.run, error)
    return { state: 'skipped', reason: error.message, results: [] }
  }
  if (task.kind === 'verify') return prove(deps, task, job, openers, signal)
  const results = await runJobs(deps, [job], openers, {
    signal,
    trigger: task.trigger,
    runId: task.run,
    ...(onStart && { onStart }),
  })
  // Nothing was begun at all, as when the signal came first.
  if (results.length === 0) endQueued(deps, task.run, toAppError(signal.reason, 'run.cancelled'))
  return { ...stateOf(results, signal), results }
}

async function look(deps: Deps, task: Task, openers: Openers, signal: AbortSignal): Promise<TaskOutcome> {
  const { vault: name, readData = 0 } = task.options ?? {}
  const { run: id, trigger } = task
  try {
    if (name === undefined || openers.stored === undefined)
      throw new AppError('internal.bug', 'this check does not say what it looks at')
    const vault = await openers.stored(name, { uncached: true })
    const { run, error } = await check(deps, vault, { readData, trigger, id, signal })
    if (error === undefined) return { state: 'done', results: [] }
    return { state: slotState(run.status), reason: error.message, results: [] }
  } catch (thrown) {
    const error = toAppError(thrown)
    endQueued(deps, id, error)
    return { state: slotState(statusOf(error)), reason: error.message, results: [] }
  }
}

/** The job may be gone, as its backups are not. */
async function bring(
  deps: Deps,
  task: Task,
  job: Job | undefined,
  openers: Openers,
  signal: AbortSignal,
): Promise<TaskOutcome> {
  const { backup: id, vault: name, restore: order } = task.options ?? {}
  const start = { kind: 'restore', job: task.job, trigger: task.trigger, signal, id: task.run } as const
  const { run, error } = await recorded(
    deps,
    { ...start, ...(name !== undefined && { vault: name }) },
    async (handle) => {
      if (name === undefined || order === undefined || openers.stored === undefined)
        throw new AppError('internal.bug', 'this restore does not say what it restores')
      const vault = await openers.stored(name)
      const { point } = order
      if (point !== undefined && openers.points !== undefined) {
        const asked = { vault, job: task.job, order: { ...order, point }, source: job?.source }
        return restorePointByOrder(deps, openers.points, asked, handle)
      }
      const backup = (await vault.backups({ signal: handle.signal })).find((one) => one.id === id)
      if (backup === undefined) throw new AppError('backup.not-found', `there is no backup ${id} in ${name}`)
      await restoreByOrder(deps, openers, { vault, backup, order, vaults: job?.vaults ?? [] }, handle)
    },
  )
  if (error === undefined) return { state: 'done', results: [] }
  return { state: slotState(run.status), reason: error.message, results: [] }
}

async function prove(deps: Deps, task: Task, job: Job, openers: Openers, signal: AbortSignal): Promise<TaskOutcome> {
  const level = task.level ?? job.verify.restoreTest?.level ?? 'V3'
  let failure: AppError | undefined
  const only = task.options?.vault
  for (const [n, name] of (only === undefined ? job.vaults : [only]).entries()) {
    const start = { kind: 'verify', job: job.name, vault: name, trigger: task.trigger, signal } as const
    const { error } = await recorded(deps, { ...start, ...(n === 0 && { id: task.run }) }, async (handle) => {
      const vault = await openers.vault(name, job)
      const wanted = task.options?.backup
      if (job.continuous === true && wanted === undefined && (await viewLane(vault, job.name))?.windows.length) {
        await provePoint(deps, vault, job, level, handle)
        return
      }
      const backup = (await vault.backups({ signal: handle.signal })).findLast(
        (each) => each.job === job.name && (wanted === undefined || each.id === wanted),
      )
      if (backup === undefined) throw new AppError('run.skipped', `${name} has no backup of ${job.name} to prove`)
      handle.run.backupId = backup.id
      handle.stage('verify', level)
      const report = await verify(deps, vault, backup.id, level, {
        handle,
        signal: handle.signal,
        source: backup.source,
        assertions: job.verify.assert,
      })
      deps.catalogue.saveBackup({ ...backup, proof: { level: report.level, at: deps.clock.now() } })
      handle.run.summary = { level: report.level, ok: report.ok, checks: report.checks }
      if (report.ok) return
      const why = report.checks.find(({ ok }) => !ok)?.detail ?? 'see the log'
      throw new AppError(
        report.damaged ? 'verify.damaged' : 'run.failed',
        `${backup.id} is not proved to ${level}: ${why}`,
      )
    })
    failure ??= error
  }
  if (failure === undefined) return { state: 'done', results: [] }
  return { state: slotState(statusOf(failure)), reason: failure.message, results: [] }
}

/** Of a continuous job the newest moment is proved: its backup, and all of the log after it. */
async function provePoint(deps: Deps, vault: Vault, job: Job, level: ProofLevel, handle: RunHandle): Promise<void> {
  handle.stage('verify', level)
  const asked = { job: job.name, asked: { kind: 'point', text: 'latest' } } as const
  const report = await verifyPoint(deps, vault, asked, level, {
    handle,
    signal: handle.signal,
    assertions: job.verify.assert,
  })
  const { backupId, point, reached } = report
  if (backupId !== undefined) {
    handle.run.backupId = backupId
    const backup = (await vault.backups({ signal: handle.signal })).find(({ id }) => id === backupId)
    if (backup !== undefined) deps.catalogue.saveBackup(backup)
  }
  handle.run.summary = { level: report.level, ok: report.ok, checks: report.checks, point, reached: reached?.position }
  if (report.ok) return
  const why = report.checks.find(({ ok }) => !ok)?.detail ?? 'see the log'
  throw new AppError(report.damaged ? 'verify.damaged' : 'run.failed', `${point} is not proved to ${level}: ${why}`)
}

function stateOf(results: readonly JobRun[], signal: AbortSignal): { state: SlotState; reason?: string } {
  const failed = results.find(({ error, madeUp }) => error !== undefined && madeUp !== true)
  if (failed?.error !== undefined) return { state: slotState(failed.run.status), reason: failed.error.message }
  return results.length === 0 && signal.aborted ? { state: 'interrupted', reason: 'stopped' } : { state: 'done' }
}

const slotState = (status: Run['status']): SlotState =>
  status === 'interrupted' ? 'interrupted' : status === 'skipped' ? 'skipped' : 'failed'

/** A run that waited and will not begin. */
export function endQueued(deps: Pick<Deps, 'catalogue' | 'clock'>, id: string, error: AppError): void {
  const run = deps.catalogue.run(id)
  if (run?.status !== 'queued') return
  const { code, message, hint } = error
  deps.catalogue.saveRun({ ...run, status: statusOf(error), endedAt: deps.clock.now(), error: { code, message, hint } })
}
