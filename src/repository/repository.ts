/**
 * An open repository. `openRepository` needs a password and reads `keys/` and `config`; `loadIndex` reads `index/` and
 * gives the same with blobs. What is read is checked: files against their names, blobs against their ids.
 */
import { AppError, isAppError } from '../base/errors.ts'
import { collect } from '../base/streams.ts'
import type { Secret } from '../model/settings.ts'
import type { Storage } from '../model/storage.ts'
import type { Cancel } from '../model/vault.ts'
import { BlobIndex, PENDING } from './blob-index.ts'
import { decodeBlob } from './blob.ts'
import { BlockReader } from './block-reader.ts'
import { CONFIG_KEY, encodeConfig, newConfig, parseConfig, type RepositoryConfig } from './config.ts'
import { seal, sealKey, unseal, type SealKey } from './crypto.ts'
import { idOf, isId, keyOfFile, type BlobType, type FileKind } from './ids.ts'
import { parseIndex } from './index-file.ts'
import { encodeKeyFile, newKeyFile, newMasterKey, openKeyFile, parseKeyFile } from './key-file.ts'
import { damaged } from './parse.ts'
import { byTime, parseSnapshot, type StoredSnapshot } from './snapshot.ts'
import { parseTree } from './tree.ts'
import type { TreeNode } from './node.ts'
import { readFile, readUnpacked } from './unpacked.ts'

export interface OpenRepository {
  readonly storage: Storage
  readonly config: RepositoryConfig
  readonly key: SealKey
  /** The id of the key file that the password opened. */
  readonly keyId: string
}

export interface IndexedRepository extends OpenRepository {
  readonly index: BlobIndex
  /** Ids of packs, by their number in the index. */
  readonly packs: PackTable
  /** Ids of the index files that were read. */
  readonly indexFiles: string[]
  readonly blocks: BlockReader
}

export interface PackTable {
  /** The number of a pack, a new one if it was not known. */
  number(id: string): number
  id(number: number): string
  readonly count: number
}

export function packTable(): PackTable {
  const ids: string[] = []
  const numbers = new Map<string, number>()
  return {
    number(id) {
      let number = numbers.get(id)
      if (number === undefined) {
        number = ids.length
        if (number >= PENDING) throw new RangeError('the repository has more packs than can be indexed')
        ids.push(id)
        numbers.set(id, number)
      }
      return number
    },
    id: (number) => ids[number] as string,
    get count() {
      return ids.length
    },
  }
}

/** Whether there is a repository of restic's format. */
export async function isRepository(storage: Storage): Promise<boolean> {
  if ((await storage.stat(CONFIG_KEY)) === undefined) return false
  for await (const _id of listIds(storage, 'keys')) return true
  return false
}

/** Ids of the files of one kind; other names are not ours to judge, and left out. */
export async function* listFiles(
  storage: Storage,
  kind: FileKind,
  { signal }: Cancel = {},
): AsyncGenerator<{ id: string; size: number; modified: Date }> {
  for await (const { key, size, modified } of storage.list(`${kind}/`, signal ? { signal } : {})) {
    const id = key.slice(key.lastIndexOf('/') + 1)
    if (isId(id) && key === keyOfFile(kind, id)) yield { id, size, modified }
  }
}

export async function* listIds(storage: Storage, kind: FileKind, cancel: Cancel = {}): AsyncGenerator<string> {
  for await (const { id } of listFiles(storage, kind, cancel)) yield id
}

/** More keys than this are not tried: each costs half a second. */
const MOST_KEYS = 20

export async function openRepository(storage: Storage, password: Secret, cancel: Cancel = {}): Promise<OpenRepository> {
  const text = await password.read()
  const master = await unlock(storage, text, cancel)
  const key = sealKey(master.raw)
  const sealed = await collect(storage.get(CONFIG_KEY, cancel.signal ? { signal: cancel.signal } : {}), 1024 * 1024)
  const plain = unseal(key, sealed)
  if (plain === undefined) throw damaged(`the configuration of ${storage.name}`, 'its sum is wrong')
  return { storage, key, keyId: master.keyId, config: parseConfig(plain, storage.name) }
}

async function unlock(storage: Storage, password: string, cancel: Cancel): Promise<{ raw: Uint8Array; keyId: string }> {
  let tried = 0
  let unreadable: AppError | undefined
  for await (const keyId of listIds(storage, 'keys', cancel)) {
    if (tried >= MOST_KEYS) break
    try {
      const what = `${keyOfFile('keys', keyId)} in ${storage.name}`
      const file = parseKeyFile(await readFile(storage, 'keys', keyId, cancel), what)
      tried += 1
      const raw = await openKeyFile(file, password, what)
      if (raw !== undefined) return { raw, keyId }
    } catch (error) {
      // Another key may do; one that was removed meanwhile does not count.
      if (isAppError(error, 'storage.not-found')) continue
      if (!isAppError(error, 'backup.damaged', 'vault.unsupported')) throw error
      unreadable = error
    }
  }
  if (tried === 0 && unreadable !== undefined) throw unreadable
  if (tried === 0) throw new AppError('vault.not-found', `there is no repository at ${storage.name}: it has no key`)
  throw new AppError('vault.wrong-password', `no key of ${storage.name} opens with this password`)
}

/** Makes a repository: the key first, the configuration last, which makes it one. */
export async function createRepository(
  storage: Storage,
  password: Secret,
  options: { now: Date; polynomial?: bigint; p?: number } & Cancel,
): Promise<OpenRepository> {
  const { now, polynomial, p, signal } = options
  const cancel = signal ? { signal } : {}
  const raw = newMasterKey()
  const key = sealKey(raw)
  const config = newConfig(polynomial)
  const keyFile = encodeKeyFile(await newKeyFile(raw, await password.read(), { now, ...(p !== undefined && { p }) }))
  const keyId = idOf(keyFile)
  await storage.put(keyOfFile('keys', keyId), keyFile, { storageClass: 'warm', ...cancel })
  try {
    await storage.put(CONFIG_KEY, seal(key, encodeConfig(config)), { storageClass: 'warm', ifAbsent: true, ...cancel })
  } catch (error) {
    if (!isAppError(error, 'storage.exists')) throw error
    // Another process made it at the same moment: its key is the repository's.
    await storage.remove(keyOfFile('keys', keyId), cancel)
    return openRepository(storage, password, cancel)
  }
  return { storage, key, keyId, config }
}

/** Oldest first. Those that cannot be read are told, or reject. */
export async function readSnapshots(
  { storage, key }: OpenRepository,
  options: Cancel & { onUnreadable?: (id: string, error: AppError) => void } = {},
): Promise<StoredSnapshot[]> {
  const { onUnreadable, ...cancel } = options
  const ids: string[] = []
  for await (const id of listIds(storage, 'snapshots', cancel)) ids.push(id)
  const found: StoredSnapshot[] = []
  await inParallel(ids, 8, async (id) => {
    try {
      const json = await readUnpacked(storage, key, 'snapshots', id, cancel)
      found.push({ id, snapshot: parseSnapshot(json, `snapshot ${id.slice(0, 8)}`) })
    } catch (error) {
      // Forgotten since it was listed.
      if (isAppError(error, 'storage.not-found')) return
      if (onUnreadable === undefined || !isAppError(error, 'backup.damaged')) throw error
      onUnreadable(id, error)
    }
  })
  return found.sort(byTime)
}

/** Does `work` for each, `width` at a time; the first failure ends it. */
export async function inParallel<T>(
  items: readonly T[],
  width: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  let next = 0
  const runner = async (): Promise<void> => {
    while (next < items.length) {
      const item = items[next] as T
      next += 1
      try {
        await work(item)
      } catch (error) {
        next = items.length
        throw error
      }
    }
  }
  const settled = await Promise.allSettled(Array.from({ length: Math.min(width, items.length) }, runner))
  const failed = settled.find((one) => one.status === 'rejected')
  if (failed !== undefined) throw failed.reason
}

/** Snapshots must have been listed before, so that what they need is in the index by then. */
export async function loadIndex(
  repository: OpenRepository,
  options: Cancel & { onUnreadable?: (id: string, error: AppError) => void } = {},
): Promise<IndexedRepository> {
  const { onUnreadable, ...cancel } = options
  const { storage, key } = repository
  const index = new BlobIndex()
  const packs = packTable()
  const ids: string[] = []
  const indexFiles: string[] = []
  for await (const id of listIds(storage, 'index', cancel)) ids.push(id)
  await inParallel(ids, 4, async (id) => {
    try {
      const json = await readUnpacked(storage, key, 'index', id, cancel)
      parseIndex(json, keyOfFile('index', id), (pack, blob) => {
        index.add(blob.type, blob.id, { ...blob, pack: packs.number(pack) })
      })
      indexFiles.push(id)
    } catch (error) {
      // Somebody prunes: what it replaced this by has been listed too, or the caller starts anew.
      if (isAppError(error, 'storage.not-found')) return
      if (onUnreadable === undefined || !isAppError(error, 'backup.damaged')) throw error
      onUnreadable(id, error)
    }
  })
  return { ...repository, index, packs, indexFiles, blocks: new BlockReader(storage) }
}

/** Tries every place where the blob is stored. */
export async function readBlob(
  { index, packs, key, storage, blocks }: IndexedRepository,
  type: BlobType,
  id: string,
  cancel: Cancel = {},
): Promise<Buffer> {
  const places = index.places(type, id).filter(({ pack }) => pack !== PENDING)
  let failure: unknown
  for (const place of places) {
    try {
      // What is wanted next mostly lies near it.
      const sealed = await blocks.near(packs.id(place.pack), place.offset, place.length, cancel)
      return decodeBlob(key, sealed, { type, id, uncompressedLength: place.uncompressedLength })
    } catch (error) {
      if (!isAppError(error, 'backup.damaged', 'storage.not-found', 'storage.truncated')) throw error
      failure = error
    }
  }
  if (isAppError(failure, 'backup.damaged')) throw failure
  const why = failure instanceof Error ? failure.message : 'no index names it'
  throw new AppError('backup.damaged', `${type} blob ${id.slice(0, 8)} is not in ${storage.name}: ${why}`, {
    cause: failure,
  })
}

export async function readTree(repository: IndexedRepository, id: string, cancel: Cancel = {}): Promise<TreeNode[]> {
  return parseTree(await readBlob(repository, 'tree', id, cancel), `tree ${id.slice(0, 8)}`)
}
