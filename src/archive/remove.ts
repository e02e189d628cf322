/** Removing backups, in an order in which a crash leaves whole backups and named leftovers only. */
import { AppError } from '../base/errors.ts'
import type { OnProgress } from '../model/progress.ts'
import type { RemoveOutcome } from '../model/vault.ts'
import type { ArchiveContext } from './context.ts'
import { ownerText, readLeases, takeLease } from './lease.ts'
import { baseOf, readInventory, type KnownBackup } from './manifests.ts'
import { removeLeftovers } from './tidy.ts'

export async function removeBackups(
  context: ArchiveContext,
  ids: readonly string[],
  options: { signal?: AbortSignal; onProgress?: OnProgress },
): Promise<RemoveOutcome> {
  const { storage, clock } = context
  if (ids.length === 0) return { removed: [], bytesFreed: 0 }
  const { backups } = await readInventory(storage, options)
  const wanted = new Set(ids)
  const going = backups.filter(({ manifest }) => wanted.has(manifest.id))
  refuseIfNeeded(backups, wanted)
  await using lease = await takeLease(storage, clock, {
    kind: 'remove',
    job: '',
    bases: going.map(({ key }) => baseOf(key)),
    removes: [...wanted],
  })
  for (const other of await readLeases(storage, clock, [lease.key])) {
    if (!other.live) continue
    const needed = other.record.needs.find((id) => wanted.has(id))
    // A backup that has not chosen its parent yet will see our lease when it does.
    if (needed !== undefined)
      throw new AppError('vault.locked', `${ownerText(other)} builds on ${needed}, which was to be removed`)
  }
  // Newest first: what builds on something goes before it.
  const removed: string[] = []
  let bytesFreed = 0
  for (const backup of going.toReversed()) {
    if (options.signal?.aborted) break
    lease.assertHeld()
    await storage.remove(backup.key)
    const { bytes } = await removeLeftovers(storage, baseOf(backup.key))
    bytesFreed += bytes
    removed.push(backup.manifest.id)
    options.onProgress?.({ type: 'log', level: 'info', message: `removed ${backup.manifest.id}` })
  }
  return { removed: removed.reverse(), bytesFreed }
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
