/**
 * The BackupPlugin for s3db.js: option for option, method for method, event for event as its document tells, on vaults of
 * Holdfast. It translates; the operations do the work. Nothing of it is kept in the database: every list comes from the vaults.
 */
import { EventEmitter } from 'node:events'
import { createApp, type App } from '../app.ts'
import { SERVER_DEFAULTS } from '../model/settings.ts'
import { AppError, isAbort, toAppError } from '../base/errors.ts'
import { backupId as makeId } from '../base/ids.ts'
import { redact } from '../base/redact.ts'
import type { ObjectClient } from '../sources/s3db/object-client.ts'
import { backupError, BackupError, optionError } from './errors.ts'
import { cleanUp, hasRules, makeBackup } from './make.ts'
import { checkCompression, configOf, only, texts, type PluginConfig } from './options.ts'
import { filterOf, recordOf } from './records.ts'
import { restoreBackup } from './restore.ts'
import { inventory, session, type Copy, type Session } from './session.ts'
import { clientOf, targetOf } from './target.ts'
import type {
  BackupHook,
  BackupOptions,
  BackupPluginOptions,
  BackupRecord,
  BackupResult,
  CleanupResult,
  DatabaseLike,
  Health,
  ListBackupsOptions,
  RestoreHook,
  RestoreOptions,
  RestoreResult,
  Validation,
  ValidationReport,
} from './types.ts'
import { healthOf, reportOf, validate } from './validate.ts'

interface Attempt {
  id: string
  type: string
  time: Date
  status: 'in_progress' | 'failed'
  error: string | null
  duration: number
  abort: AbortController
}

/** Failures that `getBackupStatus` remembers; they leave nothing in a vault. */
const REMEMBERED = 1000
const HOUR_MS = 3_600_000

export interface DriverFacts {
  getType(): string
  getStorageInfo(): { type: string; config: Record<string, unknown>; path?: string }
}

export class BackupPlugin extends EventEmitter {
  readonly config: PluginConfig
  /** Null until it is installed. */
  driver: DriverFacts | null = null
  /** Ids of backups under way. */
  readonly activeBackups = new Set<string>()
  database: DatabaseLike | undefined
  instanceName = 'backup'

  #app: App | undefined
  /** One backup after the other: two of one database would be in each other's way. */
  #queue: Promise<unknown> = Promise.resolve()
  readonly #attempts = new Map<string, Attempt>()
  readonly #restores = new Set<AbortController>()

  constructor(options: BackupPluginOptions = {}) {
    super()
    this.config = configOf(options)
  }

  setInstanceName(name: string): void {
    this.instanceName = name
  }

  /** Makes no resource, and touches nothing of the database. */
  async install(database: DatabaseLike): Promise<void> {
    this.database = database
    const { driver, driverConfig } = this.config
    const { client: _, secretAccessKey: _secret, sessionToken: _token, ...shown } = driverConfig
    const path = typeof driverConfig['path'] === 'string' ? { path: driverConfig['path'] } : {}
    this.driver = { getType: () => driver, getStorageInfo: () => ({ type: driver, config: shown, ...path }) }
    this.emit('db:plugin:initialized', { driver, config: shown })
  }

  async start(): Promise<void> {}

  /** Ends what is under way; the plugin can be used again afterwards. */
  async stop(): Promise<void> {
    for (const { id, abort, status } of this.#attempts.values()) {
      if (status !== 'in_progress') continue
      abort.abort()
      this.#tell('backup_cancelled', 'plg:backup:cancelled', { id })
    }
    for (const abort of this.#restores) abort.abort()
    await this.#queue.catch(() => undefined)
    const app = this.#app
    this.#app = undefined
    await app?.close()
  }

  /** Backups stay: they are not the database's. */
  async uninstall(_options: { purgeData?: boolean } = {}): Promise<void> {
    await this.stop()
    this.database = undefined
    this.driver = null
  }

  /** `full`, `incremental`, `differential`, `selective`, or a word of one's own for a full one. */
  async backup(type = 'full', options: BackupOptions = {}): Promise<BackupResult> {
    checkType(type, options)
    const time = new Date()
    const attempt: Attempt = {
      id: makeId(type, time),
      type,
      time,
      status: 'in_progress',
      error: null,
      duration: 0,
      abort: new AbortController(),
    }
    const current = this.#session('backup', options.compression ? { compression: options.compression } : {})
    const { id } = attempt
    this.#attempts.set(id, attempt)
    this.activeBackups.add(id)
    const work = this.#queue.then(() => this.#backup(current, attempt, options))
    this.#queue = work.catch(() => undefined)
    try {
      return await work
    } finally {
      this.activeBackups.delete(id)
      for (const old of [...this.#attempts.keys()].slice(0, -REMEMBERED))
        if (this.#attempts.get(old)?.status !== 'in_progress') this.#attempts.delete(old)
    }
  }

  async #backup(current: Session, attempt: Attempt, options: BackupOptions): Promise<BackupResult> {
    const { id, type, time, abort } = attempt
    const signal = options.signal ? AbortSignal.any([options.signal, abort.signal]) : abort.signal
    const { onBackupStart, onBackupComplete, onBackupError } = this.config
    const started = performance.now()
    try {
      signal.throwIfAborted()
      await hook(onBackupStart, type, { backupId: id })
      this.#tell('backup_start', 'plg:backup:start', { id, type })
      const result = await makeBackup(current, { ...options, id, kind: type, time, signal })
      this.#attempts.delete(id)
      await hook(onBackupComplete, type, { ...result, backupId: id })
      this.#tell('backup_complete', 'plg:backup:complete', { ...result })
      await this.#cleanUpAfter(current, signal)
      return result
    } catch (thrown) {
      // What a hook of the caller throws is the caller's own.
      const error =
        thrown instanceof AppError || isAbort(thrown)
          ? backupError(thrown, { operation: 'backup', backupId: id })
          : thrown
      const message = redact(toAppError(error).message)
      Object.assign(attempt, { status: 'failed', error: message, duration: Math.round(performance.now() - started) })
      await hook(onBackupError, type, { backupId: id, error: asError(error) })
      this.#tell('backup_error', 'plg:backup:error', { id, type, error: message })
      throw error
    }
  }

  /** A retention that fails leaves the backup a success. */
  async #cleanUpAfter(current: Session, signal: AbortSignal): Promise<void> {
    if (!hasRules(this.config.retention)) return
    try {
      await cleanUp(current, signal)
    } catch (error) {
      this.#warn(`old backups could not be removed: ${toAppError(error).message}`)
    }
  }

  /** Newest first. */
  async listBackups(options: ListBackupsOptions = {}): Promise<BackupRecord[]> {
    only(options, ['limit', 'prefix', 'startDate', 'endDate'], 'listBackups')
    const { limit = 50 } = options
    if (!Number.isInteger(limit) || limit < 0) throw optionError('limit is no count')
    const wanted = filterOf(options)
    const current = this.#session('list')
    return (await this.#records(current)).filter(wanted).slice(0, limit)
  }

  async #records(current: Session): Promise<BackupRecord[]> {
    const found = await guarded('list', undefined, () => inventory(current))
    for (const [at, { message }] of found.failures) this.#warn(`destination ${at} cannot be listed: ${message}`)
    return [...found.copies].map(([id, copies]) => recordOf(current, id, copies, found))
  }

  /** Null if there is no such backup and none was tried. */
  async getBackupStatus(backupId: string): Promise<BackupRecord | null> {
    const current = this.#session('status')
    const attempt = this.#attempts.get(backupId)
    if (attempt?.status === 'in_progress') return attempted(attempt)
    const stored = (await this.#records(current)).find(({ id }) => id === backupId)
    return stored ?? (attempt === undefined ? null : attempted(attempt))
  }

  async restore(backupId: string, options: RestoreOptions = {}): Promise<RestoreResult> {
    only(options, ['overwrite', 'mode', 'resources', 'target', 'dryRun', 'signal'], 'restore')
    if (options.resources !== undefined) texts(options.resources, 'resources')
    const current = this.#session('restore')
    const { onRestoreStart, onRestoreComplete, onRestoreError } = this.config
    const abort = new AbortController()
    const signal = options.signal ? AbortSignal.any([options.signal, abort.signal]) : abort.signal
    this.#restores.add(abort)
    try {
      signal.throwIfAborted()
      await hook(onRestoreStart, backupId, { ...options })
      this.#tell('restore_start', 'plg:backup:restore-start', { id: backupId, options })
      const copies = await this.#copies(current, backupId, 'restore')
      const { client, refresh } = targetOf(options.target, this.#database())
      const result = await restoreBackup(current, copies, client, { ...options, signal })
      if (!result.dryRun) await refresh()
      const { restored } = result
      await hook(onRestoreComplete, backupId, { restored })
      this.#tell('restore_complete', 'plg:backup:restore-complete', { id: backupId, restored })
      return result
    } catch (thrown) {
      const error =
        thrown instanceof AppError || isAbort(thrown) ? backupError(thrown, { operation: 'restore', backupId }) : thrown
      await hook(onRestoreError, backupId, { error: asError(error) })
      this.#tell('restore_error', 'plg:backup:restore-error', {
        id: backupId,
        error: redact(toAppError(error).message),
      })
      throw error
    } finally {
      this.#restores.delete(abort)
    }
  }

  /** From every destination. Refuses what an incremental backup still needs. */
  async deleteBackup(backupId: string): Promise<{ id: string; deleted: true; bytesFreed: number }> {
    const current = this.#session('delete')
    const copies = await this.#copies(current, backupId, 'delete')
    return guarded('delete', backupId, async () => {
      let bytesFreed = 0
      for (const { vault } of copies) bytesFreed += (await vault.remove([backupId])).bytesFreed
      return { id: backupId, deleted: true, bytesFreed }
    })
  }

  /** Applies the retention now. */
  async cleanupBackups(): Promise<CleanupResult> {
    const current = this.#session('cleanup')
    return guarded('cleanup', undefined, () => cleanUp(current))
  }

  /** Whether it exists, is whole, restores to a scratch place, and holds all its records; of every copy. */
  async validateBackup(backupId: string, options: { signal?: AbortSignal } = {}): Promise<Validation> {
    const { signal = new AbortController().signal } = options
    const current = this.#session('validate')
    const found = await guarded('validate', backupId, () => inventory(current, signal))
    return validate(current, backupId, found.copies.get(backupId) ?? [], signal)
  }

  /** The same of the newest backups. */
  async validationReport({
    limit = 10,
    signal,
  }: { limit?: number; signal?: AbortSignal } = {}): Promise<ValidationReport> {
    const validations: Validation[] = []
    for (const { id } of await this.listBackups({ limit }))
      validations.push(await this.validateBackup(id, signal ? { signal } : {}))
    return reportOf(validations)
  }

  /** Whether there is a backup that is young enough and complete. */
  async checkHealth({ maxAgeHours = 25 }: { maxAgeHours?: number } = {}): Promise<Health> {
    const [latest] = await this.listBackups({ limit: 1 })
    return healthOf(latest, maxAgeHours, Date.now())
  }

  #database(): DatabaseLike {
    if (this.database !== undefined) return this.database
    throw new BackupError('usage.invalid', 'BackupPlugin is not installed in a database', {
      operation: 'install',
      hint: 'Call `await db.connect()` first, then `await db.usePlugin(plugin)`: before that, s3db installs no plugin.',
    })
  }

  #session(operation: string, overrides: Parameters<typeof session>[3] = {}): Session {
    const client: ObjectClient = clientOf(this.#database())
    try {
      return session(this.#open(), client, this.config, overrides)
    } catch (error) {
      throw backupError(error, { operation })
    }
  }

  #open(): App {
    this.#app ??= createApp(
      {
        vaults: {},
        jobs: {},
        notify: {},
        server: { ...SERVER_DEFAULTS, dataDir: this.config.tempDir, catalogue: 'memory' },
        update: { notice: false },
        log: { level: 'info' },
      },
      {
        silent: true,
        onProblem: (message) => this.#warn(message),
        onEvent: (run, event) => {
          if (event.type === 'warning') this.#warn(event.message)
          else this.emit('progress', { kind: run.kind, vault: run.vault, ...event })
          if (event.type === 'stage' && this.config.verbose) this.#log(`${run.kind} in ${run.vault}: ${event.stage}`)
        },
      },
    )
    this.#app.deps.catalogue.pruneRuns(new Date(Date.now() - HOUR_MS))
    return this.#app
  }

  async #copies(current: Session, backupId: string, operation: string): Promise<Copy[]> {
    const found = await guarded(operation, backupId, () => inventory(current))
    const copies = found.copies.get(backupId)
    if (copies !== undefined) return copies
    const state = this.#attempts.get(backupId)?.status
    const [failure] = [...found.failures.values()]
    if (state !== undefined)
      throw new BackupError('backup.not-found', `Backup '${backupId}' is not in completed status: it is ${state}`, {
        operation,
        backupId,
        statusCode: 409,
      })
    throw new BackupError('backup.not-found', `Backup '${backupId}' not found`, {
      operation,
      backupId,
      statusCode: 404,
      cause: failure,
      ...(failure && { hint: `Not every destination could be asked: ${failure.message}` }),
    })
  }

  #tell(name: string, full: string, facts: Record<string, unknown>): void {
    if (this.config.verbose) this.#log(`${name} ${String(facts['id'])}`)
    this.emit(full, facts)
    this.emit(name, facts)
  }

  #warn(message: string): void {
    if (this.config.verbose) this.#log(message)
    this.emit('warning', { message: redact(message) })
  }

  /** To the logger that s3db gives, else to stderr. */
  #log(message: string): void {
    const logger: unknown = Reflect.get(this, 'logger')
    const line = redact(message)
    if (typeof logger === 'object' && logger !== null && 'info' in logger && typeof logger.info === 'function')
      logger.info(line)
    else process.stderr.write(`[backup] ${line}\n`)
  }
}

async function hook<Context>(
  call: ((subject: string, context: Context) => unknown) | null,
  subject: string,
  context: Context,
): Promise<void> {
  await call?.(subject, context)
}

async function guarded<T>(operation: string, backupId: string | undefined, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw backupError(error, { operation, ...(backupId !== undefined && { backupId }) })
  }
}

const asError = (thrown: unknown): Error => (thrown instanceof Error ? thrown : new Error(String(thrown)))

function checkType(type: unknown, options: BackupOptions): void {
  if (typeof type !== 'string' || !/^[A-Za-z0-9][\w.-]{0,63}$/.test(type))
    throw optionError(`${JSON.stringify(type)} is no type of backup`, 'Use letters, digits, `-`, `_` and `.`.')
  only(options, ['resources', 'compression', 'metadata', 'signal'], 'backup')
  if (options.resources !== undefined) texts(options.resources, 'resources')
  if (options.resources?.length === 0) throw optionError('resources names no resource')
  if (type === 'selective' && options.resources === undefined)
    throw optionError('a selective backup names its resources', "backup('selective', { resources: ['users'] })")
  if (options.compression !== undefined) checkCompression(options.compression)
  const { metadata } = options
  if (metadata !== undefined && (typeof metadata !== 'object' || metadata === null || Array.isArray(metadata)))
    throw optionError('metadata is no object')
}

/** A backup that is not, or not yet, in a vault. */
function attempted({ id, type, time, status, error, duration }: Attempt): BackupRecord {
  return {
    id,
    type,
    timestamp: time.toISOString(),
    createdAt: time.toISOString().slice(0, 10),
    size: 0,
    duration,
    checksum: '',
    driverInfo: [],
    resources: [],
    records: {},
    status,
    error,
    compression: 'none',
    compressed: false,
    encrypted: false,
    parent: null,
    needs: [],
    proof: 'V0',
    metadata: {},
  }
}

export type { BackupHook, RestoreHook }
