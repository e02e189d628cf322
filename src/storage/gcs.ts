import { createHash } from 'node:crypto'
import type { Bytes } from '../base/bytes.ts'
import { systemClock } from '../base/clock.ts'
import { AppError, isAppError } from '../base/errors.ts'
import { checkKey, checkPrefix } from '../base/keys.ts'
import { throwIfAborted } from '../base/streams.ts'
import type { GcsStorageSettings } from '../model/settings.ts'
import type { GetOptions, PutOptions, Storage, StoredObject } from '../model/storage.ts'
import { begun } from './calls.ts'
import { DRIVER_RETRY, type DriverOptions } from './driver-options.ts'
import { connect } from './gcs/client.ts'
import { field, parsed } from './gcs/errors.ts'
import { destroyed, objectRetention, retentionOf } from './gcs/lock.ts'
import { CHUNK_UNIT, objectOf, objectPath, upload } from './gcs/upload.ts'
import { bodyOf, discard } from './http.ts'
import { inOrder } from './in-order.ts'
import { bucketName, rootOf } from './prefix.ts'
import { checkRange, endsEarly, isEmptyRange, replaced } from './range.ts'

const DEFAULT_CHUNK_SIZE = 16 * 1024 * 1024
const DEFAULT_IDLE_TIMEOUT_MS = 60_000

/**
 * Objects in a bucket of Google Cloud Storage, by its JSON API. A put is one request, or a session that goes on where
 * it was broken off; `ifAbsent` is the precondition that there be no generation. Sessions that were broken off end
 * by themselves after a week and cannot be listed: `sweep` finds nothing. Nothing is sent before the first call.
 */
export function gcs(settings: Omit<GcsStorageSettings, 'type'>, options: DriverOptions = {}): Storage {
  const { bucket } = settings
  const root = rootOf(settings.prefix)
  const name = bucketName('gs', bucket, root)
  const chunkSize = settings.uploadChunkSize ?? DEFAULT_CHUNK_SIZE
  if (chunkSize < CHUNK_UNIT || chunkSize % CHUNK_UNIT !== 0)
    throw new AppError(
      'storage.invalid',
      `cannot use ${name}: uploadChunkSize is ${chunkSize}, not a multiple of 256 KiB`,
    )
  const idleMs = settings.idleTimeoutMs ?? DEFAULT_IDLE_TIMEOUT_MS
  const { clock = systemClock, retry = DRIVER_RETRY, onRetry, onRequest } = options
  const client = connect(settings, {
    clock,
    retry,
    timeoutMs: 5 * idleMs,
    ...(onRetry && { onRetry }),
    ...(onRequest && { onRequest }),
  })
  const { calls, ask } = client
  const place = { client, bucket, root, name }

  async function put(key: string, body: Bytes | AsyncIterable<Bytes>, options: PutOptions = {}): Promise<StoredObject> {
    checkKey(key)
    throwIfAborted(options.signal)
    try {
      const { key: _, ...stored } = await upload(
        {
          client,
          bucket,
          objectName: root + key,
          key,
          tried: `store ${key} in ${name}`,
          storageClass: options.storageClass === 'warm' ? undefined : settings.storageClass,
          retention: retentionOf(settings.objectLock, options.lock, clock.now()),
          chunkSize,
          ifAbsent: options.ifAbsent === true,
          signal: options.signal,
          onBytes: options.onBytes ?? (() => undefined),
        },
        body,
      )
      return { key, ...withoutMd5(stored) }
    } catch (error) {
      if (!isAppError(error, 'storage.exists')) throw error
      throw new AppError('storage.exists', `cannot create ${key} in ${name}: it exists`, { cause: error })
    }
  }

  async function stat(key: string, { signal }: { signal?: AbortSignal } = {}): Promise<StoredObject | undefined> {
    checkKey(key)
    throwIfAborted(signal)
    const tried = `look at ${key} in ${name}`
    try {
      return await calls.call(tried, signal, async (each) => {
        const response = await ask(tried, each, { path: objectPath(bucket, root + key) })
        return { ...withoutMd5(objectOf(await response.text(), key)), key }
      })
    } catch (error) {
      if (!isAppError(error, 'storage.not-found')) throw error
      return undefined
    }
  }

  async function* get(key: string, { range, signal, etag, onEtag }: GetOptions = {}): AsyncGenerator<Bytes> {
    checkKey(key)
    checkRange(range)
    throwIfAborted(signal)
    const tried = `read ${key} from ${name}`
    const missing = (cause?: unknown): AppError =>
      new AppError('storage.not-found', `cannot ${tried}: no such object`, { cause })
    if (await isEmptyRange(range, { key, name, stat: async () => stat(key, { ...(signal && { signal }) }) })) return
    const ending = new AbortController()
    const both = signal ? AbortSignal.any([signal, ending.signal]) : ending.signal
    try {
      const headers = {
        ...(range && { range: `bytes=${range.start}-${range.end - 1}` }),
        'accept-encoding': 'identity',
      }
      const response = await calls
        .call(tried, signal, async () => {
          const asked = ask(tried, both, { path: objectPath(bucket, root + key), query: { alt: 'media' }, headers })
          return begun(asked, { tried, idleMs, ending })
        })
        .catch((error: unknown) => {
          if (isAppError(error, 'storage.not-found')) throw missing(error)
          if (!isAppError(error, 'storage.truncated') || range === undefined) throw error
          throw new AppError('storage.truncated', error.message, { cause: error.cause, details: { permanent: true } })
        })
      const found = response.headers.get('x-goog-generation') ?? undefined
      if (etag !== undefined && etag !== found) throw replaced(key, name)
      if (found !== undefined) onEtag?.(found)
      const total = Number(/\/(\d+)$/.exec(response.headers.get('content-range') ?? '')?.[1] ?? Number.NaN)
      if (range !== undefined && response.status !== 206)
        throw new AppError('storage.unsupported', `cannot ${tried}: the storage does not give ranges`)
      const wanted =
        range === undefined ? /md5=([^,\s]+)/.exec(response.headers.get('x-goog-hash') ?? '')?.[1] : undefined
      const hash = wanted === undefined ? undefined : createHash('md5')
      for await (const chunk of bodyOf(response, { tried, idleMs, signal })) {
        hash?.update(chunk)
        yield chunk
      }
      if (hash !== undefined && hash.digest('base64') !== wanted)
        throw new AppError('storage.checksum', `cannot ${tried}: its MD5 differs from the one that was stored`)
      if (range !== undefined && range.end > total) throw endsEarly(key, name, range, total)
    } finally {
      // Else a reader that stops early leaves its connection busy.
      ending.abort()
    }
  }

  async function* list(prefix: string, { signal }: { signal?: AbortSignal } = {}): AsyncGenerator<StoredObject> {
    checkPrefix(prefix)
    throwIfAborted(signal)
    const tried = prefix === '' ? `list ${name}` : `list ${prefix} in ${name}`
    const fields = 'items(name,size,updated,generation,storageClass),nextPageToken'
    let pageToken: string | undefined
    do {
      const from = pageToken
      const page = await calls.persist(tried, signal, async (each) => {
        const query = { prefix: root + prefix, maxResults: '1000', fields, pageToken: from }
        const response = await ask(tried, each, { path: `/storage/v1/b/${encodeURIComponent(bucket)}/o`, query })
        return parsed(await response.text())
      })
      const items = field(page, 'items')
      for (const item of Array.isArray(items) ? items : []) {
        const objectName = field(item, 'name')
        if (typeof objectName === 'string') yield withoutMd5(objectOf(item, objectName.slice(root.length)))
      }
      const next = field(page, 'nextPageToken')
      pageToken = typeof next === 'string' && next !== '' ? next : undefined
    } while (pageToken !== undefined)
  }

  return {
    name,
    can: {
      conditionalCreate: true,
      storageClasses: true,
      serverChecksums: true,
      ...(settings.objectLock && {
        destroy: async (key, { signal } = {}) => destroyed(place, key, signal),
        lock: objectRetention(place, settings.objectLock, () => clock.now()),
      }),
    },
    put,
    get,
    stat,
    list: (prefix, options) => inOrder(list(prefix, options), name),
    async remove(key, { signal } = {}) {
      checkKey(key)
      throwIfAborted(signal)
      const tried = `remove ${key} from ${name}`
      await calls
        .call(tried, signal, async (each) =>
          discard(await ask(tried, each, { method: 'DELETE', path: objectPath(bucket, root + key) })),
        )
        .catch((error: unknown) => {
          if (!isAppError(error, 'storage.not-found')) throw error
        })
    },
    async sweep(_before, { signal } = {}) {
      throwIfAborted(signal)
      return { removed: 0, bytes: 0 }
    },
    async close() {},
  }
}

function withoutMd5<T extends object>(object: T): Omit<T, 'md5'> {
  const { md5: _, ...rest } = object as T & { md5?: string }
  return rest
}
