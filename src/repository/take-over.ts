/**
 * A backup of another repository, blob by blob: nothing is cut or compressed anew, its trees stay what they are, and what is
 * here already is not read. Every blob is opened and compared with its id on the way. docs/engine.md.
 */
import { isAbort, isAppError, toAppError } from '../base/errors.ts'
import { throwIfAborted } from '../base/streams.ts'
import type { Backup } from '../model/backup.ts'
import type { Cancel, TakeOverOptions } from '../model/vault.ts'
import type { BackupContext } from './backup.ts'
import { openBlob } from './blob.ts'
import type { BlobType } from './ids.ts'
import { lockRepository } from './lock.ts'
import { markUsed } from './pack-plan.ts'
import { PackStore } from './pack-store.ts'
import { PackWriter, type WriterCounts } from './pack-writer.ts'
import { damaged } from './parse.ts'
import { sealedBlobs, wantedByPack, type SealedBlob } from './placed-blobs.ts'
import { loadIndex, readBlob, type IndexedRepository } from './repository.ts'
import { encodeSnapshot, type Snapshot, type StoredSnapshot } from './snapshot.ts'
import { toBackup } from './to-backup.ts'
import { storeUnpacked } from './unpacked.ts'

/** Packs on their way to the storage; each has its own memory. */
const MOST_PACKS = 2

export interface TakenFrom {
  repository: IndexedRepository
  snapshot: StoredSnapshot
  /** As its vault lists it, with its notes. */
  backup: Backup
}

/** Whoever calls it keeps the other repository from being pruned. */
export async function takeOver(context: BackupContext, from: TakenFrom, options: TakeOverOptions): Promise<Backup> {
  const { clock, repository } = context
  const { signal, onProgress } = options
  const cancel: Cancel = signal ? { signal } : {}
  await using lock = await lockRepository(repository, {
    exclusive: false,
    clock,
    ...cancel,
    onNote: (message) => onProgress?.({ type: 'log', level: 'info', message }),
  })
  const into = await loadIndex(repository, cancel)
  const store = new PackStore(into, {
    clock,
    ...cancel,
    allowed: lock.confirmed,
    assertAllowed: () => lock.assertHeld(),
  })
  try {
    const counts = await takeBlobs(from, into, store, context, options)
    await store.end()
    onProgress?.({ type: 'stage', stage: 'commit' })
    throwIfAborted(signal)
    await lock.confirmed
    lock.assertHeld()
    const snapshot = snapshotOf(from, counts)
    const { storage, key, config } = repository
    const id = await storeUnpacked(storage, key, config.version, 'snapshots', encodeSnapshot(snapshot), cancel)
    return toBackup({ id, snapshot }, {}, context.name)
  } catch (error) {
    // What was sent need not be sent again.
    await store.keep()
    throw isAbort(error) || isAppError(error) ? error : toAppError(error)
  }
}

async function takeBlobs(
  { repository: from, snapshot }: TakenFrom,
  into: IndexedRepository,
  store: PackStore,
  { writing }: BackupContext,
  { signal, onProgress }: TakeOverOptions,
): Promise<Record<BlobType, WriterCounts>> {
  const cancel: Cancel = signal ? { signal } : {}
  const { used, missing } = await markUsed(from, [snapshot.snapshot.tree], cancel)
  if (missing.length > 0)
    throw damaged(
      `snapshot ${snapshot.id.slice(0, 8)}`,
      `${missing.length} of its blobs are missing, such as ${missing[0] ?? ''}`,
    )
  const { index } = from
  const wanted = wantedByPack(
    from,
    (entry) => used[entry] === 1 && !into.index.has(index.typeOf(entry), index.idOf(entry)),
  )
  const settings = {
    key: into.key,
    index: into.index,
    level: into.config.version === 1 ? undefined : writing.level,
    verify: writing.verify,
    ...(writing.packSize !== undefined && { packSize: writing.packSize }),
  }
  const writers = {
    data: new PackWriter({ ...settings, type: 'data' }, store.memory('data')),
    tree: new PackWriter({ ...settings, type: 'tree' }, store.memory('tree')),
  }
  let filesDone = 0
  let bytesDone = 0
  for (const [pack, placed] of wanted) {
    for await (const blobs of sealedBlobs(from, pack, placed, cancel)) {
      throwIfAborted(signal)
      await store.room(MOST_PACKS)
      for (const blob of blobs) {
        await take(from, blob, writers[index.typeOf(blob.entry)], cancel)
        bytesDone += blob.length
      }
    }
    filesDone += 1
    const { packed } = writers.data.counts
    const counters = { filesDone, filesTotal: wanted.size, bytesDone, bytesStored: packed + writers.tree.counts.packed }
    onProgress?.({ type: 'progress', stage: 'copy', counters })
  }
  store.rest(writers.data)
  store.rest(writers.tree)
  return { data: writers.data.counts, tree: writers.tree.counts }
}

/** One that is damaged here may lie whole elsewhere in its repository. */
async function take(
  from: IndexedRepository,
  { entry, sealed, uncompressedLength }: SealedBlob,
  writer: PackWriter,
  cancel: Cancel,
): Promise<void> {
  const { key, index } = from
  const [type, id] = [index.typeOf(entry), index.idOf(entry)]
  try {
    if (sealed !== undefined) {
      writer.storeOpened(openBlob(key, sealed, { type, id, uncompressedLength }), Buffer.from(id, 'hex'))
      return
    }
  } catch (error) {
    if (!isAppError(error, 'backup.damaged')) throw error
  }
  writer.store(await readBlob(from, type, id, cancel))
}

/** Of its parent nothing is known here. What was added is what this repository had not. */
function snapshotOf(
  { snapshot: { id, snapshot }, backup }: TakenFrom,
  { data, tree }: Record<BlobType, WriterCounts>,
): Snapshot {
  const { parent: _parent, tags: _tags, summary, holdfast, ...kept } = snapshot
  return {
    ...kept,
    original: snapshot.original ?? id,
    ...(backup.tags.length > 0 && { tags: backup.tags }),
    ...(summary && {
      summary: {
        ...summary,
        data_blobs: data.blobs,
        tree_blobs: tree.blobs,
        data_added: data.bytes + tree.bytes,
        data_added_packed: data.packed + tree.packed,
      },
    }),
    holdfast: { warnings: backup.warnings, ...holdfast, job: backup.job, source: backup.source },
  }
}
