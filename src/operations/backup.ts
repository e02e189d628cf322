/** One job into one vault: clean up, read, store, verify, prune. */
import { AppError, toAppError } from '../base/errors.ts'
import type { Backup, BackupType, ProofLevel } from '../model/backup.ts'
import type { Retention } from '../model/retention.ts'
import type { Source } from '../model/source.ts'
import type { Requests } from '../model/storage.ts'
import type { BackupOutcome, Vault } from '../model/vault.ts'
import { formatSize } from '../base/units.ts'
import { DEFAULT_SHRINK, SHRINK_WATCHED, shrunkenFrom, SHRUNKEN } from '../policy/shrink.ts'
import { keepLocks } from './locks.ts'
import { parentOf } from './source-parent.ts'
import { watchDatabases } from './new-databases.ts'
import type { PrunePlan } from './prune.ts'
import { hostOf, recorded, type Deps, type Recorded, type RunHandle } from './recorder.ts'
import { adjustUsage, measureUsage, refuseBeyondLimit, type UsageLimits } from './usage.ts'

export interface BackupJob {
  job: string
  source: Source
  type: BackupType | 'auto'
  fullEveryMs?: number
  tags: string[]
  /** See BackupRequest. */
  id?: string
  kind?: string
  labels?: Record<string, string>
  /** What to prove right after. */
  verifyAfter: ProofLevel
  /** The user's own, for V5. */
  assertions?: readonly string[]
  /** A backup of a database below this share of its usual size is flagged; half by default, 0 for never. */
  shrink?: number
  /** Applied after success. */
  retention?: Retention
  timezone?: string
  /** Override of the time, for imports. */
  time?: Date
  host?: string
  /** How large the vault may become. */
  limits?: UsageLimits
  /** Of a run that waits in the queue. */
  runId?: string
  trigger?: 'manual' | 'schedule' | 'api' | 'catch-up'
}

export interface BackupResult extends BackupOutcome {
  pruned?: PrunePlan
}

export async function backup(
  deps: Deps,
  job: BackupJob,
  vault: Vault,
  options: { signal?: AbortSignal } = {},
): Promise<Recorded<BackupResult>> {
  const { trigger, runId: id } = job
  return recorded(
    deps,
    { kind: 'backup', job: job.job, vault: vault.name, id, ...(trigger && { trigger }), ...options },
    async (handle) => {
      const { signal } = handle
      handle.stage('prepare')
      const before = vault.storage.can.requests?.()
      const tidied = await vault.tidy({ signal })
      if (tidied.removed > 0) handle.log('info', `removed ${tidied.removed} leftovers of interrupted runs`)
      await refuseBeyondLimit(deps, vault, job.limits ?? {}, { signal })
      const outcome = await store(deps, job, vault, handle)
      handle.run.backupId = outcome.backup.id
      deps.catalogue.saveBackup(outcome.backup)
      handle.run.summary = summaryOf(outcome)
      await prove(deps, job, vault, outcome.backup, handle)
      await flagShrunken(deps, job, vault, outcome.backup, handle)
      const pruned = await pruneAfter(deps, job, vault, handle)
      await keepLocks(deps, vault, handle)
      adjustUsage(deps, vault.name, outcome.dataAddedPacked)
      await measureUsage(deps, vault, { signal }).catch((error: unknown) =>
        handle.log('warn', `what the vault takes could not be measured: ${toAppError(error).message}`),
      )
      const after = vault.storage.can.requests?.()
      if (before && after) handle.run.summary = { ...handle.run.summary, requests: difference(after, before) }
      return { ...outcome, ...(pruned && { pruned }) }
    },
  )
}

/** What the run itself asked of the storage. */
const difference = (after: Requests, before: Requests): Requests => ({
  write: after.write - before.write,
  read: after.read - before.read,
  list: after.list - before.list,
  remove: after.remove - before.remove,
})

async function store(deps: Deps, job: BackupJob, vault: Vault, handle: RunHandle): Promise<BackupOutcome> {
  const cancel = { signal: handle.signal }
  const parent = await parentOf(deps, job, vault, cancel)
  const reading = await job.source.read({ ...cancel, onWarning: handle.onWarning, ...(parent && { parent }) })
  const databases = watchDatabases(deps, { job: job.job, type: job.source.type }, reading, handle.onWarning)
  try {
    const { fullEveryMs, id, kind, labels } = job
    const outcome = await vault.backup({
      ...cancel,
      job: job.job,
      source: job.source.type,
      paths: job.source.paths,
      reading: databases.reading,
      type: job.type,
      ...(fullEveryMs !== undefined && { fullEveryMs }),
      tags: job.tags,
      ...(id !== undefined && { id }),
      ...(kind !== undefined && { kind }),
      ...(labels && { labels }),
      host: job.host ?? hostOf(deps),
      time: job.time ?? deps.clock.now(),
      onProgress: handle.onProgress,
    })
    databases.announce()
    return outcome
  } finally {
    await reading.close()
  }
}

/** A backup that fails its proof stays, marked by what was proved, and the run fails: success is earned. */
async function prove(deps: Deps, job: BackupJob, vault: Vault, made: Backup, handle: RunHandle): Promise<void> {
  if (job.verifyAfter === 'V0') return
  handle.stage('verify', job.verifyAfter)
  const { verify } = await import('./verify.ts')
  const report = await verify(deps, vault, made.id, job.verifyAfter, {
    handle,
    source: made.source,
    ...(job.assertions && { assertions: job.assertions }),
    signal: handle.signal,
  })
  made.proof = { level: report.level, at: deps.clock.now() }
  deps.catalogue.saveBackup(made)
  if (report.ok) return
  const why = report.checks.find(({ ok }) => !ok)?.detail ?? 'see the log'
  if (report.damaged) throw new AppError('verify.damaged', `backup ${made.id} was stored but does not verify: ${why}`)
  handle.onWarning({ code: 'proof', message: `proved to ${report.level}, not to ${job.verifyAfter}: ${why}` })
}

/** A dump that lost much is kept, marked and told; retention then waits for somebody's word. */
async function flagShrunken(deps: Deps, job: BackupJob, vault: Vault, made: Backup, handle: RunHandle): Promise<void> {
  if (!SHRINK_WATCHED.includes(made.source)) return
  const usual = shrunkenFrom(made, await vault.backups({ signal: handle.signal }), job.shrink ?? DEFAULT_SHRINK)
  if (usual === undefined) return
  await vault.annotate(made.id, { addTags: [SHRUNKEN] })
  made.tags = [...made.tags, SHRUNKEN]
  deps.catalogue.saveBackup(made)
  handle.onWarning({
    code: 'shrunken',
    message: `${formatSize(made.sourceBytes)}, where ${formatSize(usual)} were usual: nothing of ${made.job} is pruned until \`holdfast tag ${made.id} --remove ${SHRUNKEN}\` agrees`,
  })
}

/** Pruning after a backup may fail without making the backup a failure: it is a warning. */
async function pruneAfter(deps: Deps, job: BackupJob, vault: Vault, handle: RunHandle): Promise<PrunePlan | undefined> {
  const { retention } = job
  if (retention === undefined) return undefined
  handle.stage('prune')
  const { applyPrune, planPrune } = await import('./prune.ts')
  try {
    const plan = await planPrune(deps, vault, {
      job: job.job,
      retention,
      ...(job.timezone && { timezone: job.timezone }),
    })
    return await applyPrune(deps, vault, plan, { handle, signal: handle.signal })
  } catch (error) {
    if (handle.signal.aborted || !(error instanceof AppError)) throw error
    handle.onWarning({ code: 'prune', message: `old backups could not be removed: ${error.message}` })
    return undefined
  }
}

export function summaryOf(outcome: BackupOutcome): Record<string, unknown> {
  const { backup: made } = outcome
  return {
    type: made.type,
    files_new: outcome.filesNew,
    files_changed: outcome.filesChanged,
    files_unmodified: outcome.filesUnmodified,
    files_deleted: outcome.filesDeleted,
    files_moved: outcome.filesMoved,
    total_files_processed: made.files,
    total_bytes_processed: made.sourceBytes,
    data_added: outcome.dataAdded,
    data_added_packed: outcome.dataAddedPacked,
  }
}
