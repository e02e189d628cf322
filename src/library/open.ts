/** The library's door: the operations of the command line as methods, on one configuration, without global state. */
import { createApp, parseStorageUrl, type App, type VaultOpening } from '../app.ts'
import { AppError } from '../base/errors.ts'
import { assemble } from '../config/assemble.ts'
import { defaultDataDir } from '../config/defaults.ts'
import { loadConfig } from '../config/load.ts'
import type { Backup, BackupFilter, BackupType, ProofLevel } from '../model/backup.ts'
import type { ProgressEvent } from '../model/progress.ts'
import type { Retention } from '../model/retention.ts'
import type { Run } from '../model/run.ts'
import type { Source, Target } from '../model/source.ts'
import type { EntrySelection } from '../model/vault.ts'
import { backup } from '../operations/backup.ts'
import { applyPrune, planPrune, type PrunePlan } from '../operations/prune.ts'
import { recorded, type Recorded } from '../operations/recorder.ts'
import { restore, type RestoreResult } from '../operations/restore.ts'
import { runJobs, type JobRun } from '../operations/run-jobs.ts'
import { verify, type VerifyReport } from '../operations/verify.ts'

export interface OpenOptions {
  profile?: string
  env?: NodeJS.ProcessEnv
  /** Every event of every run of this instance. */
  onEvent?: (run: Run, event: ProgressEvent) => void
}

export interface Cancel {
  signal?: AbortSignal
}

export interface SourceBackup {
  /** Anything that meets the contract. */
  source: Source
  job: string
  /** A configured name, a path or a URL; made on first use. */
  vault: string
  type?: BackupType | 'auto'
  tags?: string[]
  verifyAfter?: ProofLevel
  opening?: VaultOpening
}

export interface Holdfast extends AsyncDisposable {
  /** For what has no method here. */
  readonly app: App
  /** Runs configured jobs, all that are enabled if none is named. A job that fails tells so in its result. */
  runJobs(names?: readonly string[], options?: Cancel & { type?: BackupType | 'auto' }): Promise<JobRun[]>
  /** Backs up one source; rejects if there is no backup afterwards. */
  backup(request: SourceBackup, options?: Cancel): Promise<Backup>
  /** Oldest first. */
  list(vault: string, filter?: BackupFilter & Cancel): Promise<Backup[]>
  restore(
    request: { vault: string; backup: string; target: Target; selection?: EntrySelection },
    options?: Cancel,
  ): Promise<RestoreResult>
  verify(request: { vault: string; backup: string; level: ProofLevel }, options?: Cancel): Promise<VerifyReport>
  /** The plan; with `apply` it is done. */
  prune(
    request: { vault: string; job?: string; retention: Retention; apply?: boolean },
    options?: Cancel,
  ): Promise<PrunePlan>
  close(): Promise<void>
}

/** A configuration file, the text of none (`undefined`: found as by the command line), or its content as an object. */
export async function open(config?: string | Record<string, unknown>, options: OpenOptions = {}): Promise<Holdfast> {
  const { env = process.env, profile, onEvent } = options
  const shared = { cwd: process.cwd(), env, parseStorageUrl, ...(profile !== undefined && { profile }) }
  const { settings } =
    typeof config === 'object'
      ? await assemble({ ...shared, flags: config, file: undefined, base: shared.cwd, dataDir: defaultDataDir(env) })
      : await loadConfig({ ...shared, ...(config !== undefined && { explicitPath: config }) })
  return holdfast(createApp(settings, onEvent ? { onEvent } : {}))
}

function holdfast(app: App): Holdfast {
  const { deps } = app
  const find = async (vault: string, id: string, { signal }: Cancel): Promise<Backup> => {
    const backups = await (await app.vault(vault)).backups(signal ? { signal } : {})
    const found = id === 'latest' ? backups.at(-1) : backups.find((each) => each.id === id)
    if (found === undefined) throw new AppError('backup.not-found', `there is no backup ${id} in ${vault}`)
    return found
  }
  return {
    app,
    async runJobs(names, runOptions = {}) {
      const { jobs } = app.settings
      const wanted = names?.map((name) => app.job(name)) ?? Object.values(jobs).filter(({ enabled }) => enabled)
      return runJobs(
        deps,
        wanted,
        {
          source: (job) => app.source(job.source, { vaults: job.vaults }),
          vault: (name) => app.vault(name, { create: true }),
        },
        runOptions,
      )
    },
    async backup({ source, job, vault: place, type = 'auto', tags = [], verifyAfter = 'V0', opening }, cancel = {}) {
      const vault = await app.vault(place, { create: true, ...opening })
      return resultOf(await backup(deps, { job, source, type, tags, verifyAfter }, vault, cancel)).backup
    },
    async list(vault, { signal, job, id, tags, since, until, host } = {}) {
      const backups = await (await app.vault(vault)).backups(signal ? { signal } : {})
      return backups.filter(
        (each) =>
          (job === undefined || each.job === job) &&
          (id === undefined || each.id === id) &&
          (host === undefined || each.host === host) &&
          (tags === undefined || tags.every((tag) => each.tags.includes(tag))) &&
          (since === undefined || each.time >= since) &&
          (until === undefined || each.time <= until),
      )
    },
    async restore({ vault, backup: id, target, selection = {} }, cancel = {}) {
      const found = await find(vault, id, cancel)
      return resultOf(await restore(deps, await app.vault(vault), { backup: found, target, selection }, cancel))
    },
    async verify({ vault: place, backup: id, level }, cancel = {}) {
      const { id: backupId, job } = await find(place, id, cancel)
      const vault = await app.vault(place)
      const start = { kind: 'verify', job, vault: vault.name, ...cancel } as const
      return resultOf(
        await recorded(deps, start, async (handle) =>
          verify(deps, vault, backupId, level, { handle, signal: handle.signal }),
        ),
      )
    },
    async prune({ vault: place, apply = false, ...request }, cancel = {}) {
      const vault = await app.vault(place)
      const plan = await planPrune(deps, vault, request)
      return apply ? applyPrune(deps, vault, plan, cancel) : plan
    },
    close: async () => app.close(),
    [Symbol.asyncDispose]: async () => app.close(),
  }
}

function resultOf<T>({ result, error, run }: Recorded<T>): T {
  if (error !== undefined) throw error
  if (result === undefined) throw new AppError('run.failed', `run ${run.id} gave no result`)
  return result
}
