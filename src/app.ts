/**
 * Builds live objects from settings and binds them to the operations. The only file that knows every driver.
 * Nothing is opened before it is needed: `list` on a local vault touches no catalogue, no SDK, no thread.
 */
import { createHash } from 'node:crypto'
import { hostname } from 'node:os'
import { join, resolve } from 'node:path'
import { isImmutable } from './archive/names.ts'
import type { ExportFormat } from './archive/export.ts'
import { systemClock, type Clock } from './base/clock.ts'
import { AppError } from './base/errors.ts'
import { createLog, type Log } from './base/log.ts'
import { parseDuration } from './base/units.ts'
import { VERSION } from './base/version.ts'
import { postgresCatalogue } from './catalogue/postgres.ts'
import { sqliteCatalogue } from './catalogue/sqlite.ts'
import { tolerantCatalogue } from './catalogue/tolerant.ts'
import { treeIndexes } from './catalogue/tree-index.ts'
import type { PartsContext } from './config/definitions.ts'
import { addedParts, type LeftOut } from './config/added-parts.ts'
import type { Catalogue } from './model/catalogue.ts'
import type { RestoredEntry } from './model/entry.ts'
import type { Backup } from './model/backup.ts'
import type { DumpedTable } from './model/dumped-table.ts'
import type { ExcludeTest } from './model/exclude-test.ts'
import type { FilesSettings, Job, SourceSettings } from './model/job.ts'
import type { DatabaseTargetSettings } from './model/databases.ts'
import type { LaneReplay, LaneSource, PointTarget } from './model/lane.ts'
import type { ProgressEvent } from './model/progress.ts'
import type { Run } from './model/run.ts'
import type { Secret, Settings, StorageSettings, VaultSettings } from './model/settings.ts'
import type { RestoreOrder } from './model/service.ts'
import type { Source, Target } from './model/source.ts'
import type { Storage } from './model/storage.ts'
import type { TreeIndexes } from './model/tree-index.ts'
import type { Cancel, Vault } from './model/vault.ts'
import type { Deps, RunLog } from './operations/recorder.ts'
import type { Openers } from './operations/run-jobs.ts'
import { databaseOrder } from './operations/restore-order.ts'
import { vaultWarnings } from './operations/vault-warnings.ts'
import { telling, type Telling } from './telling.ts'
import {
  clusterPoint,
  databasePoint,
  databaseSource,
  filePoint,
  databaseTarget,
  laneSource,
  pointTrialOf,
  trialOf,
} from './sources/databases.ts'
import type { FilesTargetSettings } from './sources/files/target-settings.ts'
import type { ObjectClient } from './sources/s3db/object-client.ts'
import type { S3dbSettings } from './sources/s3db/source.ts'
import type { S3dbTargetSettings } from './sources/s3db/target.ts'
import { isMetadata } from './repository/ids.ts'
import { localFolders } from './storage/local-folders.ts'
import { parseStorageUrl } from './storage/open.ts'
import { openWrapped } from './storage/open-wrapped.ts'
import { ratesByHand } from './storage/rates-by-hand.ts'

export interface AppOptions {
  clock?: Clock
  host?: string
  onEvent?: (run: Run, event: ProgressEvent) => void
  /** Told of what goes wrong in a storage, and does not end the work, while no run is there to tell. */
  onProblem?: (message: string) => void
  /** How vaults are opened, by name: those that a program gives beside, or in place of, configured ones. */
  vaults?: Record<string, VaultOpening>
  /** No log files: for tests and for looking only. */
  silent?: boolean
}

/** How a vault is opened, beside what is configured. */
export interface VaultOpening extends Partial<Omit<VaultSettings, 'name' | 'storage'>> {
  /** Where it lies, in place of what its name tells; an open one is closed with the vault. */
  storage?: StorageSettings | Storage
  create?: boolean
  /** Of a repository that is made: `Vault.chunker` of another one. */
  chunker?: bigint
  /** What is made where nothing is yet; the format of the settings if absent. */
  newFormat?: VaultSettings['format']
  timezone?: string
  /** For those who look whether what is stored is right. */
  uncached?: boolean
  /** Asked when the vault turns out to be encrypted and no secret is configured. */
  askPassword?: Secret
}

export interface App extends AsyncDisposable, Telling {
  readonly settings: Settings
  readonly clock: Clock
  /** For the operations. The catalogue is opened at its first use; work goes on where it cannot be, with a warning. */
  readonly deps: Deps
  /** The catalogue, for those who ask what it holds. */
  history(): Catalogue
  /** Takes up the jobs, vaults and notifiers that the API made or changed since; cheap when nothing did. */
  refresh(): Promise<void>
  /** What the API made and cannot be used as it is. */
  leftOut(): readonly LeftOut[]
  /** Whether this comes from the configuration file and not from the API. */
  isManaged(section: 'vaults' | 'jobs' | 'notify', name: string): boolean
  /** For the API: what parts of the configuration are checked with. */
  readonly parts: PartsContext
  /** For looking into backups. */
  readonly trees: TreeIndexes
  /** Opens a vault by its configured name, else as a path or URL. The same one again while it is open. */
  vault(name: string, opening?: VaultOpening): Promise<Vault>
  job(name: string): Job
  /** What lies in the folders of the vaults that the backup goes to is left out of it. */
  source(settings: SourceSettings, options?: { vaults?: readonly string[] }): Promise<Source>
  /** What the rules of a files source leave out. */
  testExclusion(settings: FilesSettings, options: { mostMs: number; signal?: AbortSignal }): Promise<ExcludeTest>
  filesTarget(settings: FilesTargetSettings): Target
  databaseTarget(settings: DatabaseTargetSettings): Promise<Target>
  /** A folder that becomes a PostgreSQL cluster, of a physical backup and its log. */
  clusterPoint(settings: Parameters<typeof clusterPoint>[0]): Promise<PointTarget>
  /** One database of a backup and its log. */
  databasePoint(settings: DatabaseTargetSettings, from: string): Promise<PointTarget>
  /** A file that becomes an SQLite database, of a log that holds a copy. */
  filePoint(file: string, replace: boolean): Promise<LaneReplay>
  /** What tables a backup of a database holds. */
  dumpedTables(vault: Vault, backup: Backup, cancel: Cancel): Promise<DumpedTable[]>
  /** The log of the job's source, where it has one that can be followed. */
  laneSource(job: Job): Promise<LaneSource | undefined>
  /** The database is made if it is not there. */
  s3dbTarget(connection: Secret | string | ObjectClient, settings: S3dbTargetSettings): Promise<Target>
  /** Of a database that is open in this process. */
  s3dbSource(client: ObjectClient, settings: S3dbSettings): Promise<Source>
  readonly log: Log
  /** Removes runs and run logs older than the log keeps them. */
  tidyRuns(): Promise<void>
  /** How jobs' sources and vaults are opened; `opening` and the limit, in KiB a second, are for each vault. */
  openers(opening?: VaultOpening): Openers
  /** Entries as one tar or zip. */
  export(entries: AsyncIterable<RestoredEntry>, format: ExportFormat): AsyncIterable<Uint8Array>
  close(): Promise<void>
}

export function createApp(settings: Settings, options: AppOptions = {}): App {
  const clock = options.clock ?? systemClock
  const vaults = new Map<string, Promise<Vault>>()
  const replaced: Promise<Vault>[] = []
  let catalogue: Catalogue | undefined
  let tolerant: Catalogue | undefined
  const history = (): Catalogue => (catalogue ??= openCatalogue(settings, clock))
  const runLogDir = join(settings.server.dataDir, 'logs', 'runs')
  const log = createLog(settings.log, { runLogDir, clock })
  const rates = ratesByHand()
  const warnings = vaultWarnings(({ message }) => {
    log.warn(message)
    options.onProblem?.(message)
  })

  const tellCatalogue = ({ message }: AppError): void => {
    const warning = `what is done here is not recorded: ${message}`
    log.warn(warning)
    options.onProblem?.(warning)
  }

  const deps: Deps = {
    clock,
    watchVault: (vault, onWarning) => warnings.watch(vault, onWarning),
    get catalogue() {
      return (tolerant ??= tolerantCatalogue(history, clock, (error) => tellCatalogue(error)))
    },
    limitRun: ({ vault, id }, rate) => rates.set(vault, id, rate),
    trial: trialOf,
    pointTrial: pointTrialOf,
    scratchTarget: (root) => filesTarget({ root, overwrite: 'always' }),
    ...(options.silent !== true && { openRunLog: (id: string) => runLog(log, id) }),
    ...(options.onEvent && { onEvent: options.onEvent }),
    ...(options.host !== undefined && { host: options.host }),
  }

  async function openVault(name: string, asked: VaultOpening): Promise<Vault> {
    const opening = { ...options.vaults?.[name], ...asked }
    const { create, chunker, timezone, uncached, askPassword, newFormat, storage: elsewhere, ...overrides } = opening
    const known = settings.vaults[name] ?? (elsewhere ? named(name) : adHoc(name))
    const { cache, ...vaultSettings }: VaultSettings = { ...known, ...overrides }
    const storage = await openWrapped(
      {
        ...vaultSettings,
        ...(elsewhere && { storage: elsewhere }),
        ...(cache && uncached !== true && { cache }),
      },
      {
        clock,
        cached: (key) => isImmutable(key) || isMetadata(key),
        cacheFolder: join(
          settings.server.dataDir,
          'cache',
          createHash('sha256').update(name).digest('hex').slice(0, 16),
        ),
        rateByHand: () => rates.of(vaultSettings.name),
        onCacheProblem: (error) => log.warn(`the cache of ${name} cannot be used`, { error }),
        onRetry: (error, attempt, waitMs) => log.warn(`a call will be repeated: ${error.message}`, { attempt, waitMs }),
        onMemberFailure: ({ member, operation, error }) =>
          warnings.tell(vaultSettings.name, `${member} ${operation} ${error.code}`, {
            code: 'mirror',
            message: `${member} failed, the work goes on without it: ${error.message}`,
          }),
      },
    )
    try {
      const found = await formatOf(storage)
      if (found !== undefined && overrides.format !== undefined && overrides.format !== found)
        throw new AppError('vault.unsupported', `the vault at ${storage.name} has the format ${found}`)
      if ((found ?? newFormat ?? vaultSettings.format) === 'repository') {
        const { repositoryVault } = await import('./repository/vault.ts')
        return await repositoryVault({
          storage,
          settings: vaultSettings,
          clock,
          program: `holdfast ${VERSION}`,
          ...(create !== undefined && { create }),
          ...(chunker !== undefined && { chunker }),
          ...(askPassword && { askPassword }),
        })
      }
      const { archiveVault } = await import('./archive/vault.ts')
      return await archiveVault({
        storage,
        settings: vaultSettings,
        clock,
        program: `holdfast ${VERSION}`,
        ...(timezone !== undefined && { timezone }),
        ...(create !== undefined && { create }),
        ...(askPassword && { askPassword }),
      })
    } catch (error) {
      await storage.close()
      throw error
    }
  }

  const trees = treeIndexes(join(settings.server.dataDir, 'cache', 'trees'))
  const added = addedParts(settings, {
    definitions: () => history().server.definitions,
    parseStorageUrl,
    onProblem: (message) => log.warn(message),
    onChange: (names) => {
      // Opened anew with the changed settings when it is wanted next; whoever works on it keeps the old one.
      for (const [key, vault] of vaults) {
        if (!names.some((name) => key.startsWith(`${JSON.stringify([name]).slice(0, -1)},`))) continue
        vaults.delete(key)
        replaced.push(vault)
      }
    },
  })

  const app: App = {
    ...telling({ settings, clock, log, deps, history, host: options.host ?? hostname() }),
    settings,
    clock,
    deps,
    history,
    refresh: added.refresh,
    leftOut: added.leftOut,
    isManaged: added.isManaged,
    parts: added.context,
    trees,
    log,
    async vault(name, opening = {}) {
      const { timezone, bandwidth, uncached, compression, storage } = opening
      const isNamed = name in settings.vaults || name in (options.vaults ?? {}) || storage !== undefined
      const place = isNamed ? name : vaultKey(name)
      const key = JSON.stringify([place, timezone, bandwidth, uncached, compression])
      const open = vaults.get(key)
      if (open !== undefined) return open
      const opened = openVault(name, opening)
      vaults.set(key, opened)
      opened.catch(() => vaults.delete(key))
      return opened
    },
    job(name) {
      const job = settings.jobs[name]
      if (job !== undefined) return job
      throw new AppError('job.not-found', `there is no job ${name}`, hintOf(Object.keys(settings.jobs)))
    },
    async source(source, { vaults: into = [] } = {}) {
      if (source.type === 's3db') return (await import('./sources/s3db/settings.ts')).s3dbSource(source.options)
      if (source.type !== 'files') return databaseSource(source)
      const folders = into.flatMap((name) => localFolders((settings.vaults[name] ?? adHoc(name)).storage))
      const [{ files }, { refuseInsideVault }] = await Promise.all([
        import('./sources/files/source.ts'),
        import('./sources/files/inside-vault.ts'),
      ])
      refuseInsideVault(source.paths, folders)
      return files(source, { leaveOut: folders })
    },
    testExclusion: async (rules, how) => (await import('./sources/files/exclude-test.ts')).testExclusion(rules, how),
    filesTarget,
    databaseTarget,
    async dumpedTables(vault, { id, source }, cancel) {
      const { dumpedTables } = await import('./sources/dumped-tables.ts')
      return dumpedTables(source, {
        entries: () => vault.entries(id, cancel),
        open: (want) => vault.open(id, { want, ...cancel }),
      })
    },
    clusterPoint,
    databasePoint,
    filePoint,
    laneSource: async ({ source, name }) => laneSource(source, name),
    s3dbTarget: async (connection, how) =>
      (await import('./sources/s3db/settings.ts')).s3dbRestoreTarget(connection, how),
    async s3dbSource(client, how) {
      const { openClient, s3db } = await import('./sources/s3db/source.ts')
      return s3db(openClient(client), how)
    },
    openers(opening = {}) {
      return {
        target: async (order, backup, dryRun) => restoreTarget(app, order, backup, dryRun),
        points: { cluster: clusterPoint, database: databasePoint, file: filePoint },
        stored: async (name, how) => app.vault(name, how),
        limits: (name) => settings.vaults[name]?.limits,
        source: async (job) => app.source(job.source, { vaults: job.vaults }),
        vault: async (name, job) => {
          const timezone = job.schedule?.timezone
          const limits = [job.bandwidth, settings.vaults[name]?.bandwidth].flatMap((each) => each ?? [])
          const bandwidth = opening.bandwidth ?? (limits.length > 0 ? limits : undefined)
          return app.vault(name, {
            create: true,
            ...opening,
            ...(timezone && { timezone }),
            ...(bandwidth && { bandwidth }),
            ...(job.verify.afterBackup !== 'V0' && { uncached: true }),
          })
        },
      }
    },
    async *export(entries, format) {
      const { exportArchive } = await import('./archive/export.ts')
      yield* exportArchive(entries, format)
    },
    async tidyRuns() {
      const { tidyRuns } = await import('./operations/housekeeping.ts')
      await tidyRuns(deps, { runLogDir, maxAgeMs: parseDuration(settings.log.maxAge ?? '30d') })
    },
    async close() {
      const open = await Promise.allSettled([...vaults.values(), ...replaced])
      await Promise.all(open.map(async (vault) => (vault.status === 'fulfilled' ? vault.value.close() : undefined)))
      vaults.clear()
      trees.close()
      tolerant?.close()
      catalogue?.close()
      tolerant = catalogue = undefined
      log.close()
    },
    [Symbol.asyncDispose]: async () => app.close(),
  }
  return app
}

/** Each run has a log of its own; how it ended is in the main log too. */
function runLog(log: Log, id: string): RunLog {
  const own = log.openRun(id)
  return {
    path: own.path,
    write(event) {
      if (event.type === 'stage')
        own.info(`stage ${event.stage}`, event.detail === undefined ? {} : { detail: event.detail })
      else if (event.type === 'warning')
        own.warn(event.message, { code: event.code, ...(event.path !== undefined && { path: event.path }) })
      else if (event.type === 'log') own[event.level](event.message, event.fields ?? {})
      else if (event.type === 'end') {
        const failed = event.error !== undefined
        for (const each of [own, log])
          each[failed ? 'error' : 'info'](`run ended: ${event.status}`, {
            run: id,
            ...(event.error && { error: event.error }),
          })
      }
    },
    close: async () => own.close(),
  }
}

/** Loaded when something is restored. */
const filesTarget = (settings: FilesTargetSettings): Target => ({
  name: settings.root,
  write: async (entries, options) =>
    (await import('./sources/files/target.ts')).filesTarget(settings).write(entries, options),
})

function openCatalogue({ server }: Settings, clock: Clock): Catalogue {
  const { catalogue, dataDir, keyFile } = server
  if (catalogue === 'memory') return sqliteCatalogue(':memory:', clock)
  if (catalogue === 'sqlite') return sqliteCatalogue(resolve(dataDir, 'catalogue.db'), clock)
  return postgresCatalogue(catalogue, clock, keyFile ?? resolve(dataDir, 'server.key'))
}

/** A vault that no configuration names. New ones are archives until the repository engine is there. */
function adHoc(address: string): VaultSettings {
  return { name: vaultKey(address), storage: parseStorageUrl(address), format: 'archive' }
}

/** A vault whose storage is given to it. */
const named = (name: string): VaultSettings => ({ name, storage: { type: 'memory', name }, format: 'archive' })

/** Where a restore goes that somebody asked for through the API. */
async function restoreTarget(app: App, order: RestoreOrder, backup: Backup, dryRun: boolean): Promise<Target> {
  const { to } = order
  if (to.type === 'database' || (to.type === 'original' && backup.source !== 'files'))
    return app.databaseTarget(databaseOrder(order, backup, app.settings.jobs[backup.job]?.source, dryRun))
  const whole = order.paths.length === 0
  const roots = (whole ? backup.paths : order.paths).map((path) => path.replace(/^\//, ''))
  return app.filesTarget({
    root: to.type === 'folder' ? to.path : '/',
    ...(to.type === 'original' && { inPlace: backup.paths }),
    ...(order.overwrite && { overwrite: order.overwrite }),
    ...(order.ownership !== undefined && { ownership: order.ownership }),
    ...(order.delete && { delete: roots }),
    ...(whole && backup.sourceBytes !== undefined && { expectedBytes: backup.sourceBytes }),
    dryRun,
  })
}

/** One spelling for each address: paths absolute. */
function vaultKey(address: string): string {
  return /^[a-z][\w+-]*:/i.test(address) ? address : resolve(address)
}

/** Looks at what is there: our mark, or restic's. */
async function formatOf(storage: Storage): Promise<VaultSettings['format'] | undefined> {
  if ((await storage.stat('holdfast-vault.json')) !== undefined) return 'archive'
  if ((await storage.stat('config')) === undefined) return undefined
  for await (const { key } of storage.list('keys/')) if (/^keys\/[0-9a-f]{64}$/.test(key)) return 'repository'
  return undefined
}

function hintOf(known: string[]): { hint?: string } {
  return known.length === 0 ? {} : { hint: `The jobs are: ${known.join(', ')}.` }
}

export { parseStorageUrl }
