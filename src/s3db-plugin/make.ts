/** One backup into every destination that the strategy asks for. */
import type { AppError } from '../base/errors.ts'
import { isAppError, toAppError } from '../base/errors.ts'
import { makeFolders } from '../base/folders.ts'
import type { Backup, BackupType } from '../model/backup.ts'
import { backup as backupOperation } from '../operations/backup.ts'
import { planPrune, pruneAndKeepLocks } from '../operations/prune.ts'
import { BackupError } from './errors.ts'
import { KIND, METADATA } from './records.ts'
import { inLanes, openVault, type Session } from './session.ts'
import type { BackupOptions, BackupResult, CleanupResult, DriverInfo, RetentionPolicy } from './types.ts'

export interface Making extends BackupOptions {
  id: string
  /** As the caller said it. */
  kind: string
  time: Date
  signal: AbortSignal
}

interface Stored {
  at: number
  backup?: Backup
  error?: AppError
}

const CHAINED: Record<string, BackupType> = { incremental: 'incremental', differential: 'differential' }

export async function makeBackup(session: Session, making: Making): Promise<BackupResult> {
  const started = performance.now()
  const { destinations, strategy, concurrency } = session
  makeFolders(session.config.tempDir, 0o700)
  const all = destinations.map((_, at) => at)
  let stored: Stored[] = []
  if (strategy !== 'priority') stored = await inLanes(all, concurrency, (at) => store(session, making, at))
  else
    for (const at of all) {
      stored.push(await store(session, making, at))
      if (stored.at(-1)?.error === undefined || making.signal.aborted) break
    }
  const made = stored.filter((each) => each.backup !== undefined)
  const failed = stored.filter((each) => each.error !== undefined)
  const first = made[0]?.backup
  if (first === undefined || (strategy === 'all' && failed.length > 0)) throw failure(session, making, stored)
  const infos = stored.map((each) => infoOf(session, each))
  return {
    id: making.id,
    type: making.kind,
    size: first.storedBytes ?? 0,
    duration: Math.max(1, Math.round(performance.now() - started)),
    checksum: first.checksum ?? '',
    driverInfo: session.multi ? infos : (infos[0] as DriverInfo),
  }
}

async function store(session: Session, making: Making, at: number): Promise<Stored> {
  const { app, config, client } = session
  const destination = session.destinations[at]
  if (destination === undefined) throw new TypeError(`there is no destination ${at}`)
  try {
    const vault = await openVault(session, destination, { create: true })
    const source = await app.s3dbSource(client, sourceSettings(session, making))
    const { result, error } = await backupOperation(
      app.deps,
      {
        job: jobOf(session, making.resources),
        source,
        type: CHAINED[making.kind] ?? 'full',
        tags: [],
        id: making.id,
        kind: making.kind,
        labels: { [KIND]: making.kind, ...(making.metadata && { [METADATA]: JSON.stringify(making.metadata) }) },
        // What lies in a cold class cannot be read back at once.
        verifyAfter: config.verification && !destination.cold ? 'V1' : 'V0',
        time: making.time,
      },
      vault,
      { signal: making.signal },
    )
    if (error !== undefined || result === undefined) return { at, error: error ?? toAppError(new Error('no result')) }
    return { at, backup: result.backup }
  } catch (error) {
    return { at, error: toAppError(error) }
  }
}

function sourceSettings(
  { config, destinations }: Session,
  { resources }: Making,
): Parameters<Session['app']['s3dbSource']>[1] {
  const include = resources ?? config.include
  const exclude = config.exclude.filter((pattern) => resources?.includes(pattern) !== true)
  const leaveOut = destinations.flatMap(({ inDatabase }) => inDatabase ?? [])
  return {
    ...(include !== null && { include }),
    ...(exclude.length > 0 && { exclude }),
    ...(resources && { required: resources.filter((name) => /^[\w-]+$/.test(name)) }),
    ...(leaveOut.length > 0 && { leaveOut }),
    ...(config.parallelism !== undefined && { concurrency: config.parallelism }),
    allowEmpty: true,
    scratchDir: config.tempDir,
  }
}

/** Selections have chains of their own: else what was left out once would be stored anew by the next of everything. */
export const jobOf = ({ job }: Session, resources?: readonly string[]): string =>
  resources === undefined ? job : `${job} [${[...resources].sort().join(' ')}]`

function infoOf(session: Session, { at, backup, error }: Stored): DriverInfo {
  const destination = session.destinations[at] as Session['destinations'][number]
  const where = session.multi ? { destination: at } : {}
  if (backup === undefined)
    return {
      driver: destination.driver,
      ...where,
      status: 'failed',
      error: error?.message ?? 'failed',
    }
  return { ...destination.info(backup), ...where }
}

function failure(session: Session, { id }: Making, stored: readonly Stored[]): BackupError {
  const failed = stored.filter((each) => each.error !== undefined)
  const error = (failed.find((each) => isAppError(each.error, 'run.cancelled')) ?? failed[0])?.error as AppError
  const damaged = error.code === 'verify.damaged'
  const several = session.multi ? `${failed.length} of ${session.destinations.length} destinations failed: ` : ''
  return new BackupError(
    error.code,
    damaged ? `Backup verification failed: ${error.message}` : several + error.message,
    {
      operation: 'backup',
      backupId: id,
      ...(damaged && { statusCode: 502 }),
      hint: error.hint,
      cause: error,
      details: { ...error.details, driverInfo: stored.map((each) => infoOf(session, each)) },
    },
  )
}

/**
 * Retention, in every destination by itself, of the backups of this database. What was made within a day of the newest is
 * never thinned out: a backup must not vanish because the next one of the same day was made.
 */
export async function cleanUp(session: Session, signal?: AbortSignal): Promise<CleanupResult> {
  const { app, config, job } = session
  const removed = new Set<string>()
  let bytesFreed = 0
  for (const destination of session.destinations) {
    const vault = await openVault(session, destination).catch((error: unknown) => {
      if (isAppError(error, 'vault.not-found')) return undefined
      throw error
    })
    if (vault === undefined) continue
    const plan = await planPrune(app.deps, vault, {
      retention: hasRules(config.retention) ? { ...config.retention, within: '1d' } : {},
    })
    const ours = plan.remove.filter((each) => each.job === job || each.job.startsWith(`${job} [`))
    if (ours.length === 0) continue
    const done = await pruneAndKeepLocks(
      app.deps,
      vault,
      { ...plan, remove: ours },
      { signal, onWarning: ({ message }) => app.log.warn(message) },
    )
    for (const { id } of done.remove) removed.add(id)
    bytesFreed += done.bytesFreed
  }
  return { count: removed.size, removed: [...removed], bytesFreed }
}

export const hasRules = (retention: RetentionPolicy): boolean => Object.values(retention).some((count) => count > 0)
