/**
 * A small object in one request that we sign and send ourselves: the SDK works several times as long on one. Only for
 * what is plain (an endpoint that is given, buckets in the path, headers that are known here); the SDK does the rest,
 * and every repetition.
 */
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { crc32 } from 'node:zlib'
import type { PutObjectCommandInput } from '@aws-sdk/client-s3'
import type { Bytes } from '../../base/bytes.ts'
import { collect } from '../../base/streams.ts'
import type { S3StorageSettings } from '../../model/settings.ts'
import { escapedPath, signer, type Keys } from './signature.ts'

/** Larger objects gain little. */
export const DIRECT_UP_TO = 1024 * 1024
const SOCKETS = 50
/** Of what a server says in an error, so much is looked at. */
const LOOKED_AT = 64 * 1024

export interface DirectPut {
  /** Undefined: only the SDK knows how. Rejects as the SDK does. */
  put(input: PutObjectCommandInput, bytes: Bytes, how: DirectHow): Promise<{ ETag: string | undefined }> | undefined
  close(): void
}

export interface DirectHow {
  /** Asked for each request, as they may be renewed. */
  keys: () => Promise<Keys>
  /** The clock of this machine may be known to be wrong. */
  now: Date
  signal: AbortSignal | undefined
}

export interface DirectSettings extends Pick<S3StorageSettings, 'checksums' | 'requesterPays'> {
  endpoint: string
  region: string
  connectTimeoutMs: number
  idleTimeoutMs: number
}

export function directPut(settings: DirectSettings): DirectPut {
  const { checksums = true, requesterPays = false, connectTimeoutMs, idleTimeoutMs } = settings
  const base = new URL(settings.endpoint)
  const secure = base.protocol === 'https:'
  const agent = secure
    ? new HttpsAgent({ keepAlive: true, maxSockets: SOCKETS })
    : new HttpAgent({ keepAlive: true, maxSockets: SOCKETS })
  const sign = signer(settings.region)

  async function send(
    path: string,
    headers: Record<string, string>,
    body: Bytes,
    { keys, now, signal }: DirectHow,
  ): Promise<{ ETag: string | undefined }> {
    const signed = sign({ method: 'PUT', path, headers: { ...headers, host: base.host }, body }, await keys(), now)
    const message = await new Promise<IncomingMessage>((resolve, reject) => {
      const sending = (secure ? httpsRequest : httpRequest)({
        method: 'PUT',
        host: base.hostname.replace(/^\[|\]$/g, ''),
        port: base.port,
        path,
        headers: signed,
        agent,
        timeout: idleTimeoutMs,
        ...(signal && { signal }),
      })
      const late = (ms: number) => (): void =>
        void sending.destroy(Object.assign(new Error(`nothing came for ${ms} ms`), { name: 'TimeoutError' }))
      sending.on('timeout', late(idleTimeoutMs))
      sending.once('socket', (socket) => {
        if (!socket.connecting) return
        const timer = setTimeout(late(connectTimeoutMs), connectTimeoutMs)
        const ended = (): void => clearTimeout(timer)
        socket.once('connect', ended).once('close', ended)
      })
      sending.once('error', reject).once('response', resolve)
      sending.end(body)
    })
    // Read to its end, so that the connection can be used again.
    const answer = await collect(message, LOOKED_AT)
    const { statusCode: status = 500, headers: said } = message
    if (status < 200 || status > 299) throw refused(status, said, Buffer.from(answer).toString())
    return { ETag: said.etag }
  }

  return {
    put(input, bytes, how) {
      const known = headersOf(input)
      if (known === undefined || input.Bucket === undefined || input.Key === undefined) return undefined
      const headers: Record<string, string> = {
        ...known,
        'content-length': String(bytes.length),
        'content-type': 'application/octet-stream',
        ...(requesterPays && { 'x-amz-request-payer': 'requester' }),
        ...(checksums && { 'x-amz-checksum-crc32': base64Of(crc32(bytes)), 'x-amz-sdk-checksum-algorithm': 'CRC32' }),
      }
      return send(escapedPath(`/${input.Bucket}/${input.Key}`), headers, bytes, how)
    },
    close() {
      agent.destroy()
    },
  }
}

/** Undefined if one of them is not known here. */
function headersOf(input: PutObjectCommandInput): Record<string, string> | undefined {
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(input)) {
    if (value === undefined || ['Bucket', 'Key', 'Body', 'ContentLength'].includes(name)) continue
    if (name === 'Metadata' && typeof value === 'object')
      for (const [key, text] of Object.entries(value)) headers[`x-amz-meta-${key}`] = String(text)
    else if (typeof value === 'string' && HEADERS[name] !== undefined) headers[HEADERS[name]] = value
    else return undefined
  }
  return headers
}

const HEADERS: Record<string, string> = {
  IfNoneMatch: 'if-none-match',
  StorageClass: 'x-amz-storage-class',
  ServerSideEncryption: 'x-amz-server-side-encryption',
  SSEKMSKeyId: 'x-amz-server-side-encryption-aws-kms-key-id',
}

/** In the shape of the SDK's errors, so that it is read the same way. */
function refused(status: number, headers: IncomingMessage['headers'], text: string): Error {
  const element = (name: string): string | undefined => new RegExp(`<${name}>([^<]*)</${name}>`).exec(text)?.[1]
  const region = element('Region')
  return Object.assign(new Error(element('Message') ?? ''), {
    name: element('Code') ?? 'UnknownError',
    ...(region !== undefined && { Region: region }),
    $metadata: { httpStatusCode: status },
    $response: { statusCode: status, headers },
  })
}

export function base64Of(sum: number): string {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(sum)
  return bytes.toString('base64')
}
