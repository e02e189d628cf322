/**
 * An HTTP server that answers as S3 would, and goes wrong as told: for what real servers do not do on demand. It stores
 * nothing beyond one process, checks no signatures, and knows only the requests of our driver.
 */
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { S3StorageSettings } from '../../src/model/settings.ts'
import { plain } from './s3-servers.ts'

export interface Seen {
  method: string
  /** `/bucket/key` */
  path: string
  query: URLSearchParams
  headers: Record<string, string | undefined>
  body: Buffer
  /** What it is to S3: `PutObject`, `UploadPart`, … */
  operation: string
}

export interface Answer {
  status?: number
  headers?: Record<string, string>
  body?: Buffer | string
  /** Sends only so many bytes of the body and then closes the connection. */
  cutAfter?: number
  /** Sends only so many bytes of the body and then nothing more. */
  stallAfter?: number
  /** Does what was asked, then closes the connection without an answer. */
  lost?: boolean
  /** Closes the connection at once. */
  reset?: boolean
  /** Never answers. */
  stall?: boolean
}

export interface ScriptedServer {
  settings: S3StorageSettings
  /** All requests, in order of their coming. */
  seen: Seen[]
  operations(): string[]
  objects: Map<string, { bytes: Buffer; headers: Record<string, string | undefined> }>
  /** Asked for each request; undefined lets the server do what S3 would do. */
  script: (request: Seen) => Answer | undefined
  stop(): Promise<void>
}

export const s3Failure = (status: number, code: string, more = '', headers: Record<string, string> = {}): Answer => ({
  status,
  headers: { 'content-type': 'application/xml', ...headers },
  body: `<?xml version="1.0"?><Error><Code>${code}</Code><Message>told so by the test</Message>${more}</Error>`,
})

export async function startScripted(): Promise<ScriptedServer> {
  const uploads = new Map<string, Map<number, Buffer>>()
  const marks = new Map<string, Record<string, string | undefined>>()
  const http = createServer((request, response) => void serve(request, response))
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  const { port } = http.address() as AddressInfo

  const server: ScriptedServer = {
    seen: [],
    operations: () => server.seen.map(({ operation }) => operation),
    objects: new Map(),
    script: () => undefined,
    settings: {
      type: 's3',
      bucket: 'bucket',
      endpoint: `http://127.0.0.1:${port}`,
      accessKeyId: plain('TESTKEY'),
      secretAccessKey: plain('test-secret-key'),
      uploadPartSize: 5 * 1024 * 1024,
      idleTimeoutMs: 5000,
    },
    async stop() {
      http.closeAllConnections()
      http.close()
      await once(http, 'close')
    },
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    try {
      for await (const chunk of request) chunks.push(chunk as Buffer)
    } catch {
      return
    }
    const url = new URL(request.url ?? '/', 'http://server')
    const seen: Seen = {
      method: request.method ?? '',
      path: decodeURIComponent(url.pathname),
      query: url.searchParams,
      headers: request.headers as Record<string, string | undefined>,
      body: Buffer.concat(chunks),
      operation: operationOf(request.method ?? '', url),
    }
    server.seen.push(seen)
    const told = server.script(seen)
    const answer = told === undefined || told.lost ? { ...asS3(seen), ...told } : told
    if (answer.stall) return
    if (answer.reset || answer.lost) return void request.socket.destroy()
    send(response, answer, seen.method === 'HEAD')
  }

  function asS3({ operation, path, query, body, headers }: Seen): Answer {
    const id = query.get('uploadId') ?? ''
    const object = server.objects.get(path)
    switch (operation) {
      case 'PutObject':
        if (headers['if-none-match'] === '*' && object) return s3Failure(412, 'PreconditionFailed')
        server.objects.set(path, { bytes: body, headers })
        return { headers: { etag: '"put"' } }
      case 'CreateMultipartUpload': {
        const upload = randomUUID()
        uploads.set(upload, new Map())
        marks.set(upload, headers)
        return { body: `<InitiateMultipartUploadResult><UploadId>${upload}</UploadId></InitiateMultipartUploadResult>` }
      }
      case 'UploadPart':
        uploads.get(id)?.set(Number(query.get('partNumber')), body)
        return { headers: { etag: `"part-${query.get('partNumber')}"` } }
      case 'CompleteMultipartUpload': {
        const parts = uploads.get(id)
        if (parts === undefined) return s3Failure(404, 'NoSuchUpload')
        if (headers['if-none-match'] === '*' && object) return s3Failure(412, 'PreconditionFailed')
        uploads.delete(id)
        const bytes = Buffer.concat([...parts].sort(([a], [b]) => a - b).map(([, part]) => part))
        server.objects.set(path, { bytes, headers: marks.get(id) ?? {} })
        return { body: '<CompleteMultipartUploadResult><ETag>"done"</ETag></CompleteMultipartUploadResult>' }
      }
      case 'AbortMultipartUpload':
        return uploads.delete(id) ? { status: 204 } : s3Failure(404, 'NoSuchUpload')
      case 'DeleteObject':
        server.objects.delete(path)
        return { status: 204 }
      case 'ListObjectsV2':
        return { body: '<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>' }
      default:
        return object ? read(object, headers['range']) : s3Failure(404, 'NoSuchKey')
    }
  }
  return server
}

function read(
  { bytes, headers }: { bytes: Buffer; headers: Record<string, string | undefined> },
  range?: string,
): Answer {
  const mark = headers['x-amz-meta-holdfast-write']
  const sum = headers['x-amz-checksum-crc32']
  const common = { etag: '"put"', ...(mark === undefined ? {} : { 'x-amz-meta-holdfast-write': mark }) }
  if (range === undefined) return { headers: { ...common, ...(sum && { 'x-amz-checksum-crc32': sum }) }, body: bytes }
  const [, start = '0', end = '0'] = /bytes=(\d+)-(\d+)/.exec(range) ?? []
  const body = bytes.subarray(Number(start), Number(end) + 1)
  const contentRange = `bytes ${start}-${Number(start) + body.length - 1}/${bytes.length}`
  return { status: 206, headers: { ...common, 'content-range': contentRange }, body }
}

function send(response: ServerResponse, answer: Answer, head: boolean): void {
  const body = Buffer.from(answer.body ?? '')
  const length = body.length
  response.writeHead(answer.status ?? 200, { 'content-length': String(length), ...answer.headers })
  if (head) return void response.end()
  const until = answer.cutAfter ?? answer.stallAfter
  if (until === undefined) return void response.end(body)
  response.write(body.subarray(0, until), () => {
    if (answer.cutAfter !== undefined) setTimeout(() => response.destroy(), 20)
  })
}

function operationOf(method: string, { pathname, searchParams: query }: URL): string {
  const inBucket = pathname.split('/').filter(Boolean).length > 1
  if (method === 'PUT') return query.has('partNumber') ? 'UploadPart' : 'PutObject'
  if (method === 'POST') return query.has('uploads') ? 'CreateMultipartUpload' : 'CompleteMultipartUpload'
  if (method === 'DELETE') return query.has('uploadId') ? 'AbortMultipartUpload' : 'DeleteObject'
  if (method === 'HEAD') return 'HeadObject'
  if (inBucket) return 'GetObject'
  return query.has('uploads') ? 'ListMultipartUploads' : 'ListObjectsV2'
}
