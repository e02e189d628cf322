/** Which type a backup gets, and what it builds on. */
import type { BackupType } from '../model/backup.ts'
import type { BackupRequest } from '../model/vault.ts'
import type { FoundLease } from './lease.ts'
import type { KnownBackup } from './manifests.ts'
import { missingLinks } from './manifests.ts'

export interface BackupPlan {
  type: BackupType
  parent?: KnownBackup
  /** Said when the user asked for something else. */
  why?: string
}

export function planBackup(
  request: BackupRequest,
  backups: readonly KnownBackup[],
  leases: readonly FoundLease[],
): BackupPlan {
  if (request.type === 'full') return { type: 'full' }
  const present = new Set(backups.map(({ manifest }) => manifest.id))
  // What another process is about to remove must not be built on.
  const leaving = new Set(leases.filter(({ live }) => live).flatMap(({ record }) => record.removes))
  const usable = backups.filter(
    (backup) =>
      backup.manifest.job === request.job &&
      missingLinks(backup, present).length === 0 &&
      ![backup.manifest.id, ...backup.manifest.needs].some((id) => leaving.has(id)),
  )
  const wanted: BackupType = request.type === 'auto' ? 'incremental' : request.type
  const parent = usable.findLast(({ manifest }) => wanted === 'incremental' || manifest.type === 'full')
  if (parent === undefined)
    return {
      type: 'full',
      why: `no earlier ${wanted === 'differential' ? 'full ' : ''}backup of ${request.job} to build on`,
    }
  if (request.type === 'auto' && request.fullEveryMs !== undefined) {
    const fullId = parent.manifest.chain[0] ?? parent.manifest.id
    const full = usable.find(({ manifest }) => manifest.id === fullId)
    const age = request.time.getTime() - Date.parse(full?.manifest.time ?? '1970-01-01')
    if (age >= request.fullEveryMs) return { type: 'full', why: 'the last full backup is older than fullEvery' }
  }
  return { type: wanted, parent }
}
