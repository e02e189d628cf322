/** The seven routes of requirements/3: a view of jobs that back up files to one S3 vault, in words of their own. */
import { isDeepStrictEqual } from 'node:util'
import { AppError } from '../../base/errors.ts'
import { isTree, type Tree } from '../../config/key-path.ts'
import type { Job } from '../../model/job.ts'
import type { RunMark } from '../../model/board.ts'
import type { Run } from '../../model/run.ts'
import type { BackupConfig, configRoutes, StoredConfig } from '../contract/configs.ts'
import type { Served } from '../contract/index.ts'
import type { Api, Handlers } from '../handler.ts'
import { partNamed, partOf, removePart, savePart } from '../parts.ts'
import { startRun } from '../start-run.ts'
import { jobShort, seeJobs } from '../views/jobs.ts'

type Patch = Served<'PATCH /api/backups/configs/{id}'>['body']

export function configHandlers(api: Api): Handlers<keyof typeof configRoutes> {
  const { app } = api
  const catalogue = () => app.history()

  function shown(job: Job): StoredConfig | undefined {
    const { source } = job
    const vault = app.settings.vaults[job.vaults[0] ?? '']
    if (source.type !== 'files' || vault?.storage.type !== 's3') return undefined
    const { bucket, region, prefix, endpoint } = vault.storage
    const part = partNamed(api, 'job', job.name)
    const { compression } = vault
    return {
      id: part.id,
      managed: part.managed,
      name: job.name,
      enabled: job.enabled,
      sources: source.paths.map((path) => ({
        path,
        ...(source.exclude && { excludePatterns: own(source.exclude, path) }),
        ...(source.include && { includePatterns: own(source.include, path) }),
      })),
      destination: {
        bucket,
        region: region ?? 'us-east-1',
        ...(prefix !== undefined && { prefix }),
        ...(endpoint !== undefined && { endpoint }),
      },
      schedule: { cronExpression: job.schedule?.cron ?? '', timezone: job.schedule?.timezone ?? 'UTC' },
      options: {
        type: job.type === 'full' ? 'full' : 'incremental',
        compression: compression?.type !== 'none',
        ...(compression &&
          'level' in compression &&
          compression.level !== undefined && { compressionLevel: compression.level }),
        encryption:
          vault.format === 'repository' ||
          vault.password !== undefined ||
          (vault.encryption?.type ?? 'none') !== 'none',
        ...(job.retention?.days !== undefined && { retentionDays: job.retention.days }),
        ...(typeof job.bandwidth === 'number' && { bandwidth: job.bandwidth }),
      },
      ...(part.createdAt && { createdAt: part.createdAt }),
      ...(part.updatedAt && { updatedAt: part.updatedAt }),
    }
  }

  const all = (): StoredConfig[] =>
    Object.values(app.settings.jobs)
      .flatMap((job) => shown(job) ?? [])
      .sort((a, b) => a.name.localeCompare(b.name))

  function find(id: string): StoredConfig {
    const config = all().find((one) => one.id === id)
    if (config !== undefined) return config
    throw new AppError('request.not-found', `there is no backup configuration ${id}`)
  }

  /** The vault of its own first, then the job; a job that fails takes the vault with it. */
  async function create(config: BackupConfig): Promise<StoredConfig> {
    if (partOf(api, 'job', config.name) !== undefined)
      throw new AppError('request.exists', `there is a backup configuration ${config.name}`)
    const vault = vaultNameOf(config.name)
    await savePart(api, { kind: 'vault', name: vault, body: vaultOf(config, {}, EVERYTHING), isNew: true })
    try {
      await savePart(api, {
        kind: 'job',
        name: config.name,
        body: { ...jobOf(config, {}, EVERYTHING), vaults: [vault] },
        isNew: true,
      })
    } catch (error) {
      await removePart(api, 'vault', vault)
      throw error
    }
    return find(partNamed(api, 'job', config.name).id)
  }

  /** Only what is asked to be otherwise changes: the job may have more than these words can say. */
  async function change(id: string, { options, ...asked }: Patch): Promise<StoredConfig> {
    const before = find(id)
    if (before.managed)
      throw new AppError('request.managed', `the job ${before.name} comes from the configuration file`)
    const next: BackupConfig = { ...before, ...asked, options: { ...before.options, ...options } }
    if (next.name !== before.name)
      throw new AppError('request.invalid', 'name: a configuration keeps its name, as its backups carry it')
    const changed = differences(before, next)
    const vault = app.job(before.name).vaults[0] ?? ''
    if (VAULT_KEYS.some((key) => changed.has(key))) {
      if (vault !== vaultNameOf(before.name))
        throw new AppError('request.in-use', `the vault ${vault} is not only this configuration's`, {
          hint: 'Change it as a vault, or give the job another one.',
        })
      const body = vaultOf(next, partNamed(api, 'vault', vault).body, changed)
      await savePart(api, { kind: 'vault', name: vault, body, isNew: false })
    }
    const body = jobOf(next, partNamed(api, 'job', before.name).body, changed)
    await savePart(api, { kind: 'job', name: before.name, body, isNew: false })
    return find(id)
  }

  return {
    'GET /api/backups/configs': () => all(),
    async 'POST /api/backups/configs'({ body, headers, audit }) {
      audit({}, body.name)
      const made = await create(body)
      headers['location'] = `/api/backups/configs/${made.id}`
      return made
    },
    'GET /api/backups/configs/{id}': ({ params }) => find(params.id),
    async 'PATCH /api/backups/configs/{id}'({ params, body, audit }) {
      audit({ changed: Object.keys(body) }, find(params.id).name)
      return change(params.id, body)
    },
    async 'DELETE /api/backups/configs/{id}'({ params, audit }) {
      const { name } = find(params.id)
      audit({}, name)
      const vault = app.job(name).vaults[0]
      await removePart(api, 'job', name)
      const unused = !Object.values(app.settings.jobs).some(({ vaults }) => vaults.includes(vault ?? ''))
      if (vault === vaultNameOf(name) && unused && !app.isManaged('vaults', vault))
        await removePart(api, 'vault', vault)
      return undefined
    },
    async 'POST /api/backups/execute'({ body, audit }) {
      const { name } = find(body.configId)
      audit({ kind: 'backup' }, name)
      const { id } = await startRun(api, { job: name, kind: 'backup' })
      return { runId: id, status: 'queued' }
    },
    'GET /api/backups/logs'({ query }) {
      const configs = query.configId === undefined ? all() : [find(query.configId)]
      const ids = new Map(configs.map(({ name, id }) => [name, id]))
      const found =
        configs.length === 1
          ? catalogue().runs({ kind: 'backup', job: configs[0]?.name ?? '', limit: query.limit })
          : catalogue().runs({ kind: 'backup', limit: 10_000 })
      return found
        .filter(({ job }) => ids.has(job))
        .slice(0, query.limit)
        .map((run) => logOf(run, ids.get(run.job) ?? ''))
    },
    'GET /api/backups/stats'() {
      const configs = all()
      const seen = seeJobs(api)
      const figures = configs.flatMap(({ name }) => seen.board.get(name) ?? [])
      const runs = configs.flatMap(({ name }) => catalogue().runs({ kind: 'backup', job: name, limit: 10_000 }))
      const count = (...statuses: Run['status'][]): number =>
        runs.filter(({ status }) => statuses.includes(status)).length
      const good = count('success', 'warning')
      const bad = count('failed', 'interrupted')
      const last = figures
        .flatMap(({ lastGood }): RunMark[] => (lastGood ? [lastGood] : []))
        .sort((a, b) => b.at.getTime() - a.at.getTime())[0]
      const next = configs
        .flatMap(({ name }) => jobShort(api, app.job(name), seen).next ?? [])
        .sort((a, b) => a.getTime() - b.getTime())[0]
      const sum = (pick: (summary: Record<string, unknown>) => unknown): number =>
        runs.reduce((total, { summary }) => total + Number(pick(summary ?? {}) ?? 0), 0)
      return {
        totalConfigs: configs.length,
        activeConfigs: configs.filter(({ enabled }) => enabled).length,
        totalBackups: good,
        successfulBackups: good,
        failedBackups: bad,
        runningBackups: count('running', 'queued'),
        successRate: good + bad === 0 ? 1 : good / (good + bad),
        totalBytes: sum((summary) => summary['total_bytes_processed']),
        bytesTransferred: sum((summary) => summary['data_added_packed']),
        ...(last && { lastBackup: last.at }),
        ...(next && { nextBackup: next }),
      }
    },
  }
}

const vaultNameOf = (name: string): string => `${name} (S3)`

/** Patterns of one path; those of several paths are told apart by the path in front. */
function own(patterns: readonly string[], path: string): string[] {
  return patterns.flatMap((pattern) =>
    !pattern.startsWith('/') ? [pattern] : pattern.startsWith(`${path}/`) ? [pattern.slice(path.length)] : [],
  )
}

type Key = (typeof JOB_KEYS)[number] | (typeof VAULT_KEYS)[number]

const VAULT_KEYS = ['destination', 'compression', 'compressionLevel', 'encryption'] as const
const JOB_KEYS = ['enabled', 'sources', 'schedule', 'type', 'retentionDays', 'bandwidth'] as const
const EVERYTHING: ReadonlySet<Key> = new Set([...VAULT_KEYS, ...JOB_KEYS])

function differences(before: BackupConfig, next: BackupConfig): Set<Key> {
  const flat = ({ options, ...rest }: BackupConfig): Record<string, unknown> => ({ ...rest, ...options })
  const [was, is] = [flat(before), flat(next)]
  return new Set([...EVERYTHING].filter((key) => !isDeepStrictEqual(was[key], is[key])))
}

function vaultOf({ destination, options }: BackupConfig, before: Tree, changed: ReadonlySet<Key>): Tree {
  const { bucket, region, prefix, endpoint } = destination
  const storage = isTree(before['storage']) ? before['storage'] : {}
  const { prefix: _, endpoint: __, ...kept } = storage
  return {
    format: 'archive',
    ...before,
    ...(changed.has('destination') && {
      storage: {
        ...kept,
        type: 's3',
        bucket,
        region,
        ...(prefix !== undefined && { prefix }),
        ...(endpoint !== undefined && { endpoint, forcePathStyle: true }),
      },
    }),
    ...((changed.has('compression') || changed.has('compressionLevel')) && {
      compression: options.compression ? { type: 'gzip', level: options.compressionLevel ?? 6 } : { type: 'none' },
    }),
    ...(changed.has('encryption') && {
      encryption: options.encryption ? { type: 'aes-256-gcm', password: '${env:BACKUP_ENCRYPTION_KEY}' } : 'none',
    }),
  }
}

function jobOf({ enabled, sources, schedule, options }: BackupConfig, before: Tree, changed: ReadonlySet<Key>): Tree {
  const several = sources.length > 1
  // What is said of one path must not hold for the others.
  const placed = (path: string, patterns: readonly string[] = []): string[] =>
    several
      ? patterns.map((one) => `${path.replace(/\/$/, '')}/${one.startsWith('/') ? one.slice(1) : `**/${one}`}`)
      : [...patterns]
  const { retention, schedule: times, source } = before
  return {
    ...before,
    enabled,
    ...(changed.has('sources') && {
      source: {
        ...(isTree(source) && source),
        type: 'files',
        paths: sources.map(({ path }) => path),
        exclude: sources.flatMap(({ path, excludePatterns }) => placed(path, excludePatterns)),
        include: sources.flatMap(({ path, includePatterns }) => placed(path, includePatterns)),
      },
    }),
    ...(changed.has('type') && { type: options.type === 'full' ? 'full' : 'auto' }),
    ...(changed.has('schedule') && {
      schedule: { ...(isTree(times) && times), cron: schedule.cronExpression, timezone: schedule.timezone },
    }),
    ...(changed.has('retentionDays') &&
      options.retentionDays !== undefined && {
        retention: { ...(isTree(retention) && retention), days: options.retentionDays },
      }),
    ...(changed.has('bandwidth') && options.bandwidth !== undefined && { bandwidth: options.bandwidth }),
  }
}

const LOG_STATUS: Record<Run['status'], 'running' | 'completed' | 'failed' | 'cancelled'> = {
  queued: 'running',
  running: 'running',
  success: 'completed',
  warning: 'completed',
  failed: 'failed',
  interrupted: 'failed',
  cancelled: 'cancelled',
  skipped: 'cancelled',
}

function logOf(
  { id, job, status, createdAt, startedAt = createdAt, endedAt, counters, summary, warningCount, error }: Run,
  configId: string,
) {
  const figure = (name: string, otherwise = 0): number => Number(summary?.[name] ?? otherwise)
  return {
    id,
    configId,
    configName: job,
    status: LOG_STATUS[status],
    startedAt,
    ...(endedAt && { endedAt, duration: (endedAt.getTime() - startedAt.getTime()) / 1000 }),
    filesProcessed: figure('total_files_processed', counters?.filesDone),
    filesSkipped: warningCount,
    totalBytes: figure('total_bytes_processed', counters?.bytesDone),
    bytesTransferred: figure('data_added_packed', counters?.bytesStored),
    ...(error && { error: error.message }),
  }
}
