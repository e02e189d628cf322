import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { crc32 } from 'node:zlib'
import type {
  CompletedPart,
  CompleteMultipartUploadCommandInput,
  PutObjectCommandInput,
  S3Client,
} from '@aws-sdk/client-s3'
import type { Bytes } from '../../base/bytes.ts'
import { AppError, isAbort, isAppError } from '../../base/errors.ts'
import type { StoredObject } from '../../model/storage.ts'
import type { Connection } from './client.ts'
import { base64Of, DIRECT_UP_TO } from './direct-put.ts'
import { storedInParts, type Part } from '../cut-parts.ts'
import { sendParts } from '../parallel-parts.ts'

/** S3 ends uploads at this many parts. */
const MAX_PARTS = 10_000

/** Names the write in the object's metadata, so that a repeated request recognizes its own first success. */
const MARK = 'holdfast-write'

export interface Upload {
  connection: Connection
  bucket: string
  /** The whole name in the bucket, and the key for messages and results. */
  objectName: string
  key: string
  /** `store KEY in NAME` */
  tried: string
  /** Storage class and encryption. */
  headers: Partial<PutObjectCommandInput>
  checksums: boolean
  partSize: number
  concurrency: number
  /** Send `If-None-Match: *`. */
  ifAbsent: boolean
  /** Called when the server says that it does not know that header; the write then goes on without. */
  onUnconditional: () => void
  signal: AbortSignal | undefined
  onBytes: (bytes: number) => void
}

/** Stores a body: in one request if it fits into one part, else as a multipart upload that ends with all or nothing. */
export async function upload(job: Upload, body: Bytes | AsyncIterable<Bytes>): Promise<StoredObject> {
  // What fails elsewhere has to end the reading too, even while the source hangs.
  const ending = new AbortController()
  const signal = job.signal ? AbortSignal.any([job.signal, ending.signal]) : ending.signal
  return storedInParts(body, {
    partSize: job.partSize,
    most: MAX_PARTS,
    signal,
    whole: async (bytes) => putWhole({ ...job, signal }, bytes),
    several: async (first, rest) => putParts({ ...job, signal }, first, rest, ending),
  })
}

/** One request. Repeated, it knows its own success by the mark. */
async function putWhole(job: Upload, bytes: Bytes): Promise<StoredObject> {
  const mark = randomUUID()
  let conditional = job.ifAbsent
  const done = await job.connection.persist(job.tried, job.signal, async (client, sdk, attempt) => {
    const input = (): PutObjectCommandInput => ({
      ...job.headers,
      Bucket: job.bucket,
      Key: job.objectName,
      Body: bytes,
      ContentLength: bytes.length,
      ...(conditional ? { IfNoneMatch: '*', Metadata: { [MARK]: mark } } : {}),
    })
    const send = async () => await client.send(new sdk.PutObjectCommand(input()), { abortSignal: job.signal })
    try {
      return await ((attempt === 1 ? direct(job, client, input(), bytes) : undefined) ?? send())
    } catch (error) {
      if (conditional && isNotImplemented(error)) {
        conditional = false
        job.onUnconditional()
        return await send()
      }
      const own = attempt > 1 && conditional && (await isOwn(job, mark))
      if (own) return own
      throw error
    }
  })
  job.onBytes(bytes.length)
  return described(job, bytes.length, done.ETag)
}

/** What cannot go past the SDK is undefined. */
function direct(
  job: Upload,
  client: S3Client,
  input: PutObjectCommandInput,
  bytes: Bytes,
): Promise<{ ETag?: string | undefined }> | undefined {
  if (bytes.length > DIRECT_UP_TO) return undefined
  const { credentials, systemClockOffset } = client.config
  const now = new Date(Date.now() + systemClockOffset)
  return job.connection.direct?.put(input, bytes, { keys: async () => credentials(), now, signal: job.signal })
}

async function putParts(
  job: Upload,
  first: Part,
  rest: AsyncGenerator<Part>,
  ending: AbortController,
): Promise<StoredObject> {
  const mark = randomUUID()
  const id = await create(job, mark)
  const sent: CompletedPart[] = []
  let [length, sum] = [0, 0]
  let cutOff = false

  async function send(part: Part, partNumber: number): Promise<void> {
    if (partNumber > MAX_PARTS) throw tooManyParts(job)
    length += part.bytes.length
    if (job.checksums) sum = crc32(part.bytes, sum)
    const done = await job.connection
      .persist(
        `${job.tried} (part ${partNumber})`,
        job.signal,
        async (client, sdk) =>
          await client.send(
            new sdk.UploadPartCommand({
              Bucket: job.bucket,
              Key: job.objectName,
              UploadId: id,
              PartNumber: partNumber,
              Body: part.bytes,
              ContentLength: part.bytes.length,
            }),
            { abortSignal: job.signal },
          ),
      )
      .catch((error: unknown) => {
        cutOff ||= isAbort(error) || isAppError(error, 'storage.unreachable')
        throw error
      })
    sent[partNumber - 1] = {
      PartNumber: partNumber,
      ETag: done.ETag,
      ...(job.checksums && done.ChecksumCRC32 !== undefined ? { ChecksumCRC32: done.ChecksumCRC32 } : {}),
    }
    job.onBytes(part.bytes.length)
    part.release()
  }

  try {
    await sendParts(first, rest, { concurrency: job.concurrency, ending }, send)
    return described(job, length, await complete(job, id, mark, sent, sum))
  } catch (error) {
    await abandon(job, id, cutOff)
    throw error
  }
}

async function create(job: Upload, mark: string): Promise<string> {
  const done = await job.connection.persist(job.tried, job.signal, async (client, sdk) => {
    const input = {
      ...job.headers,
      Bucket: job.bucket,
      Key: job.objectName,
      Metadata: { [MARK]: mark },
      // One sum over the whole object: a download can be checked against it.
      ...(job.checksums ? ({ ChecksumAlgorithm: 'CRC32', ChecksumType: 'FULL_OBJECT' } as const) : {}),
    }
    // Not cut off by a cancellation: the server may have begun the upload, and only its id lets us abandon it.
    return await client.send(new sdk.CreateMultipartUploadCommand(input), { abortSignal: AbortSignal.timeout(60_000) })
  })
  if (done.UploadId === undefined) throw new AppError('storage.failed', `cannot ${job.tried}: no upload id came back`)
  return done.UploadId
}

async function complete(
  job: Upload,
  id: string,
  mark: string,
  parts: CompletedPart[],
  sum: number,
): Promise<string | undefined> {
  let conditional = job.ifAbsent
  const done = await job.connection.persist(job.tried, job.signal, async (client, sdk, attempt) => {
    const input = (): CompleteMultipartUploadCommandInput => ({
      Bucket: job.bucket,
      Key: job.objectName,
      UploadId: id,
      MultipartUpload: { Parts: parts },
      ...(job.checksums ? { ChecksumCRC32: base64Of(sum), ChecksumType: 'FULL_OBJECT' } : {}),
      ...(conditional ? { IfNoneMatch: '*' } : {}),
    })
    const send = async () =>
      await client.send(new sdk.CompleteMultipartUploadCommand(input()), { abortSignal: job.signal })
    try {
      return await send()
    } catch (error) {
      if (conditional && isNotImplemented(error)) {
        conditional = false
        job.onUnconditional()
        return await send()
      }
      // The answer to the first try was lost: the upload is gone because it became the object.
      const own = attempt > 1 && (await isOwn(job, mark))
      if (own) return own
      throw error
    }
  })
  return done.ETag
}

/** When to look whether a part that was cut off arrived behind the end of its upload, in milliseconds. */
const LOOK_AGAIN_MS = [50, 200, 1000]

/**
 * So that no part stays behind and is paid for. What cannot be reached now, `sweep` ends later. A part that was cut off
 * may still be at work in the server when the upload ends, and stay: then it is ended again.
 */
async function abandon(job: Upload, id: string, cutOff: boolean): Promise<void> {
  const upload = { Bucket: job.bucket, Key: job.objectName, UploadId: id }
  const within = (): { abortSignal: AbortSignal } => ({ abortSignal: AbortSignal.timeout(30_000) })
  const tried = `abandon the upload of ${job.key}`
  try {
    for (const wait of LOOK_AGAIN_MS) {
      await job.connection.call(tried, (client, sdk) =>
        client.send(new sdk.AbortMultipartUploadCommand(upload), within()),
      )
      if (!cutOff) return
      await sleep(wait)
      await job.connection.call(tried, (client, sdk) => client.send(new sdk.ListPartsCommand(upload), within()))
    }
  } catch (error) {
    // Mostly that there is no such upload any more, as it should be.
    if (!isAppError(error)) throw error
  }
}

async function isOwn(job: Upload, mark: string): Promise<{ ETag: string | undefined } | undefined> {
  try {
    return await job.connection.call(job.tried, async (client, sdk) => {
      const head = await client.send(new sdk.HeadObjectCommand({ Bucket: job.bucket, Key: job.objectName }))
      return head.Metadata?.[MARK] === mark ? { ETag: head.ETag } : undefined
    })
  } catch {
    return undefined
  }
}

const isNotImplemented = (error: unknown): boolean => error instanceof Error && error.name === 'NotImplemented'

function tooManyParts(job: Upload): AppError {
  const limit = job.partSize * MAX_PARTS
  return new AppError('storage.unsupported', `cannot ${job.tried}: it has more than ${limit} bytes`, {
    hint: `Raise uploadPartSize: an upload has at most ${MAX_PARTS} parts.`,
  })
}

const described = (job: Upload, size: number, etag: string | undefined): StoredObject => ({
  key: job.key,
  size,
  modified: new Date(),
  ...(etag === undefined ? {} : { etag }),
  ...(job.headers.StorageClass === undefined ? {} : { storageClass: job.headers.StorageClass }),
})
