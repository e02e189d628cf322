/** Applying retention: a plan that only reads, then the removal of what it says. */
import { isAppError } from '../base/errors.ts'
import type { Backup } from '../model/backup.ts'
import type { Retention } from '../model/retention.ts'
import type { LockRelease } from '../model/storage.ts'
import type { RemoveOptions, Vault } from '../model/vault.ts'
import type { NamedSegment } from '../policy/lane-names.ts'
import { planRetention } from '../policy/retention.ts'
import { SHRUNKEN } from '../policy/shrink.ts'
import { planLanePrune, removeSegments } from './prune-lanes.ts'
import type { Deps, RunHandle } from './recorder.ts'
import { adjustUsage } from './usage.ts'
import { keepLocks } from './locks.ts'

export interface PruneRequest {
  /** All jobs of the vault by themselves, if absent. */
  job?: string
  retention: Retention
  timezone?: string
}

export interface PruneItem {
  id: string
  job: string
  time: Date
  storedBytes?: number
  reasons: string[]
}

/** See RemoveOptions. */
export type PruneLimits = Pick<RemoveOptions, 'maxUnused' | 'maxRepackBytes'>

export interface PrunePlan {
  keep: PruneItem[]
  remove: PruneItem[]
  /** Pieces of logs that go, by job. */
  log?: { job: string; segments: NamedSegment[] }[]
  /** What goes stays locked, and is paid for, until then at the latest; it can be read with `asOf`. */
  locked?: { mode: 'governance' | 'compliance'; until: Date }
  /** What was hidden before and is gone now. */
  released?: LockRelease
  applied: boolean
  bytesFreed: number
}

/** Each job is planned by itself; what another job's backup needs cannot happen, as chains stay within a job. */
export async function planPrune(deps: Pick<Deps, 'clock'>, vault: Vault, request: PruneRequest): Promise<PrunePlan> {
  const byJob = new Map<string, Backup[]>()
  for (const backup of await vault.backups()) {
    if (request.job !== undefined && backup.job !== request.job) continue
    byJob.set(backup.job, [...(byJob.get(backup.job) ?? []), backup])
  }
  const plan: PrunePlan = { keep: [], remove: [], applied: false, bytesFreed: 0 }
  for (const backups of byJob.values()) {
    const byId = new Map(backups.map((backup) => [backup.id, backup]))
    const flagged = backups.filter(({ tags }) => tags.includes(SHRUNKEN)).map(({ id }) => id)
    for (const { id, keep, reasons } of planRetention(backups, request.retention, {
      now: deps.clock.now(),
      timezone: request.timezone ?? 'UTC',
    })) {
      const { job, time, storedBytes } = byId.get(id) as Backup
      const item = { id, job, time, ...(storedBytes !== undefined && { storedBytes }), reasons }
      if (keep || flagged.length === 0) (keep ? plan.keep : plan.remove).push(item)
      // Older ones may be the only whole ones that are left.
      else
        plan.keep.push({
          ...item,
          reasons: [`frozen until \`holdfast tag ${flagged.join(' ')} --remove ${SHRUNKEN}\``],
        })
    }
  }
  const jobs = request.job === undefined ? await vault.lanes.jobs() : [request.job]
  for (const job of jobs) {
    const kept = new Set(plan.keep.filter((item) => item.job === job).map(({ id }) => id))
    const { retention } = request
    const segments = await planLanePrune(vault, job, { kept, retention, now: deps.clock.now() })
    if (segments.length > 0) (plan.log ??= []).push({ job, segments })
  }
  const { lock } = vault.storage.can
  if (lock !== undefined && plan.remove.length + (plan.log?.length ?? 0) > 0)
    plan.locked = { mode: lock.mode, until: new Date(deps.clock.now().getTime() + lock.forMs) }
  return plan
}

/** What a removal that failed half-way had removed: see the contract of `Vault.remove`. */
function removedBefore(error: unknown): string[] {
  const removed = isAppError(error) ? error.details['removed'] : undefined
  return Array.isArray(removed) ? removed.map(String) : []
}

export async function applyPrune(
  deps: Pick<Deps, 'catalogue'>,
  vault: Vault,
  plan: PrunePlan,
  { handle, signal, ...limits }: { handle?: RunHandle; signal?: AbortSignal } & PruneLimits = {},
): Promise<PrunePlan> {
  let logBytes = 0
  for (const { job, segments } of plan.log ?? [])
    logBytes += await removeSegments(vault, job, segments, signal ? { signal } : {})
  const ids = plan.remove.map(({ id }) => id)
  const options = { ...limits, ...(signal && { signal }), ...(handle && { onProgress: handle.onProgress }) }
  const { removed, bytesFreed: ofBackups } = await vault.remove(ids, options).catch((error: unknown) => {
    deps.catalogue.removeBackups(vault.name, removedBefore(error))
    throw error
  })
  // What is locked is hidden, not freed: see `keepLocks`.
  const bytesFreed = vault.storage.can.lock === undefined ? ofBackups + logBytes : 0
  adjustUsage(deps, vault.name, -bytesFreed)
  deps.catalogue.removeBackups(vault.name, removed)
  const left = plan.remove.filter(({ id }) => !removed.includes(id))
  if (left.length > 0)
    handle?.log(
      'warn',
      `${left.map(({ id }) => id).join(', ')}: the storage keeps them yet; a later prune removes them`,
    )
  return {
    ...plan,
    keep: [...plan.keep, ...left.map((item) => ({ ...item, reasons: ['locked by the storage yet'] }))],
    remove: plan.remove.filter(({ id }) => removed.includes(id)),
    applied: true,
    bytesFreed,
  }
}

export interface PruneHow extends PruneLimits {
  handle?: RunHandle
  signal?: AbortSignal | undefined
  /** Told when locks could not be looked after, where no run tells it. */
  onWarning?: RunHandle['onWarning']
}

/** The same, and behind it the locks of the vault: those of what is kept are renewed, what is hidden and free goes. */
export async function pruneAndKeepLocks(
  deps: Pick<Deps, 'catalogue' | 'clock'>,
  vault: Vault,
  plan: PrunePlan,
  { handle, onWarning = () => undefined, signal = handle?.signal, ...limits }: PruneHow,
): Promise<PrunePlan> {
  const how = { ...limits, ...(handle && { handle }), ...(signal && { signal }) }
  const applied = await applyPrune(deps, vault, plan, how)
  const released = await keepLocks(deps, vault, handle ?? { signal, log: () => undefined, onWarning })
  return released === undefined ? applied : { ...applied, released, bytesFreed: released.bytes }
}
