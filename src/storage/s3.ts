import type { Bytes } from '../base/bytes.ts'
import { systemClock } from '../base/clock.ts'
import { AppError, isAppError } from '../base/errors.ts'
import { checkKey, checkPrefix, compareKeys } from '../base/keys.ts'
import { throwIfAborted } from '../base/streams.ts'
import type { S3StorageSettings } from '../model/settings.ts'
import type { PutOptions, Storage, StoredObject } from '../model/storage.ts'
import { bucketName, rootOf } from './prefix.ts'
import { checkRange, endsEarly, isEmptyRange, replaced } from './range.ts'
import { readOnly } from './read-only.ts'
import { DRIVER_RETRY, type DriverOptions } from './driver-options.ts'
import { connect } from './s3/client.ts'
import { download } from './s3/download.ts'
import { listObjects, sweepUploads } from './s3/list.ts'
import { destroyed, lockHeaders, objectLock } from './s3/lock.ts'
import { thaw } from './s3/thaw.ts'
import { upload, type Upload } from './s3/upload.ts'
import { listVersions, type Versioned } from './s3/versions.ts'

const DEFAULT_PART_SIZE = 16 * 1024 * 1024
/** Below this S3 refuses every part but the last. */
const MIN_PART_SIZE = 5 * 1024 * 1024
const DEFAULT_CONCURRENCY = 3
const PROBE_LIMIT = 1024 * 1024

/**
 * Objects in a bucket of S3 or of a server like it. Nothing is sent before the first call.
 *
 * `ifAbsent` uses `If-None-Match: *`. AWS keeps that; of another endpoint it is unknown until the first such put, which
 * tries it on the object just written: until then, and for good if the server ignores it, `can.conditionalCreate` is
 * false and the driver looks first.
 */
export function s3(settings: Omit<S3StorageSettings, 'type'>, options: DriverOptions = {}): Storage {
  const { bucket, checksums = true } = settings
  const root = rootOf(settings.prefix)
  const name = bucketName('s3', bucket, root)
  const partSize = settings.uploadPartSize ?? DEFAULT_PART_SIZE
  if (partSize < MIN_PART_SIZE)
    throw new AppError('storage.invalid', `cannot use ${name}: uploadPartSize is ${partSize}, less than 5 MiB`)
  const { clock = systemClock, retry = DRIVER_RETRY, onRetry, onRequest } = options
  const connection = connect(settings, { clock, retry, ...(onRetry && { onRetry }), ...(onRequest && { onRequest }) })
  let conditional: 'yes' | 'no' | 'unknown' = settings.endpoint === undefined ? 'yes' : 'unknown'
  let bucketSeen = false

  const encryption: Partial<Upload['headers']> = {
    ...(settings.serverSideEncryption === undefined ? {} : { ServerSideEncryption: settings.serverSideEncryption }),
    ...(settings.kmsKeyId === undefined ? {} : { SSEKMSKeyId: settings.kmsKeyId }),
  }

  async function put(key: string, body: Bytes | AsyncIterable<Bytes>, options: PutOptions = {}): Promise<StoredObject> {
    checkKey(key)
    throwIfAborted(options.signal)
    const classed = settings.storageClass !== undefined && options.storageClass !== 'warm'
    const job: Upload = {
      connection,
      bucket,
      objectName: root + key,
      key,
      tried: `store ${key} in ${name}`,
      headers: {
        ...encryption,
        ...(classed ? { StorageClass: settings.storageClass as 'STANDARD' } : {}),
        ...lockHeaders(settings.objectLock, options.lock, clock.now()),
      },
      checksums,
      partSize,
      concurrency: settings.uploadConcurrency ?? DEFAULT_CONCURRENCY,
      ifAbsent: options.ifAbsent === true && conditional !== 'no',
      onUnconditional: () => void (conditional = 'no'),
      signal: options.signal,
      onBytes: options.onBytes ?? (() => undefined),
    }
    if (options.ifAbsent !== true) return upload(job, body)

    const taken = (cause?: unknown): AppError =>
      new AppError('storage.exists', `cannot create ${key} in ${name}: it exists`, { cause })
    if (conditional !== 'yes' && (await stat(key, options)) !== undefined) throw taken()
    try {
      const stored = await upload(job, body)
      if (conditional === 'unknown' && body instanceof Uint8Array && body.length < PROBE_LIMIT) await probe(job, body)
      return stored
    } catch (error) {
      throw isAppError(error, 'storage.exists') ? taken(error) : error
    }
  }

  /** Learns whether the server keeps `If-None-Match`: the object just created, created again with the same bytes. */
  async function probe(job: Upload, bytes: Bytes): Promise<void> {
    try {
      await upload({ ...job, onBytes: () => undefined }, bytes)
      conditional = 'no'
    } catch (error) {
      // Anything else says nothing; the next put tries again.
      if (isAppError(error, 'storage.exists')) conditional = 'yes'
    }
  }

  async function stat(key: string, { signal }: { signal?: AbortSignal } = {}): Promise<StoredObject | undefined> {
    checkKey(key)
    throwIfAborted(signal)
    const tried = `look at ${key} in ${name}`
    try {
      const head = await connection.call(tried, async (client, sdk) =>
        client.send(new sdk.HeadObjectCommand({ Bucket: bucket, Key: root + key }), { abortSignal: signal }),
      )
      bucketSeen = true
      const { ContentLength: size = 0, LastModified: modified = new Date(0), ETag: etag, StorageClass } = head
      return { key, size, modified, etag, ...(StorageClass === undefined ? {} : { storageClass: StorageClass }) }
    } catch (error) {
      if (!isAppError(error) || error.details['status'] === undefined) throw error
      const missing = error.details['status'] === 404
      // An answer to HEAD has no body that would say why: a list does.
      if (!missing || !bucketSeen)
        await connection.call(tried, async (client, sdk) =>
          client.send(new sdk.ListObjectsV2Command({ Bucket: bucket, Prefix: root + key, MaxKeys: 1 }), {
            abortSignal: signal,
          }),
        )
      if (!missing) throw error
      bucketSeen = true
      return undefined
    }
  }

  async function remove(key: string, { signal }: { signal?: AbortSignal } = {}): Promise<void> {
    checkKey(key)
    throwIfAborted(signal)
    try {
      await connection.call(`remove ${key} from ${name}`, async (client, sdk) =>
        client.send(new sdk.DeleteObjectCommand({ Bucket: bucket, Key: root + key }), { abortSignal: signal }),
      )
    } catch (error) {
      if (!isAppError(error, 'storage.not-found')) throw error
    }
  }

  const place = { connection, bucket, root, name }
  const now: Storage = {
    name,
    can: {
      get conditionalCreate() {
        return conditional === 'yes'
      },
      storageClasses: true,
      serverChecksums: checksums,
      thaw: async (key, how, options) => thaw(place, key, how, options),
      destroy: async (key, { signal } = {}) => destroyed(place, key, signal),
      ...(settings.objectLock && { lock: objectLock(place, settings.objectLock, () => clock.now()) }),
    },
    put,
    async *get(key, options = {}) {
      const { range, signal } = options
      checkKey(key)
      checkRange(range)
      throwIfAborted(signal)
      if (await isEmptyRange(range, { key, name, stat: async () => stat(key, { signal }) })) return
      yield* download({ connection, bucket, objectName: root + key, key, storage: name, checksums }, options)
    },
    stat,
    async *list(prefix, { signal } = {}) {
      checkPrefix(prefix)
      throwIfAborted(signal)
      yield* listObjects(place, prefix, signal)
    },
    remove,
    async sweep(before, { signal } = {}) {
      throwIfAborted(signal)
      return sweepUploads(place, before, signal)
    },
    async close() {
      connection.close()
    },
  }
  if (settings.asOf === undefined) return now
  return readOnly(asOf(now, new Date(settings.asOf)))

  /** The same bucket as it was at a moment. */
  function asOf(storage: Storage, time: Date): Storage {
    const past = `${name} as of ${time.toISOString()}`
    async function versionOf(key: string, signal: AbortSignal | undefined): Promise<Versioned | undefined> {
      checkKey(key)
      throwIfAborted(signal)
      for await (const object of listVersions(place, key, time, signal)) {
        if (object.key === key) return object
        if (compareKeys(object.key, key) > 0) return undefined
      }
      return undefined
    }
    return {
      ...storage,
      name: past,
      async *get(key, options = {}) {
        const { range, signal, etag } = options
        checkRange(range)
        const object = await versionOf(key, signal)
        if (object === undefined)
          throw new AppError('storage.not-found', `cannot read ${key} from ${past}: no such object`)
        if (etag !== undefined && etag !== object.etag) throw replaced(key, past)
        if (range !== undefined && range.start === range.end) {
          if (object.size < range.end) throw endsEarly(key, past, range, object.size)
          return
        }
        const { versionId } = object
        yield* download(
          { connection, bucket, objectName: root + key, key, storage: past, checksums, versionId },
          options,
        )
      },
      async stat(key, { signal } = {}) {
        const object = await versionOf(key, signal)
        if (object === undefined) return undefined
        const { versionId: _, ...stored } = object
        return stored
      },
      async *list(prefix, { signal } = {}) {
        checkPrefix(prefix)
        throwIfAborted(signal)
        for await (const { versionId: _, ...object } of listVersions(place, prefix, time, signal)) yield object
      },
    }
  }
}
