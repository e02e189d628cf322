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
import type { Entry } from '../model/entry.ts'
import { literalSecret } from '../model/secret.ts'
import type { Storage } from '../model/storage.ts'
import type { BackupNotes, CheckResult, EntrySelection } from '../model/vault.ts'
import { backup } from '../operations/backup.ts'
import { check } from '../operations/check.ts'
import { copy, type CopyResult } from '../operations/copy.ts'
import { diff, type Difference } from '../operations/diff.ts'
import { annotate } from '../operations/hold.ts'
import { planPrune, pruneAndKeepLocks, type PrunePlan } from '../operations/prune.ts'
import { recorded, type Deps, type Recorded } from '../operations/recorder.ts'
import { restore, type RestoreResult } from '../operations/restore.ts'
import { runJobs, type JobRun } from '../operations/run-jobs.ts'
import { stats, type VaultStats } from '../operations/stats.ts'
import { verify, type VerifyReport } from '../operations/verify.ts'
import { Channel, operation, type Operation, type RunEvent } from './operation.ts'

export interface OpenOptions {
  profile?: string
  env?: NodeJS.ProcessEnv
  /** Every event of every run of this instance. */
  onEvent?: (run: Run, event: ProgressEvent) => void
  /** Vaults on storages of one's own, by the names that methods and jobs use; each is opened when it is first used. */
  vaults?: Record<string, GivenVault>
}

/** Anything that meets the contract of a storage, and how the archive vault on it is made. */
export interface GivenVault extends Pick<VaultOpening, 'path' | 'compression' | 'partSize'> {
  storage: Storage
  /** Encrypts the vault. */
  password?: string
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
  /** Small facts kept with the backup, readable without a key. */
  labels?: Record<string, string>
  verifyAfter?: ProofLevel
  /** Applied after success. */
  retention?: Retention
  opening?: VaultOpening
}

export interface Holdfast extends AsyncDisposable {
  /** For what has no method here. */
  readonly app: App
  /** Every event of every run of this instance from now on, until it is closed. */
  events(options?: Cancel): AsyncIterable<RunEvent>
  /** Runs configured jobs, all that are enabled if none is named. A job that fails tells so in its result. */
  runJobs(names?: readonly string[], options?: Cancel & { type?: BackupType | 'auto' }): Operation<JobRun[]>
  /** Backs up one source; rejects if there is no backup afterwards. */
  backup(request: SourceBackup, options?: Cancel): Operation<Backup>
  /** Oldest first. */
  list(vault: string, filter?: BackupFilter & Cancel): Promise<Backup[]>
  restore(
    request: { vault: string; backup: string; target: Target; selection?: EntrySelection },
    options?: Cancel,
  ): Operation<RestoreResult>
  verify(request: { vault: string; backup: string; level: ProofLevel }, options?: Cancel): Operation<VerifyReport>
  /** Integrity of a whole vault; with `readData` of every stored byte. */
  check(request: { vault: string; readData?: boolean }, options?: Cancel): Operation<CheckResult>
  /** Into another vault, of either format. */
  copy(request: { vault: string; backup: string; to: string }, options?: Cancel): Operation<CopyResult>
  /** What is in a backup, in path order. */
  entries(vault: string, backup: string, selection?: EntrySelection): AsyncIterable<Entry>
  diff(vault: string, from: string, to: string, options?: Cancel): AsyncIterable<Difference>
  /** Tags and holds. */
  annotate(vault: string, backup: string, notes: Omit<BackupNotes, 'proof'>): Promise<void>
  stats(vault: string, options?: Cancel): Promise<VaultStats>
  /** The plan; with `apply` it is done. */
  prune(
    request: { vault: string; job?: string; retention: Retention; apply?: boolean },
    options?: Cancel,
  ): Promise<PrunePlan>
  close(): Promise<void>
}

/** A configuration file, the text of none (`undefined`: found as by the command line), or its content as an object. */
export async function open(config?: string | Record<string, unknown>, options: OpenOptions = {}): Promise<Holdfast> {
  const { env = process.env, profile, onEvent, vaults = {} } = options
  const shared = { cwd: process.cwd(), env, parseStorageUrl, ...(profile !== undefined && { profile }) }
  const { settings } =
    typeof config === 'object'
      ? await assemble({ ...shared, flags: config, file: undefined, base: shared.cwd, dataDir: defaultDataDir(env) })
      : await loadConfig({ ...shared, ...(config !== undefined && { explicitPath: config }) })
  const all = new Channel()
  const app = createApp(settings, {
    vaults: Object.fromEntries(Object.entries(vaults).map(([name, given]) => [name, openingOf(given)])),
    onEvent(run, event) {
      all.tell({ ...event, run })
      onEvent?.(run, event)
    },
  })
  return holdfast(app, all)
}

const openingOf = ({ password, ...rest }: GivenVault): VaultOpening => ({
  ...rest,
  ...(password !== undefined && {
    encryption: { type: 'aes-256-gcm', password: literalSecret(password, 'the vault given to open()') },
  }),
})

function holdfast(app: App, all: Channel): Holdfast {
  /** Those of the app, which also tell of what one operation does. */
  const telling = (tell: (event: RunEvent) => void): Deps =>
    Object.create(app.deps, {
      onEvent: {
        value(run: Run, event: ProgressEvent) {
          tell({ ...event, run })
          app.deps.onEvent?.(run, event)
        },
      },
    })
  const find = async (vault: string, id: string, { signal }: Cancel): Promise<Backup> => {
    const backups = await (await app.vault(vault)).backups(signal ? { signal } : {})
    const found = id === 'latest' ? backups.at(-1) : backups.find((each) => each.id === id)
    if (found === undefined) throw new AppError('backup.not-found', `there is no backup ${id} in ${vault}`)
    return found
  }
  const close = async (): Promise<void> => {
    all.end()
    await app.close()
  }
  return {
    app,
    events: ({ signal } = {}) => all.listen(signal),
    runJobs: (names, runOptions = {}) =>
      operation(async (tell) => {
        const { jobs } = app.settings
        const wanted = names?.map((name) => app.job(name)) ?? Object.values(jobs).filter(({ enabled }) => enabled)
        return runJobs(telling(tell), wanted, app.openers(), runOptions)
      }),
    backup: ({ vault: place, opening, type = 'auto', tags = [], verifyAfter = 'V0', ...job }, cancel = {}) =>
      operation(async (tell) => {
        const vault = await app.vault(place, { create: true, ...opening })
        return resultOf(await backup(telling(tell), { ...job, type, tags, verifyAfter }, vault, cancel)).backup
      }),
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
    restore: ({ vault, backup: id, target, selection = {} }, cancel = {}) =>
      operation(async (tell) => {
        const request = { backup: await find(vault, id, cancel), target, selection }
        return resultOf(await restore(telling(tell), await app.vault(vault), request, cancel))
      }),
    verify: ({ vault: place, backup: id, level }, cancel = {}) =>
      operation(async (tell) => {
        const { id: backupId, job, source } = await find(place, id, cancel)
        const vault = await app.vault(place)
        const deps = telling(tell)
        return resultOf(
          await recorded(deps, { kind: 'verify', job, vault: vault.name, ...cancel }, async (handle) =>
            verify(deps, vault, backupId, level, { handle, source, signal: handle.signal }),
          ),
        )
      }),
    check: ({ vault: place, readData = false }, cancel = {}) =>
      operation(async (tell) => {
        const vault = await app.vault(place, { uncached: true })
        const done = await check(telling(tell), vault, { readData: readData ? 1 : 0, ...cancel })
        // Damage is an answer here, not a failure.
        return done.result?.ok === false ? done.result : resultOf(done)
      }),
    copy: ({ vault, backup: id, to }, cancel = {}) =>
      operation(async (tell) => {
        const [from, into] = [await app.vault(vault), await app.vault(to, { create: true })]
        return resultOf(await copy(telling(tell), from, await find(vault, id, cancel), into, cancel))
      }),
    async *entries(vault, id, selection = {}) {
      const { id: exact } = await find(vault, id, selection)
      yield* (await app.vault(vault)).entries(exact, selection)
    },
    async *diff(vault, from, to, options = {}) {
      const [left, right] = [await find(vault, from, options), await find(vault, to, options)]
      yield* diff(await app.vault(vault), left.id, right.id, options)
    },
    async annotate(vault, id, notes) {
      const { id: exact } = await find(vault, id, {})
      await annotate(await app.vault(vault), exact, notes)
    },
    stats: async (vault, options = {}) => stats(await app.vault(vault), options),
    async prune({ vault: place, apply = false, ...request }, cancel = {}) {
      const vault = await app.vault(place)
      const plan = await planPrune(app.deps, vault, request)
      const onWarning = ({ message }: { message: string }): void => app.log.warn(message)
      return apply ? pruneAndKeepLocks(app.deps, vault, plan, { ...cancel, onWarning }) : plan
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}

function resultOf<T>({ result, error, run }: Recorded<T>): T {
  if (error !== undefined) throw error
  if (result === undefined) throw new AppError('run.failed', `run ${run.id} gave no result`)
  return result
}
