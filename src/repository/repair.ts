/**
 * Makes a damaged repository sound again: the index then tells what is there, and nothing else. What is lost is stored
 * again by the next backup that still finds it, which makes older snapshots whole too.
 */
import { createHash } from 'node:crypto'
import { isAppError } from '../base/errors.ts'
import { collect, throwIfAborted } from '../base/streams.ts'
import type { Cancel, RepairOptions, RepairOutcome } from '../model/vault.ts'
import type { BackupContext } from './backup.ts'
import { decodeBlob } from './blob.ts'
import { unseal } from './crypto.ts'
import { keyOfFile } from './ids.ts'
import { parseIndex } from './index-file.ts'
import { lockRepository } from './lock.ts'
import { encodeHeader, headerRange, packSize, parseHeader, type PackedBlob } from './pack-header.ts'
import { closePack, packRoom } from './pack-writer.ts'
import { markUsed } from './pack-plan.ts'
import { storeIndexes } from './prune.ts'
import { repairSnapshots } from './repair-snapshots.ts'
import {
  inParallel,
  listFiles,
  listIds,
  loadIndex,
  readSnapshots,
  type IndexedRepository,
  type OpenRepository,
} from './repository.ts'
import type { StoredSnapshot } from './snapshot.ts'
import { readUnpacked } from './unpacked.ts'

type Listing = Map<string, PackedBlob[]>

export async function repairRepository(context: BackupContext, options: RepairOptions): Promise<RepairOutcome> {
  const { repository, clock } = context
  const { signal, onProgress, dryRun = false } = options
  const cancel: Cancel = signal ? { signal } : {}
  const note = (message: string): void => onProgress?.({ type: 'log', level: 'info', message })
  await using lock = await lockRepository(repository, { exclusive: true, clock, ...cancel, onNote: note })
  await lock.confirmed
  const { storage } = repository
  const outcome: RepairOutcome = {
    changed: false,
    problems: [],
    mended: [],
    missing: 0,
    backups: [],
    made: {},
    lost: [],
  }
  const tell = (problem: string, mended: string): void => {
    outcome.problems.push(problem)
    outcome.mended.push(mended)
  }
  const { listed, files, unreadable } = await readIndexes(repository, cancel)
  for (const id of unreadable) tell(`index/${id} cannot be read`, 'what it listed is listed anew')
  const stored = new Map<string, number>()
  for await (const { id, size } of listFiles(storage, 'data', cancel)) stored.set(id, size)
  const right: Listing = new Map()
  /** Packs of which something is wrong: to be read blob by blob. */
  const suspect = new Map<string, PackedBlob[]>()
  for (const [id, blobs] of listed) {
    const size = stored.get(id)
    if (size === undefined) tell(`data/${id} is missing`, `its ${blobs.length} blobs are no longer listed`)
    else if (size === packSize(blobs)) right.set(id, blobs)
    else suspect.set(id, blobs)
  }
  for (const [id, size] of stored) {
    if (listed.has(id)) continue
    const blobs = await readHeader(repository, id, size, cancel)
    if (blobs === undefined) suspect.set(id, [])
    else {
      right.set(id, blobs)
      tell(`data/${id} is in no index`, `its ${blobs.length} blobs are listed`)
    }
  }
  if (options.readData === true) {
    await inParallel([...right], 2, async ([id, blobs]) => {
      throwIfAborted(signal)
      if (await isIntact(repository, id, cancel)) return
      right.delete(id)
      suspect.set(id, blobs)
    })
  }
  const gone: string[] = []
  for (const [id, blobs] of suspect) {
    throwIfAborted(signal)
    const good = await goodBlobs(repository, id, blobs, cancel)
    tell(
      `data/${id} is damaged`,
      good.length === 0
        ? 'nothing of it can be saved'
        : `${good.length} of its ${blobs.length} blobs are moved to a new pack`,
    )
    // A pack of which nothing is known may be one that is being written.
    if (blobs.length === 0) continue
    gone.push(id)
    if (good.length === 0 || dryRun) continue
    lock.assertHeld()
    const [packId, entries] = await moveTo(repository, good, cancel)
    right.set(packId, entries)
  }
  if (outcome.problems.length > 0 && !dryRun) {
    const written = new Set(
      await storeIndexes(
        repository,
        [...right].map(([id, blobs]) => ({ id, blobs })),
        lock,
        cancel,
      ),
    )
    lock.assertHeld()
    for (const id of [...files, ...unreadable])
      if (!written.has(id)) await storage.remove(keyOfFile('index', id), cancel)
    for (const id of gone) await storage.remove(keyOfFile('data', id), cancel)
    outcome.changed = true
  }
  const damaged = await tellMissing(repository, outcome, dryRun, cancel)
  if (options.backups !== undefined && damaged !== undefined && damaged.snapshots.length > 0 && !dryRun) {
    const made = await repairSnapshots(damaged.repository, damaged.snapshots, {
      clock,
      lock,
      ...cancel,
      forget: options.backups === 'replace',
      onLost: (id, path) => outcome.lost.push(`${id}:${path}`),
    })
    outcome.made = Object.fromEntries(made)
    outcome.changed = true
  }
  return outcome
}

async function readIndexes(
  repository: OpenRepository,
  cancel: Cancel,
): Promise<{ listed: Listing; files: string[]; unreadable: string[] }> {
  const { storage, key } = repository
  const listed: Listing = new Map()
  const files: string[] = []
  const unreadable: string[] = []
  for await (const id of listIds(storage, 'index', cancel)) {
    const found: Listing = new Map()
    try {
      parseIndex(await readUnpacked(storage, key, 'index', id, cancel), keyOfFile('index', id), (pack, blob) => {
        const blobs = found.get(pack) ?? []
        found.set(pack, blobs)
        blobs.push(blob)
      })
    } catch (error) {
      if (!isAppError(error, 'backup.damaged')) throw error
      unreadable.push(id)
      continue
    }
    files.push(id)
    for (const [pack, blobs] of found) {
      blobs.sort((a, b) => a.offset - b.offset)
      // Of two listings the fuller one is right.
      if ((listed.get(pack)?.length ?? 0) < blobs.length) listed.set(pack, blobs)
    }
  }
  return { listed, files, unreadable }
}

const TAIL = 64 * 1024

async function readHeader(
  { storage, key }: OpenRepository,
  id: string,
  size: number,
  cancel: Cancel,
): Promise<PackedBlob[] | undefined> {
  if (size < 40) return undefined
  const read = async (start: number, end: number): Promise<Uint8Array> =>
    collect(storage.get(keyOfFile('data', id), { range: { start, end }, ...cancel }), end - start)
  const tail = await read(Math.max(0, size - TAIL), size)
  const range = headerRange(tail, size)
  if (range === undefined) return undefined
  const at = size - tail.length
  const sealed =
    range.start >= at ? tail.subarray(range.start - at, range.end - at) : await read(range.start, range.end)
  const plain = unseal(key, sealed)
  const blobs = plain && parseHeader(plain)
  return blobs !== undefined && packSize(blobs) === size ? blobs : undefined
}

async function isIntact({ storage }: OpenRepository, id: string, cancel: Cancel): Promise<boolean> {
  const sum = createHash('sha256')
  try {
    for await (const chunk of storage.get(keyOfFile('data', id), cancel)) sum.update(chunk)
  } catch (error) {
    if (isAppError(error, 'storage.not-found', 'storage.truncated')) return false
    throw error
  }
  return sum.digest('hex') === id
}

interface SavedBlob extends PackedBlob {
  sealed: Uint8Array
}

async function goodBlobs(
  { storage, key }: OpenRepository,
  id: string,
  blobs: readonly PackedBlob[],
  cancel: Cancel,
): Promise<SavedBlob[]> {
  const bytes = await collect(storage.get(keyOfFile('data', id), cancel)).catch((error: unknown) => {
    if (isAppError(error, 'storage.not-found', 'storage.truncated')) return new Uint8Array(0)
    throw error
  })
  return blobs.flatMap((blob) => {
    const sealed = bytes.subarray(blob.offset, blob.offset + blob.length)
    try {
      decodeBlob(key, sealed, blob)
      return [{ ...blob, sealed }]
    } catch (error) {
      if (isAppError(error, 'backup.damaged')) return []
      throw error
    }
  })
}

async function moveTo(
  { storage, key }: OpenRepository,
  blobs: readonly SavedBlob[],
  cancel: Cancel,
): Promise<[id: string, blobs: PackedBlob[]]> {
  const length = blobs.reduce((sum, blob) => sum + blob.length, 0)
  const memory = Buffer.alloc(packRoom(length))
  let offset = 0
  const placed = blobs.map(({ sealed, ...blob }): PackedBlob => {
    memory.set(sealed, offset)
    offset += blob.length
    return { ...blob, offset: offset - blob.length }
  })
  const { id, size } = closePack(key, { memory, length, header: encodeHeader(placed), entries: new Uint32Array(0) })
  const bytes = memory.subarray(0, size)
  await storage.put(keyOfFile('data', id), bytes, cancel)
  return [id, placed]
}

/** Which snapshots still lack something; undefined when that is not known yet. */
async function tellMissing(
  repository: OpenRepository,
  outcome: RepairOutcome,
  dryRun: boolean,
  cancel: Cancel,
): Promise<{ repository: IndexedRepository; snapshots: StoredSnapshot[] } | undefined> {
  const snapshots = await readSnapshots(repository, {
    ...cancel,
    onUnreadable: (id) => void outcome.problems.push(`snapshots/${id} cannot be read`),
  })
  if (dryRun && outcome.problems.length > 0) return undefined
  const indexed = await loadIndex(repository, cancel)
  const missing = new Set<string>()
  const damaged: StoredSnapshot[] = []
  for (const stored of snapshots) {
    const found = await markUsed(indexed, [stored.snapshot.tree], cancel)
    if (found.missing.length > 0) {
      outcome.backups.push(stored.id)
      damaged.push(stored)
    }
    for (const blob of found.missing) missing.add(blob)
  }
  outcome.missing = missing.size
  return { repository: indexed, snapshots: damaged }
}
