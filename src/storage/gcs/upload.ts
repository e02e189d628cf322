import { createHash, randomUUID } from 'node:crypto'
import type { Bytes } from '../../base/bytes.ts'
import { AppError, isAppError } from '../../base/errors.ts'
import type { StoredObject } from '../../model/storage.ts'
import { discard, failureOf } from '../http.ts'
import { storedInParts, type Part } from '../cut-parts.ts'
import { following } from '../parallel-parts.ts'
import type { Client } from './client.ts'
import { field, gcsError, parsed } from './errors.ts'

/** Names the write in the object's metadata, so that a repeated request recognizes its own first success. */
const MARK = 'holdfast-write'
/** Chunks of an upload, but the last, are multiples of this. */
export const CHUNK_UNIT = 256 * 1024

export interface Retention {
  mode: 'Unlocked' | 'Locked'
  retainUntilTime: string
}

export interface Upload {
  client: Client
  bucket: string
  objectName: string
  key: string
  tried: string
  storageClass: string | undefined
  retention: Retention | undefined
  chunkSize: number
  ifAbsent: boolean
  signal: AbortSignal | undefined
  onBytes: (bytes: number) => void
}

/** In one request if it fits into one chunk; else by a session that goes on where it was broken off. */
export async function upload(job: Upload, body: Bytes | AsyncIterable<Bytes>): Promise<StoredObject> {
  const mark = randomUUID()
  return storedInParts(body, {
    partSize: job.chunkSize,
    signal: job.signal,
    whole: async (bytes) => putWhole(job, bytes, mark),
    several: async (first, rest) => putChunks(job, first, rest, mark),
  })
}

const metadataOf = (job: Upload, mark: string): Record<string, unknown> => ({
  name: job.objectName,
  contentType: 'application/octet-stream',
  metadata: { [MARK]: mark },
  ...(job.storageClass !== undefined && { storageClass: job.storageClass }),
  ...(job.retention && { retention: job.retention }),
})

const queryOf = (job: Upload, uploadType: string): Record<string, string | undefined> => ({
  uploadType,
  name: job.objectName,
  ifGenerationMatch: job.ifAbsent ? '0' : undefined,
})

async function putWhole(job: Upload, bytes: Bytes, mark: string): Promise<StoredObject> {
  const md5Hash = createHash('md5').update(bytes).digest('base64')
  const edge = `holdfast-${mark}`
  const json = 'content-type: application/json; charset=UTF-8\r\n\r\n'
  const head = `--${edge}\r\n${json}${JSON.stringify({ ...metadataOf(job, mark), md5Hash })}\r\n--${edge}\r\ncontent-type: application/octet-stream\r\n\r\n`
  const body = Buffer.concat([Buffer.from(head), bytes, Buffer.from(`\r\n--${edge}--\r\n`)])
  const stored = await job.client.calls.persist(job.tried, job.signal, async (signal, attempt) => {
    try {
      const response = await job.client.ask(job.tried, signal, {
        method: 'POST',
        path: `/upload/storage/v1/b/${encodeURIComponent(job.bucket)}/o`,
        query: queryOf(job, 'multipart'),
        headers: { 'content-type': `multipart/related; boundary=${edge}` },
        body,
      })
      return objectOf(await response.text(), job.key)
    } catch (error) {
      const own = attempt > 1 && isAppError(error, 'storage.exists') ? await ownOf(job, mark, signal) : undefined
      if (own === undefined) throw error
      return own
    }
  })
  job.onBytes(bytes.length)
  return stored
}

async function putChunks(job: Upload, first: Part, rest: AsyncGenerator<Part>, mark: string): Promise<StoredObject> {
  const session = await begin(job, mark)
  const hash = createHash('md5')
  let sent = 0
  /** While a chunk is under way the next one is gathered. */
  let pending: Promise<Stored | undefined> = Promise.resolve(undefined)
  try {
    for (let part: Part | undefined = first; part !== undefined; part = await following(rest)) {
      const { bytes, last, release } = part
      hash.update(bytes)
      await pending
      const start = sent
      sent += bytes.length
      pending = putChunk(job, session, { bytes, start, last }).finally(release)
      // Met at the await above, or below.
      pending.catch(() => undefined)
    }
    const stored = await pending
    if (stored === undefined) throw new AppError('storage.failed', `cannot ${job.tried}: the upload did not end`)
    if (stored.md5 !== undefined && stored.md5 !== hash.digest('base64')) {
      await takeBack(job, stored)
      throw new AppError('storage.checksum', `cannot ${job.tried}: its MD5 differs from what was sent`)
    }
    return { ...stored, key: job.key }
  } catch (error) {
    await pending.catch(() => undefined)
    await abandon(job, session)
    throw error
  }
}

async function begin(job: Upload, mark: string): Promise<string> {
  const url = await job.client.calls.persist(job.tried, job.signal, async (signal) => {
    const response = await job.client.ask(job.tried, signal, {
      method: 'POST',
      path: `/upload/storage/v1/b/${encodeURIComponent(job.bucket)}/o`,
      query: queryOf(job, 'resumable'),
      headers: {
        'content-type': 'application/json; charset=UTF-8',
        'x-upload-content-type': 'application/octet-stream',
      },
      body: Buffer.from(JSON.stringify(metadataOf(job, mark))),
    })
    await discard(response)
    return response.headers.get('location')
  })
  if (url === null) throw new AppError('storage.failed', `cannot ${job.tried}: no address of the upload came back`)
  return url
}

interface Chunk {
  bytes: Bytes
  start: number
  last: boolean
}

/** Sends a chunk, or what the server lacks of it. Gives the object behind the last one. */
async function putChunk(job: Upload, session: string, chunk: Chunk): Promise<Stored | undefined> {
  const { bytes, start, last } = chunk
  const end = start + bytes.length
  const total = last ? String(end) : '*'
  let at = start
  const done = await job.client.calls.persist(job.tried, job.signal, async (signal, attempt) => {
    if (attempt > 1) {
      const state = await stateOf(job, session, total, signal)
      if ('stored' in state) return state
      at = Math.max(start, state.at)
    }
    for (;;) {
      const range = at === end ? `bytes */${total}` : `bytes ${at}-${end - 1}/${total}`
      const response = await job.client.ask(job.tried, signal, {
        method: 'PUT',
        path: session,
        headers: { 'content-range': range },
        body: bytes.subarray(at - start),
        also: [308],
      })
      const state = await read(response, job.key)
      if ('stored' in state) return state
      if (!last && state.at >= end) return state
      if (state.at <= at && state.at < end)
        throw new AppError('storage.failed', `cannot ${job.tried}: the server took nothing of a chunk`)
      at = state.at
    }
  })
  job.onBytes(bytes.length)
  return 'stored' in done ? done.stored : undefined
}

type Stored = StoredObject & { md5?: string }
type State = { stored: Stored } | { at: number }

async function stateOf(job: Upload, session: string, total: string, signal: AbortSignal): Promise<State> {
  const response = await job.client.ask(job.tried, signal, {
    method: 'PUT',
    path: session,
    headers: { 'content-range': `bytes */${total}` },
    also: [308, 404, 410],
  })
  if (response.status === 404 || response.status === 410) {
    const failure = gcsError(job.tried, await failureOf(response))
    throw new AppError('storage.failed', failure.message, { cause: failure, details: { permanent: true } })
  }
  return read(response, job.key)
}

/** 308: `Range: bytes=0-N` tells what the server has; without it nothing. */
async function read(response: Response, key: string): Promise<State> {
  if (response.status !== 308) return { stored: objectOf(await response.text(), key) }
  await discard(response)
  const last = /bytes=0-(\d+)/.exec(response.headers.get('range') ?? '')?.[1]
  return { at: last === undefined ? 0 : Number(last) + 1 }
}

/** The answer to an earlier try was lost. */
async function ownOf(job: Upload, mark: string, signal: AbortSignal): Promise<Stored | undefined> {
  const response = await job.client.ask(job.tried, signal, {
    path: objectPath(job.bucket, job.objectName),
    also: [404],
  })
  const text = await response.text()
  return field(field(parsed(text), 'metadata'), MARK) === mark ? objectOf(text, job.key) : undefined
}

async function takeBack(job: Upload, { etag }: Stored): Promise<void> {
  const path = objectPath(job.bucket, job.objectName)
  await job.client.calls.call(job.tried, job.signal, async (signal) => {
    await discard(
      await job.client.ask(job.tried, signal, { method: 'DELETE', path, query: { generation: etag }, also: [404] }),
    )
  })
}

/** What cannot be ended now, Google ends after a week. */
async function abandon(job: Upload, session: string): Promise<void> {
  try {
    const signal = AbortSignal.timeout(10_000)
    await discard(
      await job.client.ask(job.tried, signal, { method: 'DELETE', path: session, also: [404, 405, 410, 499] }),
    )
  } catch {
    // The failure that led here is told.
  }
}

export const objectPath = (bucket: string, name: string): string =>
  `/storage/v1/b/${encodeURIComponent(bucket)}/o/${encodeURIComponent(name)}`

/** The generation is the etag: it changes whenever the object does, and reads may ask for it. */
export function objectOf(json: unknown, key: string): Stored {
  const object = typeof json === 'string' ? parsed(json) : json
  const text = (name: string): string | undefined => {
    const value = field(object, name)
    return typeof value === 'string' ? value : undefined
  }
  const size = Number(text('size') ?? Number.NaN)
  if (!Number.isSafeInteger(size))
    throw new AppError('storage.unsupported', 'the answer is not one of Google Cloud Storage')
  const [etag, storageClass, md5] = [text('generation'), text('storageClass'), text('md5Hash')]
  return {
    key,
    size,
    modified: new Date(text('updated') ?? 0),
    ...(etag !== undefined && { etag }),
    ...(storageClass !== undefined && { storageClass }),
    ...(md5 !== undefined && { md5 }),
  }
}
