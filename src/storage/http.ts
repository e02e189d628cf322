/** Requests over HTTP for drivers that speak it themselves. What servers answer becomes an error in the driver. */
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { Bytes } from '../base/bytes.ts'
import { AppError, isAbort, toAppError, type ErrorCode } from '../base/errors.ts'
import { redact } from '../base/redact.ts'
import { collect } from '../base/streams.ts'
import { notIdle } from './calls.ts'
import { isCertificateError, networkCode, secondsOf } from './network-errors.ts'

export interface HttpRequest {
  method: string
  url: string
  headers?: Record<string, string>
  body?: Bytes | AsyncIterable<Bytes>
  signal: AbortSignal
  /** A body of which the server takes nothing for so long is given up; fives times that for the answer behind it. */
  idleMs?: number
}

/** An answer that is no success, with what it says. */
export interface HttpFailure {
  status: number
  headers: Headers
  text: string
}

/** Of what a server says in an error, so much is looked at. */
const LOOKED_AT = 64 * 1024

/** Any answer resolves; only broken connections reject. */
export async function request(what: HttpRequest): Promise<Response> {
  const { method, url, headers = {}, body, signal, idleMs } = what
  if (body !== undefined && (idleMs !== undefined || !(body instanceof Uint8Array))) return send({ ...what, body })
  return fetch(url, {
    method,
    headers,
    signal,
    redirect: 'manual',
    ...(body !== undefined && { body: unshared(body) }),
  })
}

/** `fetch` takes bytes in memory that threads share for a text: "1,2,255". */
const unshared = (bytes: Uint8Array): Uint8Array<ArrayBuffer> =>
  bytes.buffer instanceof SharedArrayBuffer ? new Uint8Array(bytes) : (bytes as Uint8Array<ArrayBuffer>)

/** So many bytes are handed to the system at a time: when they are gone, the upload has moved. */
const SLICE = 256 * 1024
const ANSWER_TIMES = 5

/**
 * Each piece of a body is with the system before the next one is asked for: none is copied, and their memory may be used
 * again. A server that refuses before the end has heard enough; one that tells of success then has not got it all.
 */
async function send(what: HttpRequest & { body: Bytes | AsyncIterable<Bytes> }): Promise<Response> {
  const { method, url, headers = {}, body, signal, idleMs } = what
  const known = body instanceof Uint8Array ? { 'content-length': String(body.length) } : {}
  const open = url.startsWith('https:') ? httpsRequest : httpRequest
  const sending = open(url, { method, headers: { ...headers, ...known }, signal })
  const answer = new Promise<IncomingMessage>((resolve, reject) => {
    sending.once('response', resolve)
    sending.on('error', reject)
  })
  // Met below; while the source is read nobody listens.
  answer.catch(() => undefined)
  let answered = false
  answer.then(() => (answered = true)).catch(() => (answered = true))
  let complete = false
  try {
    for await (const slice of slices(body)) {
      const written = new Promise<void>((resolve, reject) =>
        sending.write(slice, (error) => (error ? reject(error) : resolve())),
      )
      written.catch(() => undefined)
      await moving(Promise.race([written, answer]), idleMs, sending)
      if (answered) break
    }
    const early = answered
    if (!early) sending.end()
    const message = await moving(answer, idleMs && ANSWER_TIMES * idleMs, sending)
    const { statusCode: status = 500 } = message
    if (early && status < 300) throw new Error('the server answered before it had all of it')
    const bare = status === 204 || status === 304
    const text = await moving(collect(message, LOOKED_AT), idleMs, sending)
    complete = !early
    const known = Object.entries(message.headersDistinct).flatMap(([name, values]) =>
      (values ?? []).map((value): [string, string] => [name, value]),
    )
    return new Response(bare ? null : (text as Uint8Array<ArrayBuffer>), { status, headers: known })
  } finally {
    if (!complete) sending.destroy()
  }
}

async function* slices(body: Bytes | AsyncIterable<Bytes>): AsyncGenerator<Bytes> {
  for await (const chunk of body instanceof Uint8Array ? [body] : body)
    for (let at = 0; at < chunk.length; at += SLICE) yield chunk.subarray(at, at + SLICE)
}

/** Waits for what a server has to do, so long. */
async function moving<T>(work: Promise<T>, ms: number | undefined, sending: { destroy(): unknown }): Promise<T> {
  if (ms === undefined) return work
  let timer: NodeJS.Timeout | undefined
  const idle = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(Object.assign(new Error(`the server took nothing for ${ms / 1000} s`), { code: 'ETIMEDOUT' }))
      sending.destroy()
    }, ms)
  })
  try {
    return await Promise.race([work, idle])
  } finally {
    clearTimeout(timer)
  }
}

export async function failureOf(response: Response): Promise<HttpFailure> {
  let text = ''
  try {
    const decoder = new TextDecoder()
    for await (const chunk of response.body ?? []) {
      text += decoder.decode(chunk as Uint8Array, { stream: true })
      if (text.length > LOOKED_AT) break
    }
  } catch {
    // The status says enough.
  }
  return { status: response.status, headers: response.headers, text }
}

/** Lets the connection go: nobody reads the rest. */
export async function discard(response: Response): Promise<Response> {
  await response.body?.cancel().catch(() => undefined)
  return response
}

const STATUSES: Record<number, ErrorCode> = {
  401: 'storage.denied',
  403: 'storage.denied',
  404: 'storage.not-found',
  408: 'storage.unreachable',
  410: 'storage.not-found',
  412: 'storage.exists',
  416: 'storage.truncated',
  423: 'storage.throttled',
  429: 'storage.throttled',
  503: 'storage.throttled',
  507: 'storage.full',
}

/** What a status means where the server's own words do not say more. */
export const codeOfStatus = (status: number): ErrorCode =>
  STATUSES[status] ?? (status === 501 || (status >= 300 && status < 500) ? 'storage.unsupported' : 'storage.failed')

export function httpError(
  tried: string,
  { status, headers }: HttpFailure,
  said: {
    code?: ErrorCode | undefined
    why?: string
    hint?: string | undefined
    details?: Record<string, unknown>
  } = {},
): AppError {
  const retryAfter = secondsOf(headers.get('retry-after') ?? undefined)
  const why =
    redact(said.why ?? '')
      .split('\n')[0]
      ?.slice(0, 500) ?? ''
  return new AppError(said.code ?? codeOfStatus(status), `cannot ${tried}: ${why || 'refused'} (HTTP ${status})`, {
    ...(said.hint === undefined ? {} : { hint: said.hint }),
    ...(retryAfter === undefined ? {} : { retryAfter }),
    details: { status, ...said.details },
  })
}

/** What a request rejects with that got no answer. */
export function networkError(thrown: unknown, tried: string): AppError {
  if (thrown instanceof AppError) return thrown
  if (isAbort(thrown)) return toAppError(thrown)
  const error = thrown instanceof Error ? thrown : new Error(String(thrown))
  // `fetch failed` has the reason as its cause.
  const inner = error.cause instanceof Error ? error.cause : error
  const code: unknown = Reflect.get(inner, 'code')
  const name = typeof code === 'string' ? code : ''
  const text = redact(inner.message || name)
  return new AppError(networkCode(name) ?? 'storage.unreachable', `cannot ${tried}: ${text}`, {
    cause: new Error(text),
    ...(isCertificateError(name) && {
      hint: 'The certificate of the server is not trusted: name its authority by NODE_EXTRA_CA_CERTS.',
      details: { permanent: true },
    }),
  })
}

/** The bytes of an answer, given up when nothing comes for long; ending early is `storage.truncated`. */
export async function* bodyOf(
  response: Response,
  { tried, idleMs, signal }: { tried: string; idleMs: number; signal: AbortSignal | undefined },
): AsyncGenerator<Bytes> {
  const length = response.headers.get('content-length')
  // What was sent compressed has another length.
  const promised = length === null || response.headers.has('content-encoding') ? undefined : Number(length)
  let received = 0
  try {
    if (response.body !== null)
      for await (const chunk of notIdle(response.body, idleMs, tried)) {
        received += chunk.length
        yield chunk
        if (signal?.aborted) throw toAppError(signal.reason, 'run.cancelled')
      }
  } catch (error) {
    if (signal?.aborted) throw toAppError(signal.reason, 'run.cancelled')
    throw error instanceof AppError ? error : cut(tried, received, promised, error)
  }
  if (promised !== undefined && received !== promised) throw cut(tried, received, promised)
}

/** Of a body that ended early. */
export const cut = (tried: string, received: number, promised: number | undefined, cause?: unknown): AppError =>
  new AppError('storage.truncated', `cannot ${tried}: it ended at byte ${received} of ${promised ?? 'unknown'}`, {
    ...(cause instanceof Error && { cause: new Error(cause.message) }),
  })
