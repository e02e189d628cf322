import { createHash } from 'node:crypto'
import { asBuffer, concat, type Bytes } from '../base/bytes.ts'
import { throwIfAborted } from '../base/streams.ts'
import type { GetOptions, Storage, StoredObject } from '../model/storage.ts'
import { cacheFolder } from './cache-folder.ts'
import { checkRange, endsEarly } from './range.ts'

export interface CacheOptions {
  /** A private folder; several processes may share it. */
  folder: string
  /** Bytes in all; what was used longest ago goes first. */
  maxBytes: number
  /** Only objects that are never replaced: what a list told of them is believed while this storage is open. */
  wanted: (key: string) => boolean
  /** Larger objects are not kept: they are gathered in memory first. */
  maxObjectBytes?: number
  /** Told when the folder cannot be used; reads go on without it. */
  onWarning?: (error: unknown) => void
}

const CHUNK = 256 * 1024
const DEFAULT_MAX_OBJECT = 16 * 1024 * 1024
/** Objects whose etag is remembered, so that reading them from the cache needs no request. */
const REMEMBERED = 100_000

/**
 * Keeps small objects that never change on disk. What counts is the storage: a file of the cache is only used for the
 * etag and size that the storage itself told, and if its own hash is right; else it is dropped and the object is read.
 */
export function withCache(storage: Storage, options: CacheOptions): Storage {
  const { wanted, maxObjectBytes = DEFAULT_MAX_OBJECT, onWarning = () => undefined } = options
  const folder = cacheFolder(options.folder, options.maxBytes, onWarning)
  const known = new Map<string, StoredObject>()

  function remember(object: StoredObject): void {
    if (!wanted(object.key) || object.size > maxObjectBytes) return
    if (known.size >= REMEMBERED) known.delete(known.keys().next().value ?? '')
    known.set(object.key, object)
  }

  /** Without an etag nothing would tell an object from another of the same size. */
  function nameOf({ key, size, etag }: StoredObject): string | undefined {
    if (etag === undefined) return undefined
    return createHash('sha256').update([storage.name, key, etag, size].join('\0')).digest('hex')
  }

  async function* get(key: string, options: GetOptions = {}): AsyncGenerator<Bytes> {
    const { range, signal } = options
    checkRange(range)
    throwIfAborted(signal)
    const object =
      wanted(key) && options.etag === undefined ? (known.get(key) ?? (await storage.stat(key, { signal }))) : undefined
    const name = object && object.size <= maxObjectBytes ? nameOf(object) : undefined
    if (object === undefined || name === undefined) {
      yield* storage.get(key, options)
      return
    }
    if (object.etag !== undefined) options.onEtag?.(object.etag)
    remember(object)
    const kept = await folder.read(name, object.size)
    if (kept !== undefined) {
      const end = Math.min(range?.end ?? kept.length, kept.length)
      for (let at = range?.start ?? 0; at < end; at += CHUNK) {
        throwIfAborted(signal)
        yield kept.subarray(at, Math.min(at + CHUNK, end))
      }
      if (range !== undefined && range.end > kept.length) throw endsEarly(key, storage.name, range, kept.length)
      return
    }
    if (range !== undefined) {
      yield* storage.get(key, { range, signal })
      return
    }
    const chunks: Bytes[] = []
    let size = 0
    for await (const chunk of storage.get(key, { signal })) {
      size += chunk.length
      // A copy: the consumer may change what it gets.
      if (size <= object.size) chunks.push(Buffer.from(chunk))
      yield chunk
    }
    if (size === object.size) await folder.write(name, concat(chunks))
    // It was replaced after all.
    else known.delete(key)
  }

  async function forget(key: string): Promise<void> {
    const object = known.get(key)
    const name = object && nameOf(object)
    known.delete(key)
    if (name !== undefined) await folder.drop(name)
  }

  return {
    ...storage,
    get,
    async put(key, body, options) {
      if (wanted(key)) await forget(key)
      const stored = await storage.put(key, body, options)
      remember(stored)
      const name = known.has(key) ? nameOf(stored) : undefined
      if (name !== undefined && body instanceof Uint8Array) await folder.write(name, asBuffer(body))
      return stored
    },
    async stat(key, options) {
      const object = await storage.stat(key, options)
      if (object === undefined) known.delete(key)
      else remember(object)
      return object
    },
    async *list(prefix, options) {
      for await (const object of storage.list(prefix, options)) {
        remember(object)
        yield object
      }
    },
    async remove(key, options) {
      await storage.remove(key, options)
      await forget(key)
    },
  }
}
