/**
 * A storage in the objects of an s3db client, for vaults that lie where a database does. Clients take and give objects as a
 * whole: each is in memory while it is written or read, so the parts of a vault in it are kept small.
 */
import type { Bytes } from '../../base/bytes.ts'
import { AppError, isAbort, isAppError, toAppError } from '../../base/errors.ts'
import { checkKey, checkPrefix, compareKeys } from '../../base/keys.ts'
import { redact } from '../../base/redact.ts'
import { throwIfAborted } from '../../base/streams.ts'
import type { Storage, StoredObject } from '../../model/storage.ts'
import { bodyOf, fetchObject } from './fetch.ts'
import { listKeys } from './listing.ts'
import { nameOf, type ObjectClient } from './object-client.ts'

const CHUNK = 1024 * 1024

export function clientStorage(client: ObjectClient, prefix: string): Storage {
  const root = prefix === '' ? '' : `${prefix}/`
  const name = `${nameOf(client)}${prefix === '' ? '' : `#${prefix}`}`
  /** Ranges of one object are asked for one after the other. */
  let last: { key: string; bytes: Buffer } | undefined

  async function guarded<T>(tried: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      if (isAbort(error) || isAppError(error)) throw error
      throw new AppError(
        'storage.failed',
        redact(`cannot ${tried}: ${toAppError(error).message.split('\n')[0] ?? ''}`),
        {
          cause: error,
        },
      )
    }
  }

  async function bytesOf(key: string): Promise<Buffer | undefined> {
    if (last?.key === key) return last.bytes
    const object = await guarded(`read ${key} from ${name}`, () => fetchObject(client, root + key))
    if (object === undefined) return undefined
    const bytes = await bodyOf(object, key)
    // What is small may be replaced by another process: the description of a vault, notes.
    if (bytes.length > CHUNK) last = { key, bytes }
    return bytes
  }

  async function stat(key: string): Promise<StoredObject | undefined> {
    for await (const object of list(key)) if (object.key === key) return object
    return undefined
  }

  async function* list(wanted: string, signal?: AbortSignal): AsyncGenerator<StoredObject> {
    const folder = wanted.slice(0, wanted.lastIndexOf('/') + 1)
    const found: StoredObject[] = []
    for await (const page of listKeys(client, root + folder, signal))
      for (const { key: full, size, modified } of page) {
        const key = full.slice(root.length)
        if (key.startsWith(wanted)) found.push({ key, size, modified: new Date(modified) })
      }
    yield* found.sort((a, b) => compareKeys(a.key, b.key))
  }

  return {
    name,
    can: { conditionalCreate: false, storageClasses: false, serverChecksums: false },
    async put(key, body, { signal, ifAbsent = false, onBytes } = {}) {
      checkKey(key)
      throwIfAborted(signal)
      const taken = (): AppError => new AppError('storage.exists', `cannot create ${key} in ${name}: it exists`)
      if (ifAbsent && (await stat(key)) !== undefined) throw taken()
      const bytes = await whole(body, signal)
      if (ifAbsent && (await stat(key)) !== undefined) throw taken()
      if (last?.key === key) last = undefined
      await guarded(`store ${key} in ${name}`, () =>
        client.putObject({
          key: root + key,
          metadata: {},
          contentType: 'application/octet-stream',
          ...(bytes.length > 0 && { body: bytes }),
          contentLength: bytes.length,
        }),
      )
      onBytes?.(bytes.length)
      return { key, size: bytes.length, modified: new Date() }
    },
    async *get(key, { signal, range } = {}) {
      checkKey(key)
      throwIfAborted(signal)
      const bytes = await bytesOf(key)
      if (bytes === undefined)
        throw new AppError('storage.not-found', `cannot read ${key} from ${name}: no such object`)
      const end = Math.min(range?.end ?? bytes.length, bytes.length)
      for (let at = range?.start ?? 0; at < end; at += CHUNK) {
        throwIfAborted(signal)
        yield new Uint8Array(bytes.subarray(at, Math.min(at + CHUNK, end)))
      }
      if (range !== undefined && range.end > bytes.length)
        throw new AppError('storage.truncated', `${key} in ${name} ends at ${bytes.length}, before ${range.end}`)
    },
    async stat(key, { signal } = {}) {
      checkKey(key)
      throwIfAborted(signal)
      return stat(key)
    },
    async *list(wanted, { signal } = {}) {
      checkPrefix(wanted)
      throwIfAborted(signal)
      yield* list(wanted, signal)
    },
    async remove(key, { signal } = {}) {
      checkKey(key)
      throwIfAborted(signal)
      if (last?.key === key) last = undefined
      if ((await stat(key)) !== undefined)
        await guarded(`remove ${key} from ${name}`, () => client.deleteObject(root + key))
    },
    async sweep(_before, { signal } = {}) {
      throwIfAborted(signal)
      return { removed: 0, bytes: 0 }
    },
    async close() {
      last = undefined
    },
  }
}

/** A copy: the memory of a chunk is used again for the next. */
async function whole(body: Bytes | AsyncIterable<Bytes>, signal: AbortSignal | undefined): Promise<Buffer> {
  if (body instanceof Uint8Array) return Buffer.from(body)
  const chunks: Buffer[] = []
  for await (const chunk of body) {
    throwIfAborted(signal)
    chunks.push(Buffer.from(chunk))
  }
  return Buffer.concat(chunks)
}
