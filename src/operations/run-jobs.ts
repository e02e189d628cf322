/** Several jobs, each into its vaults, one after the other; then the report and the messages about them. */
import { AppError, toAppError } from '../base/errors.ts'
import { runId } from '../base/ids.ts'
import { parseDuration } from '../base/units.ts'
import type { Job } from '../model/job.ts'
import type { Run } from '../model/run.ts'
import type { Source } from '../model/source.ts'
import type { Vault } from '../model/vault.ts'
import { backup, type BackupJob, type BackupResult } from './backup.ts'
import { runHooks } from './hooks.ts'
import { exclusively, type Deps, type Recorded } from './recorder.ts'

export interface Openers {
  source(job: Job): Source
  vault(name: string, job: Job): Promise<Vault>
}

export interface JobRun extends Recorded<BackupResult> {
  job: string
  vault: string
}

export interface RunJobsOptions {
  signal?: AbortSignal
  /** Overrides for this run only. */
  type?: BackupJob['type']
  tags?: string[]
  trigger?: Run['trigger']
  onDone?: (done: JobRun) => void
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
    const results = await runJob(deps, job, openers, options)
    for (const result of results) options.onDone?.(result)
    done.push(...results)
  }
  return done
}

async function runJob(deps: Deps, job: Job, openers: Openers, options: RunJobsOptions): Promise<JobRun[]> {
  const results: JobRun[] = []
  try {
    await exclusively(deps, `job:${job.name}`, async () => {
      await runHooks(job.hooks.before, { job: job.name, event: 'before' }, options)
      const source = openers.source(job)
      for (const name of job.vaults) results.push(await intoVault(deps, job, name, source, openers, options))
      const failed = results.find(({ error }) => error !== undefined)
      const event = failed === undefined ? 'after' : 'failure'
      await runHooks(
        failed === undefined ? job.hooks.after : job.hooks.onFailure,
        { job: job.name, event, run: results.at(-1)?.run },
        options,
      )
    })
  } catch (thrown) {
    results.push(refused(deps, job, toAppError(thrown), options))
  }
  return results
}

async function intoVault(
  deps: Deps,
  job: Job,
  name: string,
  source: Source,
  openers: Openers,
  options: RunJobsOptions,
): Promise<JobRun> {
  try {
    const vault = await openers.vault(name, job)
    const { timezone } = job.schedule ?? {}
    const { trigger, signal } = options
    const spec: BackupJob = {
      job: job.name,
      source,
      type: options.type ?? job.type,
      ...(job.fullEvery !== undefined && { fullEveryMs: parseDuration(job.fullEvery) }),
      tags: [...job.tags, ...(options.tags ?? [])],
      verifyAfter: job.verify.afterBackup,
      ...(job.retention && { retention: job.retention }),
      ...(timezone !== undefined && { timezone }),
      ...(trigger && { trigger }),
    }
    return { job: job.name, vault: vault.name, ...(await backup(deps, spec, vault, signal ? { signal } : {})) }
  } catch (thrown) {
    return { ...refused(deps, job, toAppError(thrown), options), vault: name }
  }
}

/** A job that could not even begin has a run too: else nobody would see that it did not run. */
function refused(deps: Deps, job: Job, error: AppError, { trigger = 'manual' }: RunJobsOptions): JobRun {
  const now = deps.clock.now()
  const run: Run = {
    id: runId(),
    kind: 'backup',
    job: job.name,
    status: error.code === 'run.skipped' ? 'skipped' : error.code === 'run.cancelled' ? 'cancelled' : 'failed',
    trigger,
    createdAt: now,
    startedAt: now,
    endedAt: now,
    error: { code: error.code, message: error.message, hint: error.hint },
    warnings: [],
    warningCount: 0,
    stages: [],
  }
  deps.catalogue.saveRun(run)
  return { job: job.name, vault: job.vaults[0] ?? '', run, error }
}
