/**
 * Removing snapshots and what only they needed. The order makes every moment safe for who kills it: new packs, their
 * index, the rest of the index, the old index files, the old packs.
 */
import type { Clock } from '../base/clock.ts'
import { AppError, isAppError, toAppError } from '../base/errors.ts'
import { throwIfAborted } from '../base/streams.ts'
import type { Cancel, RemoveOptions, RemoveOutcome } from '../model/vault.ts'
import type { BackupContext } from './backup.ts'
import { decodeBlob } from './blob.ts'
import { keyOfFile } from './ids.ts'
import { encodeIndex, parseIndex, type IndexedPack } from './index-file.ts'
import { lockRepository, type RepositoryLock } from './lock.ts'
import { NOTES_FOLDER, readNotes } from './notes.ts'
import { markUsed, planPacks, type PackPlan } from './pack-plan.ts'
import { PackStore } from './pack-store.ts'
import { PackWriter } from './pack-writer.ts'
import { damaged } from './parse.ts'
import { sealedBlobs, wantedByPack } from './placed-blobs.ts'
import { inParallel, loadIndex, readSnapshots, type IndexedRepository } from './repository.ts'
import { readUnpacked, storeUnpacked } from './unpacked.ts'

/** A pack that no index names may be of a program that takes no locks and is still at work: it is left for so long. */
const ORPHAN_GRACE_MS = 60 * 60_000
const DELETIONS = 8
const INDEX_BLOBS = 50_000

export async function removeSnapshots(
  context: BackupContext,
  ids: readonly string[],
  options: RemoveOptions = {},
): Promise<RemoveOutcome> {
  const { repository, clock } = context
  const { signal, onProgress } = options
  const cancel: Cancel = signal ? { signal } : {}
  await using lock = await lockRepository(repository, {
    exclusive: true,
    clock,
    ...cancel,
    onNote: (message) => onProgress?.({ type: 'log', level: 'info', message }),
  })
  const going = new Set(ids)
  const snapshots = await readSnapshots(repository, cancel)
  for (const { id } of snapshots)
    if (going.has(id) && (await readNotes(repository, id, cancel)).hold === true)
      throw new AppError('backup.held', `${id} has a hold`)
  const indexed = await loadIndex(repository, cancel)
  const { used, missing } = await markUsed(
    indexed,
    snapshots.filter(({ id }) => !going.has(id)).map(({ snapshot }) => snapshot.tree),
    cancel,
  )
  await lock.confirmed
  const removed: string[] = []
  let locked = false
  try {
    for (const { id } of snapshots.filter((one) => going.has(one.id))) {
      throwIfAborted(signal)
      lock.assertHeld()
      try {
        await repository.storage.remove(keyOfFile('snapshots', id), cancel)
      } catch (error) {
        if (!isAppError(error, 'storage.locked')) throw error
        onProgress?.({ type: 'log', level: 'warn', message: toAppError(error).message })
        locked = true
        continue
      }
      removed.push(id)
      await repository.storage.remove(NOTES_FOLDER + id, cancel)
    }
    if (missing.length > 0) {
      onProgress?.({
        type: 'warning',
        code: 'prune',
        message: `${missing.length} blobs that snapshots need are missing, such as ${missing[0] ?? ''}: no pack is removed until \`holdfast repair\` and a new backup have mended that`,
      })
      return { removed, bytesFreed: 0 }
    }
    // What stays needs its packs, which were not counted: another prune removes those of the others.
    if (locked) return { removed, bytesFreed: 0 }
    const plan = await planPacks(indexed, used, options, cancel)
    const bytesFreed = await applyPlan(indexed, plan, lock, { clock, ...options })
    return { removed, bytesFreed }
  } catch (thrown) {
    const error = toAppError(thrown)
    const details = { ...error.details, removed }
    throw new AppError(error.code, error.message, { cause: error, hint: error.hint, details })
  }
}

/** Gives the bytes that it freed. */
export async function applyPlan(
  repository: IndexedRepository,
  plan: PackPlan,
  lock: RepositoryLock,
  options: RemoveOptions & { clock: Clock },
): Promise<number> {
  const { storage, packs } = repository
  const { signal, onProgress, clock } = options
  const cancel: Cancel = signal ? { signal } : {}
  const { bytes } = plan
  onProgress?.({
    type: 'log',
    level: 'info',
    message: `${plan.remove.length} packs to remove, ${plan.repack.length} to write anew (${bytes.repacked} bytes), ${plan.orphans.length} in no index`,
  })
  let freed = 0
  if (plan.remove.length + plan.repack.length > 0) {
    const gone = new Set([...plan.remove, ...plan.repack].map((number) => packs.id(number)))
    freed += bytes.removed
    await repack(repository, plan, lock, options)
    lock.assertHeld()
    const obsolete = await rewriteIndexes(repository, gone, lock, cancel)
    lock.assertHeld()
    await inParallel(obsolete, DELETIONS, async (id) => storage.remove(keyOfFile('index', id), cancel))
    await inParallel([...gone], DELETIONS, async (id) => {
      lock.assertHeld()
      await storage.remove(keyOfFile('data', id), cancel)
    })
  }
  const before = clock.now().getTime() - ORPHAN_GRACE_MS
  const left = plan.orphans.filter(({ modified }) => modified.getTime() < before)
  await inParallel(left, DELETIONS, async ({ id, size }) => {
    lock.assertHeld()
    await storage.remove(keyOfFile('data', id), cancel)
    freed += size
  })
  return freed
}

/** What is moved is opened and compared with its id on the way. */
async function repack(
  repository: IndexedRepository,
  plan: PackPlan,
  lock: RepositoryLock,
  { clock, signal, onProgress }: RemoveOptions & { clock: Clock },
): Promise<void> {
  const { index, key, packs } = repository
  const cancel: Cancel = signal ? { signal } : {}
  const allowed = lock.confirmed
  const store = new PackStore(repository, { clock, ...cancel, allowed, assertAllowed: () => lock.assertHeld() })
  const settings = { key, index, level: undefined, verify: false }
  const writers = {
    data: new PackWriter({ ...settings, type: 'data' }, store.memory('data')),
    tree: new PackWriter({ ...settings, type: 'tree' }, store.memory('tree')),
  }
  const going = new Set(plan.repack)
  const wanted = wantedByPack(repository, (entry, pack) => plan.kept[entry] === 1 && going.has(pack))
  try {
    for (const [done, number] of plan.repack.entries()) {
      for await (const blobs of sealedBlobs(repository, number, wanted.get(number) ?? [], cancel)) {
        throwIfAborted(signal)
        await store.room(2)
        for (const { entry, sealed, uncompressedLength } of blobs) {
          const [type, id] = [index.typeOf(entry), index.idOf(entry)]
          if (sealed === undefined) throw damaged(keyOfFile('data', packs.id(number)), 'it is missing or cut')
          decodeBlob(key, sealed, { type, id, uncompressedLength })
          writers[type].copy(sealed, Buffer.from(id, 'hex'), uncompressedLength, entry)
        }
      }
      const counters = { filesDone: done + 1, filesTotal: plan.repack.length, bytesDone: 0, bytesStored: 0 }
      onProgress?.({ type: 'progress', stage: 'prune', counters })
    }
    store.rest(writers.data)
    store.rest(writers.tree)
    await store.end()
  } finally {
    await store.settle()
  }
}

/** Lists what is left of the files that name a pack that goes; gives the ids of these files. */
async function rewriteIndexes(
  { storage, key, config, indexFiles }: IndexedRepository,
  gone: ReadonlySet<string>,
  lock: RepositoryLock,
  cancel: Cancel,
): Promise<string[]> {
  const obsolete: string[] = []
  const left = new Map<string, IndexedPack>()
  for (const id of indexFiles) {
    const found = new Map<string, IndexedPack>()
    const json = await readUnpacked(storage, key, 'index', id, cancel)
    parseIndex(json, keyOfFile('index', id), (pack, blob) => {
      const one = found.get(pack) ?? { id: pack, blobs: [] }
      found.set(pack, one)
      one.blobs.push(blob)
    })
    if (![...found.keys()].some((pack) => gone.has(pack))) continue
    obsolete.push(id)
    for (const [pack, one] of found) if (!gone.has(pack)) left.set(pack, one)
  }
  await storeIndexes({ storage, key, config }, [...left.values()], lock, cancel)
  return obsolete
}

export async function storeIndexes(
  { storage, key, config }: Pick<IndexedRepository, 'storage' | 'key' | 'config'>,
  listed: readonly IndexedPack[],
  lock: RepositoryLock,
  cancel: Cancel,
): Promise<string[]> {
  const written: string[] = []
  let some: IndexedPack[] = []
  let blobs = 0
  const write = async (): Promise<void> => {
    if (some.length === 0) return
    lock.assertHeld()
    written.push(await storeUnpacked(storage, key, config.version, 'index', encodeIndex(some), cancel))
    some = []
    blobs = 0
  }
  for (const pack of listed) {
    some.push(pack)
    blobs += pack.blobs.length
    if (blobs >= INDEX_BLOBS) await write()
  }
  await write()
  return written
}
