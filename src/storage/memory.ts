import { randomUUID } from 'node:crypto'
import type { Bytes } from '../base/bytes.ts'
import { AppError } from '../base/errors.ts'
import { checkKey, checkPrefix, compareKeys } from '../base/keys.ts'
import { collect, throwIfAborted } from '../base/streams.ts'
import type { Storage, StoredObject } from '../model/storage.ts'
import { abortable } from './abortable.ts'
import { checkRange, endsEarly, replaced } from './range.ts'

const CHUNK = 256 * 1024

interface Held extends StoredObject {
  etag: string
  bytes: Bytes
}

/** Stores by name, so that opening `memory:a` twice in one process gives the same objects. */
const stores = new Map<string, Map<string, Held>>()

/** Objects in this process's memory: the reference for the contract, and what most tests run on. Gone with the process. */
export function memory(name: string = randomUUID()): Storage {
  const objects = stores.get(name) ?? new Map<string, Held>()
  stores.set(name, objects)
  const address = `memory:${name}`
  const missing = (key: string): AppError =>
    new AppError('storage.not-found', `cannot read ${key} from ${address}: no such object`)

  return {
    name: address,
    can: { conditionalCreate: true, storageClasses: false, serverChecksums: false },

    async put(key, body, { signal, ifAbsent = false, onBytes } = {}) {
      checkKey(key)
      throwIfAborted(signal)
      const taken = (): AppError => new AppError('storage.exists', `cannot create ${key} in ${address}: it exists`)
      if (ifAbsent && objects.has(key)) throw taken()
      // A copy: the caller may use its memory again.
      const bytes = body instanceof Uint8Array ? copyOf(body) : await collect(copied(body, signal), Infinity)
      throwIfAborted(signal)
      if (ifAbsent && objects.has(key)) throw taken()
      onBytes?.(bytes.length)
      const held = { key, size: bytes.length, modified: new Date(), etag: randomUUID(), bytes }
      objects.set(key, held)
      return described(held)
    },

    async *get(key, { signal, range, etag, onEtag } = {}) {
      checkKey(key)
      checkRange(range)
      throwIfAborted(signal)
      const held = objects.get(key)
      if (held === undefined) throw missing(key)
      if (etag !== undefined && etag !== held.etag) throw replaced(key, address)
      onEtag?.(held.etag)
      const end = Math.min(range?.end ?? held.size, held.size)
      for (let at = range?.start ?? 0; at < end; at += CHUNK) {
        throwIfAborted(signal)
        yield copyOf(held.bytes.subarray(at, Math.min(at + CHUNK, end)))
      }
      if (range !== undefined && range.end > held.size) throw endsEarly(key, address, range, held.size)
    },

    async stat(key, { signal } = {}) {
      checkKey(key)
      throwIfAborted(signal)
      const held = objects.get(key)
      return held && described(held)
    },

    async *list(prefix, { signal } = {}) {
      checkPrefix(prefix)
      const keys = [...objects.keys()].filter((key) => key.startsWith(prefix)).sort(compareKeys)
      for (const key of keys) {
        throwIfAborted(signal)
        const held = objects.get(key)
        if (held !== undefined) yield described(held)
      }
      throwIfAborted(signal)
    },

    async remove(key, { signal } = {}) {
      checkKey(key)
      throwIfAborted(signal)
      objects.delete(key)
    },

    async sweep(_before, { signal } = {}) {
      throwIfAborted(signal)
      return { removed: 0, bytes: 0 }
    },

    async close() {},
  }
}

/** Not `slice`, which on a Buffer gives the same memory. */
const copyOf = (bytes: Bytes): Bytes => new Uint8Array(bytes)

const described = ({ key, size, modified, etag }: Held): StoredObject => ({ key, size, modified, etag })

async function* copied(body: AsyncIterable<Bytes>, signal: AbortSignal | undefined): AsyncGenerator<Bytes> {
  for await (const chunk of abortable(body, signal)) yield copyOf(chunk)
}
