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
  const { method, url, headers = {}, body, signal } = what
  if (body !== undefined && !(body instanceof Uint8Array)) return sendStream({ ...what, body })
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

/**
 * A body of unknown length. Each chunk is with the system before the next one is asked for: none is copied, and their
 * memory may be used again. A server that answers before the end has heard enough.
 */
async function sendStream({
  method,
  url,
  headers = {},
  body,
  signal,
}: HttpRequest & { body: AsyncIterable<Bytes> }): Promise<Response> {
  const open = url.startsWith('https:') ? httpsRequest : httpRequest
  const sending = open(url, { method, headers, signal })
  const answer = new Promise<IncomingMessage>((resolve, reject) => {
    sending.once('response', resolve)
    sending.on('error', reject)
  })
  // Met below; while the source is read nobody listens.
  answer.catch(() => undefined)
  let answered = false
  answer.then(() => (answered = true)).catch(() => (answered = true))
  try {
    for await (const chunk of body) {
      const written = new Promise<void>((resolve, reject) =>
        sending.write(chunk, (error) => (error ? reject(error) : resolve())),
      )
      written.catch(() => undefined)
      await Promise.race([written, answer])
      if (answered) break
    }
    sending.end()
    const message = await answer
    const text = message.statusCode === 204 || message.statusCode === 304 ? null : await collect(message, LOOKED_AT)
    const known = Object.entries(message.headersDistinct).flatMap(([name, values]) =>
      (values ?? []).map((value): [string, string] => [name, value]),
    )
    return new Response(text as Uint8Array<ArrayBuffer> | null, { status: message.statusCode ?? 500, headers: known })
  } finally {
    sending.destroy()
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

const cut = (tried: string, received: number, promised: number | undefined, cause?: unknown): AppError =>
  new AppError('storage.truncated', `cannot ${tried}: it ended at byte ${received} of ${promised ?? 'unknown'}`, {
    ...(cause instanceof Error && { cause: new Error(cause.message) }),
  })
