/** Which type a backup gets, and what it builds on. */
import type { BackupType } from '../model/backup.ts'
import type { BackupRequest } from '../model/vault.ts'
import type { FoundLease } from './lease-record.ts'
import { brokenBy, byId, type KnownBackup } from './manifests.ts'

export interface BackupPlan {
  type: BackupType
  parent?: KnownBackup
  /** The job's newest backup, whatever its type: about as large as the one to come. */
  last?: KnownBackup
  /** Said when the user asked for something else. */
  why?: string
}

/** `unusable`: ids of backups that turned out to be damaged. */
export function planBackup(
  request: BackupRequest,
  backups: readonly KnownBackup[],
  leases: readonly FoundLease[],
  unusable: ReadonlySet<string> = new Set(),
): BackupPlan {
  const last = backups.findLast(({ manifest }) => manifest.job === request.job)
  return { ...typeOf(request, backups, leases, unusable), ...(last && { last }) }
}

function typeOf(
  request: BackupRequest,
  backups: readonly KnownBackup[],
  leases: readonly FoundLease[],
  unusable: ReadonlySet<string>,
): BackupPlan {
  if (request.type === 'full') return { type: 'full' }
  const all = byId(backups)
  // What another process is about to remove must not be built on.
  const leaving = new Set(leases.filter(({ live }) => live).flatMap(({ record }) => record.removes))
  const mine = backups.filter(({ manifest }) => manifest.job === request.job)
  const isWhole = (backup: KnownBackup): boolean =>
    brokenBy(backup, all) === undefined && !unusable.has(backup.manifest.id)
  const usable = mine.filter(
    (backup) => isWhole(backup) && ![backup.manifest.id, ...backup.manifest.needs].some((id) => leaving.has(id)),
  )
  const wanted: BackupType = request.type === 'auto' ? 'incremental' : request.type
  const parent = usable.findLast(({ manifest }) => wanted === 'incremental' || manifest.type === 'full')
  if (parent === undefined)
    return {
      type: 'full',
      why: `no earlier ${wanted === 'differential' ? 'full ' : ''}backup of ${request.job} to build on`,
    }
  if (request.type !== 'auto') return { type: wanted, parent }
  const newest = mine.at(-1)
  if (newest !== undefined && !isWhole(newest)) return { type: 'full', why: `${newest.manifest.id} is not whole` }
  if (request.fullEveryMs !== undefined) {
    const fullId = parent.manifest.chain[0] ?? parent.manifest.id
    const full = usable.find(({ manifest }) => manifest.id === fullId)
    const age = request.time.getTime() - Date.parse(full?.manifest.time ?? '1970-01-01')
    if (age >= request.fullEveryMs) return { type: 'full', why: 'the last full backup is older than fullEvery' }
  }
  return { type: wanted, parent }
}
