/**
 * What a backup builds on and what it is called, chosen so that no other process can be in the way: each tells in its
 * lease what it is about to do before it looks at what the others told. docs/formats/archive.md §6.
 */
import { createHash } from 'node:crypto'
import { AppError, isAppError } from '../base/errors.ts'
import { backupId } from '../base/ids.ts'
import type { BackupRequest, Cancel } from '../model/vault.ts'
import type { ArchiveContext } from './context.ts'
import { ownerText, readLeases, type FoundLease } from './lease-record.ts'
import type { VaultLease } from './lease.ts'
import { readInventory, type KnownBackup } from './manifests.ts'
import { baseName } from './names.ts'
import { folderOf } from './parts.ts'
import { planBackup, type BackupPlan } from './plan.ts'

/** How often to look again at one that began at the same moment. */
const RIVAL_POLL_MS = 250
const RIVAL_POLLS = 100
const MAX_TRIES = 20

/**
 * Two runs of one job never overlap, wherever they run: the vault itself knows. A lease without `bases` asks, one with
 * them works. Of several that ask at once the first by name waits until the others have given way.
 */
export async function refuseSecondRun(
  { storage, clock }: ArchiveContext,
  { job, signal }: BackupRequest,
  lease: VaultLease,
): Promise<FoundLease[]> {
  for (let polls = 0; ; polls += 1) {
    const leases = await readLeases(storage, clock, { except: lease.key, signal })
    const rivals = leases.filter(({ live, record }) => live && record.kind === 'backup' && record.job === job)
    const first = rivals.find(({ key, record }) => record.bases.length > 0 || key < lease.key)
    const rival = first ?? (polls < RIVAL_POLLS ? undefined : rivals[0])
    if (rival !== undefined)
      throw new AppError('vault.locked', `job ${job} is being backed up to ${storage.name} by ${ownerText(rival)}`)
    if (rivals.length === 0) return leases
    await clock.sleep(RIVAL_POLL_MS, signal)
  }
}

export interface Chosen {
  plan: BackupPlan
  id: string
  base: string
}

export async function choose(context: ArchiveContext, request: BackupRequest, lease: VaultLease): Promise<Chosen> {
  const { storage, clock } = context
  const { signal } = request
  const cancel: Cancel = signal ? { signal } : {}
  const look = { except: lease.key, signal }
  const unusable = new Set<string>()
  let leases = await refuseSecondRun(context, request, lease)
  for (let tries = 0; tries < MAX_TRIES; tries += 1) {
    const { backups } = await readInventory(storage, cancel)
    const plan = await soundPlan(context, request, backups, leases, unusable)
    const id = request.id ?? backupId(request.kind ?? plan.type, request.time)
    if (backups.some(({ manifest }) => manifest.id === id))
      throw new AppError('usage.invalid', `${storage.name} has a backup ${id} already`)
    const base = await freeBase(context, request, plan, id, leases)
    const needs = plan.parent ? [plan.parent.manifest.id, ...plan.parent.manifest.needs] : []
    await lease.change({ bases: [base], needs }, signal)
    leases = await readLeases(storage, clock, look)
    const others = leases.filter(({ live }) => live).map(({ record }) => record)
    const inTheWay = others.some(
      ({ bases, removes }) => bases.includes(base) || removes.some((removed) => needs.includes(removed)),
    )
    if (!inTheWay && (await areThere(context, needs, backups, cancel))) return { plan, id, base }
  }
  throw new AppError('vault.locked', `others keep changing what a backup of ${request.job} could build on`)
}

/** A chain does not go on from an index that is not what was written. */
async function soundPlan(
  context: ArchiveContext,
  request: BackupRequest,
  backups: readonly KnownBackup[],
  leases: readonly FoundLease[],
  unusable: Set<string>,
): Promise<BackupPlan> {
  for (;;) {
    const plan = planBackup(request, backups, leases, unusable)
    if (plan.parent === undefined || (await isIndexSound(context, plan.parent, request.signal))) return plan
    const { id } = plan.parent.manifest
    unusable.add(id)
    const message = `the index of ${id} is damaged: nothing is built on it`
    request.onProgress?.({ type: 'warning', code: 'damaged', message })
  }
}

async function isIndexSound(
  { storage }: ArchiveContext,
  { key, manifest }: KnownBackup,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const hash = createHash('sha256')
  try {
    for await (const chunk of storage.get(folderOf(key) + manifest.index.name, signal ? { signal } : {}))
      hash.update(chunk)
  } catch (error) {
    if (isAppError(error, 'storage.not-found', 'storage.checksum')) return false
    throw error
  }
  return hash.digest('hex') === manifest.index.sha256
}

/** Whether nobody has removed them since they were read. */
async function areThere(
  { storage }: ArchiveContext,
  ids: readonly string[],
  backups: readonly KnownBackup[],
  cancel: Cancel,
): Promise<boolean> {
  for (const { key, manifest } of backups)
    if (ids.includes(manifest.id) && (await storage.stat(key, cancel)) === undefined) return false
  return true
}

/** The name from the template; with the id's random end if it is taken, by an object or by a process at work. */
async function freeBase(
  context: ArchiveContext,
  request: BackupRequest,
  plan: BackupPlan,
  id: string,
  leases: readonly FoundLease[],
): Promise<string> {
  const { template, timezone } = context.writing
  const base = baseName(template, { ...request, type: request.kind ?? plan.type, backupId: id, timezone })
  const other = `${base}_${id.slice(-6)}`
  if (leases.some(({ record }) => record.bases.includes(base))) return other
  const found = context.storage.list(`${base}.`, request.signal ? { signal: request.signal } : {})
  for await (const { key } of found) if (key) return other
  return base
}
