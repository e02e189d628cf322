import { Readable } from 'node:stream'
import { crc32 } from 'node:zlib'
import type { GetObjectCommandOutput } from '@aws-sdk/client-s3'
import type { Bytes } from '../../base/bytes.ts'
import { AppError, isAppError } from '../../base/errors.ts'
import { throwIfAborted } from '../../base/streams.ts'
import type { GetOptions } from '../../model/storage.ts'
import { endsEarly, replaced } from '../range.ts'
import type { Connection } from './client.ts'
import { s3Error } from './errors.ts'

export interface Download {
  connection: Connection
  bucket: string
  objectName: string
  key: string
  storage: string
  checksums: boolean
  /** Of a versioned bucket; the newest if absent. */
  versionId?: string
}

/** The body of an object, checked against its promised length and, if the storage knows it, its CRC32. */
export async function* download(job: Download, { range, signal, etag, onEtag }: GetOptions): AsyncGenerator<Bytes> {
  const tried = `read ${job.key} from ${job.storage}`
  const response = await request(job, tried, range, signal)
  const total = totalOf(response)
  if (range !== undefined && total === undefined) {
    if (response.Body instanceof Readable) response.Body.destroy()
    throw new AppError('storage.unsupported', `cannot ${tried}: the storage does not give ranges`)
  }
  // Compared here: not every server heeds If-Match when it reads.
  if (etag !== undefined && response.ETag !== etag) {
    if (response.Body instanceof Readable) response.Body.destroy()
    throw replaced(job.key, job.storage)
  }
  if (response.ETag !== undefined) onEtag?.(response.ETag)
  const promised = response.ContentLength
  const wanted = range === undefined && job.checksums ? wholeSum(response) : undefined
  let [received, sum] = [0, 0]
  try {
    for await (const chunk of response.Body as AsyncIterable<Bytes>) {
      received += chunk.length
      if (wanted !== undefined) sum = crc32(chunk, sum)
      yield chunk
      throwIfAborted(signal)
    }
  } catch (error) {
    throwIfAborted(signal)
    throw bodyError(error, tried, received, promised)
  }
  if (promised !== undefined && received !== promised) throw cut(tried, received, promised)
  if (wanted !== undefined && sum !== wanted)
    throw new AppError('storage.checksum', `cannot ${tried}: its CRC32 is ${hex(sum)} instead of ${hex(wanted)}`)
  if (range !== undefined && range.end > (total ?? Infinity)) throw endsEarly(job.key, job.storage, range, total ?? 0)
}

async function request(
  job: Download,
  tried: string,
  range: GetOptions['range'],
  signal: AbortSignal | undefined,
): Promise<GetObjectCommandOutput> {
  try {
    return await job.connection.call(tried, async (client, sdk) => {
      const command = new sdk.GetObjectCommand({
        Bucket: job.bucket,
        Key: job.objectName,
        ...(job.versionId === undefined ? {} : { VersionId: job.versionId }),
        ...(range === undefined ? {} : { Range: `bytes=${range.start}-${range.end - 1}` }),
      })
      if (range === undefined && job.checksums) askForSum(command.middlewareStack)
      return await client.send(command, { abortSignal: signal })
    })
  } catch (error) {
    // The range begins past the end.
    if (isAppError(error, 'storage.truncated') && range !== undefined)
      throw new AppError('storage.truncated', error.message, { cause: error.cause, details: { permanent: true } })
    throw error
  }
}

/** Asks by hand: the SDK's own check would keep the connection open when the consumer stops early. */
function askForSum(stack: InstanceType<typeof import('@aws-sdk/client-s3').GetObjectCommand>['middlewareStack']): void {
  stack.add(
    (next) => (args) => {
      const { headers } = args.request as { headers: Record<string, string> }
      headers['x-amz-checksum-mode'] = 'ENABLED'
      return next(args)
    },
    { step: 'build', name: 'askForChecksum' },
  )
}

/** The size of the whole object, from `Content-Range: bytes 0-99/5000`. */
function totalOf(response: GetObjectCommandOutput): number | undefined {
  const total = /\/(\d+)$/.exec(response.ContentRange ?? '')?.[1]
  return total === undefined ? undefined : Number(total)
}

/** `-N` marks a sum of the sums of N parts, which says nothing about the stream of bytes. */
function wholeSum(response: GetObjectCommandOutput): number | undefined {
  const sum = response.ChecksumCRC32
  if (sum === undefined || sum.includes('-') || response.ChecksumType === 'COMPOSITE') return undefined
  return Buffer.from(sum, 'base64').readUInt32BE(0)
}

function bodyError(error: unknown, tried: string, received: number, promised: number | undefined): AppError {
  const mapped = s3Error(error, tried)
  const reset = mapped.code === 'storage.unreachable' && mapped.details['name'] !== 'TimeoutError'
  return reset ? cut(tried, received, promised, mapped.cause) : mapped
}

const cut = (tried: string, received: number, promised: number | undefined, cause?: unknown): AppError =>
  new AppError('storage.truncated', `cannot ${tried}: it ended at byte ${received} of ${promised ?? 'unknown'}`, {
    cause,
  })

const hex = (sum: number): string => sum.toString(16).padStart(8, '0')
