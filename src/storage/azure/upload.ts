import { createHash, randomBytes, randomUUID, type Hash } from 'node:crypto'
import type { BlobImmutabilityPolicy, BlockBlobClient } from '@azure/storage-blob'
import type { Bytes } from '../../base/bytes.ts'
import { AppError } from '../../base/errors.ts'
import type { StoredObject } from '../../model/storage.ts'
import type { Calls } from '../calls.ts'
import { storedInParts, type Part } from '../cut-parts.ts'
import { sendParts } from '../parallel-parts.ts'
import { codeOf, statusOf } from './errors.ts'

/** A blob ends at this many blocks. */
const MAX_BLOCKS = 50_000
/** Names the write in the blob's metadata, so that a repeated request recognizes its own first success. */
const MARK = 'holdfastwrite'

export interface Upload {
  calls: Calls
  blob: () => Promise<BlockBlobClient>
  key: string
  tried: string
  tier: string | undefined
  policy: BlobImmutabilityPolicy | undefined
  blockSize: number
  concurrency: number
  ifAbsent: boolean
  signal: AbortSignal | undefined
  onBytes: (bytes: number) => void
}

/** In one request if it fits into one block; else as blocks, of which a list is committed at the end. */
export async function upload(job: Upload, body: Bytes | AsyncIterable<Bytes>): Promise<StoredObject> {
  const ending = new AbortController()
  const signal = job.signal ? AbortSignal.any([job.signal, ending.signal]) : ending.signal
  return storedInParts(body, {
    partSize: job.blockSize,
    most: MAX_BLOCKS,
    signal,
    whole: async (bytes) => putWhole({ ...job, signal }, bytes),
    several: async (first, rest) => putBlocks({ ...job, signal }, first, rest, ending),
  })
}

/** What goes with the object, in both ways of storing it. */
const properties = (job: Upload, mark: string, md5: Uint8Array) => ({
  metadata: { [MARK]: mark },
  blobHTTPHeaders: { blobContentMD5: md5, blobContentType: 'application/octet-stream' },
  ...(job.tier !== undefined && { tier: job.tier }),
  ...(job.policy && { immutabilityPolicy: job.policy }),
  ...(job.ifAbsent && { conditions: { ifNoneMatch: '*' } }),
})

async function putWhole(job: Upload, bytes: Bytes): Promise<StoredObject> {
  const mark = randomUUID()
  const md5 = createHash('md5').update(bytes).digest()
  const done = await job.calls.persist(job.tried, job.signal, async (abortSignal, attempt) => {
    const blob = await job.blob()
    try {
      const more = { ...properties(job, mark, md5), transactionalContentMD5: md5, abortSignal }
      return await blob.upload(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), bytes.length, more)
    } catch (error) {
      return orOwn(error, blob, mark, attempt, abortSignal)
    }
  })
  job.onBytes(bytes.length)
  return described(job, bytes.length, done)
}

async function putBlocks(
  job: Upload,
  first: Part,
  rest: AsyncGenerator<Part>,
  ending: AbortController,
): Promise<StoredObject> {
  const mark = randomUUID()
  // Ids of one blob have to be equally long; these are as long as those of the SDK.
  const own = randomBytes(21).toString('hex')
  const ids: string[] = []
  const hash: Hash = createHash('md5')
  let length = 0

  async function send(part: Part): Promise<void> {
    const { bytes } = part
    if (ids.length >= MAX_BLOCKS) throw tooManyBlocks(job)
    const id = Buffer.from(`${own}${String(ids.length).padStart(6, '0')}`).toString('base64')
    ids.push(id)
    length += bytes.length
    hash.update(bytes)
    const md5 = createHash('md5').update(bytes).digest()
    const tried = `${job.tried} (block ${ids.length})`
    await job.calls.persist(tried, job.signal, async (abortSignal) => {
      const block = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
      await (await job.blob()).stageBlock(id, block, block.length, { transactionalContentMD5: md5, abortSignal })
    })
    job.onBytes(bytes.length)
    part.release()
  }

  await sendParts(first, rest, { concurrency: job.concurrency, ending }, send)
  const md5 = hash.digest()
  const done = await job.calls.persist(job.tried, job.signal, async (abortSignal, attempt) => {
    const blob = await job.blob()
    try {
      return await blob.commitBlockList(ids, { ...properties(job, mark, md5), abortSignal })
    } catch (error) {
      return orOwn(error, blob, mark, attempt, abortSignal)
    }
  })
  return described(job, length, done)
}

interface Stored {
  etag?: string
  lastModified?: Date
}

/** The answer to an earlier try may have been lost: then the blob there is our own. */
async function orOwn(
  error: unknown,
  blob: BlockBlobClient,
  mark: string,
  attempt: number,
  abortSignal: AbortSignal,
): Promise<Stored> {
  const refused = statusOf(error) === 409 || statusOf(error) === 412 || codeOf(error) === 'InvalidBlockList'
  if (!refused) throw error
  const found = await blob.getProperties({ abortSignal }).catch(() => undefined)
  if (attempt > 1 && found?.metadata?.[MARK] === mark) return found
  // Somebody else committed meanwhile, which takes away the blocks of all others.
  if (codeOf(error) === 'InvalidBlockList' && found !== undefined)
    throw new AppError('storage.exists', 'another writer came first', { cause: new Error('InvalidBlockList') })
  throw error
}

const described = (job: Upload, size: number, { etag, lastModified = new Date() }: Stored): StoredObject => ({
  key: job.key,
  size,
  modified: lastModified,
  ...(etag === undefined ? {} : { etag: bare(etag) }),
  ...(job.tier === undefined ? {} : { storageClass: job.tier }),
})

/** Lists give etags without the quotes that headers have. */
export const bare = (etag: string): string => etag.replace(/^"|"$/g, '')

const tooManyBlocks = (job: Upload): AppError =>
  new AppError('storage.unsupported', `cannot ${job.tried}: it has more than ${MAX_BLOCKS} blocks`, {
    hint: `Set uploadBlockSize above ${job.blockSize} bytes.`,
  })
