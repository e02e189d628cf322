/** Several jobs, one after the other, each into its vaults as its strategy says. */
import { AppError, toAppError } from '../base/errors.ts'
import { runId } from '../base/ids.ts'
import { parseDuration } from '../base/units.ts'
import type { Backup } from '../model/backup.ts'
import type { Job } from '../model/job.ts'
import { newRun, type Run } from '../model/run.ts'
import type { RestoreOrder } from '../model/service.ts'
import type { Source, Target } from '../model/source.ts'
import type { Vault } from '../model/vault.ts'
import { backup, type BackupJob, type BackupResult } from './backup.ts'
import { runHooks, type HookOptions } from './hooks.ts'
import type { PointTargets } from './point-order.ts'
import { shareSource } from './shared-reading.ts'
import { exclusively, statusOf, type Deps, type Recorded, type RunLog } from './recorder.ts'

export interface Openers {
  /** Of a vault, by its name. */
  limits?(name: string): BackupJob['limits']
  source(job: Job): Source | Promise<Source>
  /** Where a restore goes that a task orders. */
  target?(order: RestoreOrder, backup: Backup, dryRun: boolean): Promise<Target>
  vault(name: string, job: Job): Promise<Vault>
  /** Where restores to a moment go. */
  points?: PointTargets
  /** To read what is there; never made anew. `uncached`: all of it from the storage itself. */
  stored?(name: string, how?: { uncached: boolean }): Promise<Vault>
}

export interface JobRun extends Recorded<BackupResult> {
  job: string
  vault: string
  /** It failed, but the job's strategy is content with another vault. */
  madeUp?: boolean
}

export interface RunJobsOptions {
  signal?: AbortSignal
  /** Overrides for this run only. */
  type?: BackupJob['type']
  tags?: string[]
  trigger?: Run['trigger']
  /** The queued run that becomes the first of these. */
  runId?: string
  onDone?: (done: JobRun) => void
  /** Called before anything of the job is done, with the id of its first run. Not waited for. */
  onStart?: (job: Job, runId: string) => void
}

/** Never rejects for a job that fails: its error is in its run, and the others go on. */
export async function runJobs(
  deps: Deps,
  jobs: readonly Job[],
  openers: Openers,
  options: RunJobsOptions = {},
): Promise<JobRun[]> {
  const done: JobRun[] = []
  for (const job of jobs) {
    if (options.signal?.aborted) break
    const own = { ...options, runId: options.runId ?? runId() }
    options.onStart?.(job, own.runId)
    const results = await runJob(deps, job, openers, own)
    for (const result of results) options.onDone?.(result)
    done.push(...results)
  }
  return done
}

async function runJob(deps: Deps, job: Job, openers: Openers, options: RunJobsOptions): Promise<JobRun[]> {
  const results: JobRun[] = []
  // Hooks work before and after the runs themselves; what they say is in the log of the first.
  let log: RunLog | undefined
  const hooking: HookOptions = {
    ...(options.signal && { signal: options.signal }),
    onLine: (line) => {
      log ??= options.runId === undefined ? undefined : deps.openRunLog?.(options.runId)
      log?.write({ type: 'log', level: 'info', message: line })
    },
  }
  try {
    await exclusively(deps, `job:${job.name}`, async () => {
      await runHooks(job.hooks.before, { job: job.name, event: 'before', runId: options.runId }, hooking)
      const source = await openers.source(job)
      const before = job.vaults.length > 1 ? deps.catalogue.runs({ job: job.name, kind: 'backup', limit: 1000 }) : []
      const into = readOnce(job)
        ? intoAllAtOnce(source, { ...job, time: deps.clock.now() }, async (name, shared, time) =>
            intoVault(deps, job, name, shared, openers, { ...options, time }),
          )
        : async (name: string) => intoVault(deps, job, name, source, openers, options)
      results.push(...(await intoVaults(job, into, options)))
      await makeUpFor(deps, job, openers, { before, results, ...(options.signal && { signal: options.signal }) })
      const failed = results.find(({ error, madeUp }) => error !== undefined && madeUp !== true)
      const event = failed === undefined ? 'after' : 'failure'
      await runHooks(
        failed === undefined ? job.hooks.after : job.hooks.onFailure,
        { job: job.name, event, runId: options.runId, run: results.at(-1)?.run },
        hooking,
      )
    })
  } catch (thrown) {
    const error = toAppError(thrown)
    // What a hook behind good backups says must not write over their run.
    const { runId: _, ...others } = options
    const refusal = refused(deps, job, error, results.length > 0 ? others : options)
    results.push(refusal)
    if (results.length === 1 && refusal.run.status === 'failed') await onRefused(job, refusal.run, hooking)
  }
  await log?.close()
  return results
}

/** A vault that took a backup now gets what it missed before. With `priority` a vault misses nothing by being left out. */
async function makeUpFor(
  deps: Deps,
  job: Job,
  openers: Openers,
  { before, results, signal }: { before: readonly Run[]; results: readonly JobRun[]; signal?: AbortSignal },
): Promise<void> {
  if (job.vaults.length < 2 || job.vaultStrategy?.strategy === 'priority') return
  const { catchUp, missedBy } = await import('./catch-up.ts')
  const works = results.filter(({ error }) => error === undefined).map(({ vault }) => vault)
  const copies = deps.catalogue.runs({ job: job.name, kind: 'copy', limit: 1000 })
  const missed = new Map(
    works.map((name) => [name, missedBy(name, before, copies)] as const).filter(([, rounds]) => rounds.length > 0),
  )
  if (missed.size === 0) return
  const open = async (name: string): Promise<Vault> => openers.vault(name, job)
  try {
    await catchUp(deps, { job, missed, open, ...(signal && { signal }) })
  } catch (thrown) {
    // The backups of this round are made: that nothing could be copied has a run of its own.
    refused(deps, job, toAppError(thrown), { kind: 'copy' })
  }
}

/** The job failed before anything was done: that is a failure too. */
async function onRefused(job: Job, run: Run, hooking: HookOptions): Promise<void> {
  const facts = { job: job.name, event: 'failure', runId: run.id, run } as const
  await runHooks(job.hooks.onFailure, facts, hooking).catch((error: unknown) =>
    hooking.onLine?.(`the failure hook failed: ${toAppError(error).message}`),
  )
}

/** All vaults at a time, unless fewer are wanted, or the first that works. */
function readOnce({ vaults, vaultStrategy }: Job): boolean {
  const { strategy = 'all', concurrency = vaults.length, read = 'once' } = vaultStrategy ?? {}
  const distinct = new Set(vaults).size === vaults.length
  return distinct && vaults.length > 1 && strategy !== 'priority' && concurrency >= vaults.length && read === 'once'
}

/** The backups of one reading have one time too: by it, a sibling is known for the same. */
function intoAllAtOnce(
  source: Source,
  { vaults, time }: Pick<Job, 'vaults'> & { time: Date },
  into: (name: string, source: Source, time: Date) => Promise<JobRun>,
): (name: string) => Promise<JobRun> {
  const shared = new Map(shareSource(source, vaults.length).map((one, i) => [vaults[i] ?? '', one]))
  return async (name) => {
    const one = shared.get(name)
    if (one === undefined) throw new AppError('internal.bug', `${name} is no vault of this round`)
    try {
      return await into(name, one.source, time)
    } finally {
      one.leave()
    }
  }
}

/** `all`: each must succeed; `any`: one must; `priority`: one after the other until one does. */
async function intoVaults(
  job: Job,
  into: (name: string) => Promise<JobRun>,
  { signal }: RunJobsOptions,
): Promise<JobRun[]> {
  const { vaults, vaultStrategy: { strategy, concurrency = 1 } = { strategy: 'all' } } = job
  const atATime = strategy === 'priority' ? 1 : readOnce(job) ? vaults.length : concurrency
  const results: JobRun[] = []
  const waiting = vaults.map((name, index) => ({ name, index }))
  const done = ({ error }: JobRun): boolean => error === undefined
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      if (signal?.aborted === true && next.index > 0) return
      results[next.index] = await into(next.name)
      if (strategy === 'priority' && done(results[next.index] as JobRun)) return
    }
  }
  await Promise.all(Array.from({ length: atATime }, work))
  const made = results.filter((result) => result !== undefined)
  if (strategy === 'all' || !made.some(done)) return made
  return made.map((result) => (done(result) ? result : { ...result, madeUp: true }))
}

async function intoVault(
  deps: Deps,
  job: Job,
  name: string,
  source: Source,
  openers: Openers,
  options: RunJobsOptions & { time?: Date },
): Promise<JobRun> {
  try {
    const vault = await openers.vault(name, job)
    const { timezone } = job.schedule ?? {}
    const { trigger, signal, time } = options
    const id = job.vaults[0] === name ? options.runId : undefined
    const limits = openers.limits?.(name)
    const spec: BackupJob = {
      job: job.name,
      source,
      type: options.type ?? job.type,
      ...(job.fullEvery !== undefined && { fullEveryMs: parseDuration(job.fullEvery) }),
      tags: [...job.tags, ...(options.tags ?? [])],
      verifyAfter: job.verify.afterBackup,
      assertions: job.verify.assert,
      ...(job.verify.shrink !== undefined && { shrink: job.verify.shrink }),
      ...(job.retention && { retention: job.retention }),
      ...(timezone !== undefined && { timezone }),
      ...(limits && { limits }),
      ...(trigger && { trigger }),
      ...(time && { time }),
      ...(id !== undefined && { runId: id }),
    }
    return { job: job.name, vault: vault.name, ...(await backup(deps, spec, vault, signal ? { signal } : {})) }
  } catch (thrown) {
    const { runId: _, ...others } = options
    const own = job.vaults[0] === name ? options : others
    return { ...refused(deps, job, toAppError(thrown), { ...own, vault: name }), vault: name }
  }
}

/** A job that could not even begin has a run too: else nobody would see that it did not run. */
function refused(
  deps: Deps,
  job: Job,
  error: AppError,
  {
    trigger = 'manual',
    runId: id = runId(),
    vault,
    kind = 'backup',
  }: RunJobsOptions & { vault?: string; kind?: Run['kind'] },
): JobRun {
  const now = deps.clock.now()
  const { code, message, hint } = error
  const run = newRun({
    id,
    kind,
    job: job.name,
    status: statusOf(error),
    trigger,
    createdAt: now,
    startedAt: now,
    endedAt: now,
    error: { code, message, hint },
    ...(vault !== undefined && { vault }),
  })
  deps.catalogue.saveRun(run)
  return { job: job.name, vault: job.vaults[0] ?? '', run, error }
}
