import { createHash } from 'node:crypto'
import type { ContainerClient } from '@azure/storage-blob'
import type { Bytes } from '../base/bytes.ts'
import { systemClock } from '../base/clock.ts'
import { AppError, isAppError } from '../base/errors.ts'
import { checkKey, checkPrefix } from '../base/keys.ts'
import { throwIfAborted } from '../base/streams.ts'
import type { AzureStorageSettings } from '../model/settings.ts'
import type { GetOptions, PutOptions, Storage, StoredObject } from '../model/storage.ts'
import { azureError } from './azure/errors.ts'
import { openContainer } from './azure/client.ts'
import { destroyed, immutability, policyOf, type AzurePlace } from './azure/lock.ts'
import { bare, upload } from './azure/upload.ts'
import { begun, driverCalls, notIdle } from './calls.ts'
import { DRIVER_RETRY, type DriverOptions } from './driver-options.ts'
import { cut } from './http.ts'
import { inOrder } from './in-order.ts'
import { bucketName, rootOf } from './prefix.ts'
import { checkRange, endsEarly, isEmptyRange, replaced } from './range.ts'

const DEFAULT_BLOCK_SIZE = 8 * 1024 * 1024
const MAX_BLOCK_SIZE = 4000 * 1024 * 1024
const DEFAULT_CONCURRENCY = 3
const DEFAULT_IDLE_TIMEOUT_MS = 60_000
const RENEW_EVERY_MS = 10_000

/** Azure takes a backslash for a slash. */
const REFUSED_IN_KEYS = '\\'

function checkBlobKey(key: string): void {
  checkKey(key)
  if (key.includes(REFUSED_IN_KEYS))
    throw new AppError(
      'storage.invalid',
      `cannot use ${JSON.stringify(key)} as a key: Azure knows no backslash in names`,
    )
}

/**
 * Block blobs in a container of Azure. A put is one request, or blocks and the list of them that makes the blob.
 * `ifAbsent` is `If-None-Match: *`. Blocks of uploads that were broken off are discarded by Azure after a week, and
 * cannot be listed: `sweep` finds nothing. Nothing is sent before the first call.
 */
export function azure(settings: Omit<AzureStorageSettings, 'type'>, options: DriverOptions = {}): Storage {
  const root = rootOf(settings.prefix)
  const name = bucketName('azure', settings.container, root)
  const blockSize = settings.uploadBlockSize ?? DEFAULT_BLOCK_SIZE
  if (blockSize < 64 * 1024 || blockSize > MAX_BLOCK_SIZE)
    throw new AppError('storage.invalid', `cannot use ${name}: uploadBlockSize is ${blockSize}, not 64 KiB to 4000 MiB`)
  const idleMs = settings.idleTimeoutMs ?? DEFAULT_IDLE_TIMEOUT_MS
  const { clock = systemClock, retry = DRIVER_RETRY, onRetry, onRequest } = options

  let opened: Promise<ContainerClient> | undefined
  let again = false
  let renewedAt = -Infinity
  let containerSeen = false
  const container = async (): Promise<ContainerClient> => {
    const opening = (opened ??= openContainer(settings, again))
    try {
      return await opening
    } catch (error) {
      if (opened === opening) opened = undefined
      throw error
    }
  }
  const calls = driverCalls({
    clock,
    retry,
    ...(onRetry && { onRetry }),
    ...(onRequest && { onRequest }),
    toError: azureError,
    timeoutMs: 5 * idleMs,
    // Requests that failed together share one renewal; what is refused again is refused.
    renew() {
      const since = performance.now() - renewedAt
      if (since < RENEW_EVERY_MS) return since < 1000
      renewedAt = performance.now()
      opened = undefined
      again = true
      return true
    },
  })
  const place: AzurePlace = { calls, container, root, name, checkKey: checkBlobKey }
  const blobOf = async (key: string) => (await container()).getBlockBlobClient(root + key)

  async function put(key: string, body: Bytes | AsyncIterable<Bytes>, options: PutOptions = {}): Promise<StoredObject> {
    checkBlobKey(key)
    throwIfAborted(options.signal)
    try {
      return await upload(
        {
          calls,
          blob: () => blobOf(key),
          key,
          tried: `store ${key} in ${name}`,
          tier: options.storageClass === 'warm' ? undefined : settings.accessTier,
          policy: policyOf(settings.objectLock, options.lock, clock.now()),
          blockSize,
          concurrency: settings.uploadConcurrency ?? DEFAULT_CONCURRENCY,
          ifAbsent: options.ifAbsent === true,
          signal: options.signal,
          onBytes: options.onBytes ?? (() => undefined),
        },
        body,
      )
    } catch (error) {
      if (!isAppError(error, 'storage.exists')) throw error
      if (options.ifAbsent === true)
        throw new AppError('storage.exists', `cannot create ${key} in ${name}: it exists`, { cause: error })
      throw new AppError('storage.failed', `cannot store ${key} in ${name}: ${error.message}`, { cause: error })
    }
  }

  async function stat(key: string, { signal }: { signal?: AbortSignal } = {}): Promise<StoredObject | undefined> {
    checkBlobKey(key)
    throwIfAborted(signal)
    try {
      return await calls.call(`look at ${key} in ${name}`, signal, async (abortSignal) => {
        const found = await (await blobOf(key)).getProperties({ abortSignal })
        return {
          key,
          size: found.contentLength ?? 0,
          modified: found.lastModified ?? new Date(0),
          ...(found.etag === undefined ? {} : { etag: bare(found.etag) }),
          ...(found.accessTier === undefined ? {} : { storageClass: found.accessTier }),
        }
      })
    } catch (error) {
      if (!isAppError(error, 'storage.not-found')) throw error
      // An answer to HEAD has no body that would say what is missing: a list does.
      if (!containerSeen) for await (const _ of list(key, { ...(signal && { signal }) })) break
      containerSeen = true
      return undefined
    }
  }

  async function* get(key: string, { range, signal, etag, onEtag }: GetOptions = {}): AsyncGenerator<Bytes> {
    checkBlobKey(key)
    checkRange(range)
    throwIfAborted(signal)
    const tried = `read ${key} from ${name}`
    const missing = (cause?: unknown): AppError =>
      new AppError('storage.not-found', `cannot ${tried}: no such object`, { cause })
    if (await isEmptyRange(range, { key, name, stat: async () => stat(key, { ...(signal && { signal }) }) })) return
    const ending = new AbortController()
    const both = signal ? AbortSignal.any([signal, ending.signal]) : ending.signal
    try {
      const response = await calls
        .call(tried, signal, async () => {
          const [from, count] = [range?.start ?? 0, range && range.end - range.start]
          const asked = (await blobOf(key)).download(from, count, { abortSignal: both, maxRetryRequests: 0 })
          return begun(asked, { tried, idleMs, ending })
        })
        .catch((error: unknown) => {
          if (isAppError(error, 'storage.not-found')) throw missing(error)
          if (!isAppError(error, 'storage.truncated') || range === undefined) throw error
          throw new AppError('storage.truncated', error.message, { cause: error.cause, details: { permanent: true } })
        })
      const stream = response.readableStreamBody as NodeJS.ReadableStream & AsyncIterable<Bytes>
      // What is given up below says so to nobody.
      stream.on('error', () => undefined)
      const found = response.etag === undefined ? undefined : bare(response.etag)
      if (etag !== undefined && etag !== found) throw replaced(key, name)
      if (found !== undefined) onEtag?.(found)
      const promised = response.contentLength
      const total = Number(/\/(\d+)$/.exec(response.contentRange ?? '')?.[1] ?? promised)
      const wanted = range === undefined ? response.contentMD5 : undefined
      const hash = wanted === undefined ? undefined : createHash('md5')
      let received = 0
      try {
        for await (const chunk of notIdle(stream, idleMs, tried)) {
          received += chunk.length
          hash?.update(chunk)
          yield chunk
          throwIfAborted(signal)
        }
      } catch (error) {
        throwIfAborted(signal)
        throw isAppError(error) ? error : cut(tried, received, promised, error)
      }
      if (promised !== undefined && received !== promised) throw cut(tried, received, promised)
      if (hash !== undefined && wanted !== undefined && !hash.digest().equals(wanted))
        throw new AppError('storage.checksum', `cannot ${tried}: its MD5 differs from the one that was stored with it`)
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
    let token: string | undefined = ''
    while (token !== undefined) {
      const from: string = token
      const page = await calls.persist(tried, signal, async (abortSignal) => {
        const pages = (await container())
          .listBlobsFlat({ prefix: root + prefix, abortSignal })
          .byPage({ maxPageSize: 1000, ...(from !== '' && { continuationToken: from }) })
        const next = await pages.next()
        return next.done === true ? undefined : next.value
      })
      for (const { name: blob, properties } of page?.segment.blobItems ?? [])
        yield {
          key: blob.slice(root.length),
          size: properties.contentLength ?? 0,
          modified: properties.lastModified,
          etag: bare(properties.etag),
          ...(properties.accessTier === undefined ? {} : { storageClass: properties.accessTier }),
        }
      token =
        page?.continuationToken === undefined || page.continuationToken === '' ? undefined : page.continuationToken
    }
  }

  return {
    name,
    can: {
      conditionalCreate: true,
      storageClasses: true,
      serverChecksums: true,
      refusedInKeys: REFUSED_IN_KEYS,
      ...(settings.objectLock && {
        destroy: async (key, { signal } = {}) => destroyed(place, key, signal),
        lock: immutability(place, settings.objectLock, () => clock.now()),
      }),
      // Azure knows no days: what was asked for stays warm until its tier is set again.
      async thaw(key, { speed }, { signal } = {}) {
        checkBlobKey(key)
        return calls.persist(`ask ${name} for ${key} out of the archive tier`, signal, async (abortSignal) => {
          const blob = await blobOf(key)
          const { accessTier, archiveStatus } = await blob.getProperties({ abortSignal })
          if (archiveStatus?.startsWith('rehydrate-pending') === true) return 'coming'
          if (accessTier !== 'Archive') return 'readable'
          const rehydratePriority = speed === 'expedited' ? 'High' : 'Standard'
          await blob.setAccessTier('Cool', { rehydratePriority, abortSignal })
          return 'asked'
        })
      },
    },
    put,
    get,
    stat,
    list: (prefix, options) => inOrder(list(prefix, options), name),
    async remove(key, { signal } = {}) {
      checkBlobKey(key)
      throwIfAborted(signal)
      await calls.call(`remove ${key} from ${name}`, signal, async (abortSignal) =>
        (await blobOf(key)).deleteIfExists({ deleteSnapshots: 'include', abortSignal }),
      )
    },
    async sweep(_before, { signal } = {}) {
      throwIfAborted(signal)
      return { removed: 0, bytes: 0 }
    },
    async close() {
      opened = undefined
    },
  }
}
