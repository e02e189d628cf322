/** Removing backups, in an order in which a crash leaves whole backups and named leftovers only. */
import { AppError, isAppError, toAppError } from '../base/errors.ts'
import { throwIfAborted } from '../base/streams.ts'
import type { OnProgress } from '../model/progress.ts'
import type { Storage } from '../model/storage.ts'
import type { Cancel, RemoveOutcome } from '../model/vault.ts'
import type { ArchiveContext } from './context.ts'
import { ownerText, readLeases } from './lease-record.ts'
import { takeLease } from './lease.ts'
import { MANIFEST_SUFFIX } from './manifest.ts'
import { baseOf, readInventory, type Inventory, type KnownBackup } from './manifests.ts'
import { removeLeftovers } from './tidy.ts'

/** A failure or an abort half-way tells in `details.removed` what is gone already. */
export async function removeBackups(
  context: ArchiveContext,
  ids: readonly string[],
  options: { signal?: AbortSignal; onProgress?: OnProgress },
): Promise<RemoveOutcome> {
  const { storage, clock } = context
  const cancel: Cancel = options.signal ? { signal: options.signal } : {}
  if (ids.length === 0) return { removed: [], bytesFreed: 0 }
  const inventory = await readInventory(storage, cancel)
  const wanted = new Set(ids)
  const going = inventory.backups.filter(({ manifest }) => wanted.has(manifest.id))
  refuseIfNeeded(inventory.backups, wanted)
  const bases = going.map(({ key }) => baseOf(key))
  const intent = { kind: 'remove' as const, job: '', bases, removes: [...wanted] }
  const lease = await takeLease(storage, clock, intent, options.signal)
  const removed: string[] = []
  let began = false
  let locked = false
  try {
    for (const other of await readLeases(storage, clock, { except: lease.key, ...cancel })) {
      const needed = other.live ? other.record.needs.find((id) => wanted.has(id)) : undefined
      // A backup that has not told yet what it builds on will see our lease when it has.
      if (needed !== undefined)
        throw new AppError('vault.locked', `${ownerText(other)} builds on ${needed}, which was to be removed`)
    }
    // One that ended between our look at the vault and our lease is a backup now.
    if (await hasNew(storage, inventory, cancel)) refuseIfNeeded((await readInventory(storage, cancel)).backups, wanted)
    // Newest first: what builds on something goes before it.
    let bytesFreed = 0
    for (const backup of going.toReversed()) {
      throwIfAborted(options.signal)
      lease.assertHeld()
      began = true
      try {
        await storage.remove(backup.key, cancel)
        removed.unshift(backup.manifest.id)
        const { bytes } = await removeLeftovers(storage, baseOf(backup.key), cancel)
        bytesFreed += bytes
      } catch (error) {
        if (!isAppError(error, 'storage.locked')) throw error
        // Its manifest goes first: what is locked whole stays whole. Else the lease names what is left of it.
        locked ||= removed.includes(backup.manifest.id)
        options.onProgress?.({ type: 'log', level: 'warn', message: error.message })
        continue
      }
      options.onProgress?.({ type: 'log', level: 'info', message: `removed ${backup.manifest.id}` })
    }
    await (locked ? lease.abandon() : lease.release())
    return { removed, bytesFreed }
  } catch (thrown) {
    // The lease names what a half-done removal leaves.
    await (began ? lease.abandon() : lease.release())
    const error = toAppError(thrown)
    throw new AppError(error.code, error.message, {
      cause: error,
      hint: error.hint,
      details: { ...error.details, removed },
    })
  }
}

async function hasNew(storage: Storage, { backups, damaged }: Inventory, cancel: Cancel): Promise<boolean> {
  const known = new Set([...backups, ...damaged].map(({ key }) => key))
  for await (const { key } of storage.list('', cancel))
    if (key.endsWith(MANIFEST_SUFFIX) && !known.has(key)) return true
  return false
}

function refuseIfNeeded(backups: readonly KnownBackup[], going: ReadonlySet<string>): void {
  for (const { manifest, notes } of backups) {
    if (going.has(manifest.id)) {
      if (notes.hold === true) throw new AppError('backup.held', `${manifest.id} has a hold`)
      continue
    }
    const needed = manifest.needs.find((id) => going.has(id))
    if (needed !== undefined) throw new AppError('backup.held', `${manifest.id} needs ${needed}`)
  }
}
