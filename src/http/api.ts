/** From a request to a handler and back: who asks, may they, is it right, was it done before; then the answer, and a line in the audit log. */
import { createHash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { AppError } from '../base/errors.ts'
import type { AccessStore } from '../model/access.ts'
import { askedOf } from './access/addresses.ts'
import { allow, callerOf, mayStill, refuseForeign, type Caller } from './access/caller.ts'
import { rateLimit } from './access/throttle.ts'
import { etagOf, sendJson, sendProblem } from './answer.ts'
import { auditAction } from './audit.ts'
import type { RouteKey } from './contract/index.ts'
import type { Route } from './contract/kit.ts'
import { Rendered, type Api, type ApiRequest, type Handlers } from './handler.ts'
import { allHandlers } from './handlers/index.ts'
import { readCall } from './request.ts'
import { findRoute } from './routing.ts'

/** Calls a second of one who is signed in, and of an address that is not. */
const KNOWN = { perSecond: 50, burst: 300 }
const UNKNOWN = { perSecond: 10, burst: 60 }
/** How often it is asked whether who listens may still. */
const LOOK_MS = 5000

type AnyHandler = (request: ApiRequest<never>) => unknown

export function createApi(api: Api): (request: IncomingMessage, response: ServerResponse) => Promise<void> {
  const handlers: Handlers<RouteKey> = allHandlers(api)
  const { clock, settings, log } = api.app
  const known = rateLimit(clock, KNOWN)
  const unknown = rateLimit(clock, UNKNOWN)
  /** Calls with a key that are at work: who comes with it again waits for the same answer. */
  const atWork = new Map<string, Promise<unknown>>()

  return async (request, response) => {
    const gone = new AbortController()
    response.once('close', () => gone.abort(new AppError('run.cancelled', 'the client went away')))
    try {
      await answer(request, response, AbortSignal.any([gone.signal, api.signal]))
    } catch (thrown) {
      const error = sendProblem(request, response, thrown)
      if (error.http >= 500 && !gone.signal.aborted)
        log.error(`api: ${request.method} ${pathOf(request)}: ${error.message}`, { code: error.code })
    }
  }

  async function answer(request: IncomingMessage, response: ServerResponse, signal: AbortSignal): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://localhost')
    const asked = askedOf(request, settings.server)
    const store = api.app.history().server
    const how = { clock, limits: settings.server.session }
    let caller: Caller | undefined
    try {
      caller = callerOf(request, asked, store.access, how)
    } finally {
      // Also who comes with a token that is none.
      if (caller === undefined) unknown(asked.address)
    }
    if (caller !== undefined) known(caller.session?.hash ?? caller.token?.id ?? '')
    const method = request.method ?? 'GET'
    const found = findRoute(method, url.pathname)
    if (found === undefined) throw new AppError('request.not-found', `there is nothing at ${url.pathname}`)
    if ('methods' in found)
      throw new AppError('request.method', `${url.pathname} does not take ${method}`, {
        details: { allow: found.methods.join(', ') },
      })
    const { key, route, params } = found
    if (method !== 'GET' && method !== 'HEAD') refuseForeign(request, asked, caller)
    allow(route.access, caller)
    const call = await readCall(request, route, params, url.searchParams)
    await api.app.refresh()

    let detail: Record<string, unknown> = {}
    let noted = false
    const note = (): void => {
      const action = auditAction(key)
      if (noted || action === undefined || caller === undefined) return
      noted = true
      store.audit.append({ at: clock.now(), actor: caller.name, action, object, detail, address: asked.address })
    }
    let object = Object.values(params)[0] ?? ''
    const headers: Record<string, string | string[]> = {}
    using watched = watch(route, caller, store.access, how, signal)
    const given: ApiRequest<never> = {
      ...(call as object as { params: never; query: never; body: never }),
      caller,
      asked,
      ifMatch: ifMatchOf(request, route),
      request,
      response,
      signal: watched.signal,
      headers,
      audit: (more, of) => {
        detail = { ...detail, ...more }
        object = of ?? object
        // What streams is noted before the first byte leaves, however it ends.
        if (route.stream !== undefined) note()
      },
    }
    const work = async (): Promise<unknown> => {
      const result = await (handlers[key] as AnyHandler)(given)
      note()
      return result
    }
    const idempotencyKey = route.idempotent ? keyOf(request) : undefined
    if (idempotencyKey !== undefined && caller !== undefined) {
      await once(
        request,
        response,
        { caller, key: idempotencyKey, call: `${method} ${url.pathname} ${call.text}` },
        async () => ({
          status: route.status ?? 200,
          body: textOf(await work()),
          headers,
        }),
      )
      return
    }
    const result = await work()
    if (route.stream !== undefined) return
    const status = route.status ?? 200
    if (status === 204 || status === 302) {
      response.writeHead(status, { 'cache-control': 'no-store', ...headers }).end()
      return
    }
    sendDocument(request, response, status, textOf(result), headers)
  }

  interface Keyed {
    caller: Caller
    key: string
    call: string
  }
  interface Made {
    status: number
    body: string
    headers: Record<string, string | string[]>
  }

  async function once(
    request: IncomingMessage,
    response: ServerResponse,
    { caller, key, call }: Keyed,
    work: () => Promise<Made>,
  ): Promise<void> {
    const { answers } = api.app.history().server
    const actor = caller.user.id
    const place = JSON.stringify([actor, key])
    const fingerprint = createHash('sha256').update(call).digest('hex')
    while (atWork.has(place)) await atWork.get(place)?.catch(() => undefined)
    const before = answers.get(actor, key)
    if (before !== undefined) {
      if (before.request !== fingerprint)
        throw new AppError('request.key-reused', 'this Idempotency-Key came with another call before')
      sendDocument(request, response, before.status, before.body, { ...before.headers, 'idempotency-replayed': 'true' })
      return
    }
    const making = work()
    atWork.set(place, making)
    try {
      const { status, body, headers } = await making
      // Only what was done counts: a call that failed may be tried again with its key.
      answers.save(actor, key, { request: fingerprint, status, body, headers })
      sendDocument(request, response, status, body, headers)
    } finally {
      if (atWork.get(place) === making) atWork.delete(place)
    }
  }
}

const textOf = (result: unknown): string => (result instanceof Rendered ? result.text : JSON.stringify(result))

function sendDocument(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  body: string,
  headers: Record<string, string | string[]>,
): void {
  const etag = headers['etag'] ?? etagOf(body)
  const all = { etag, ...headers } as Record<string, string>
  // A version of what can be changed does not say that all that is told beside it is the same too.
  if (headers['etag'] === undefined && request.method === 'GET' && request.headers['if-none-match'] === etag) {
    response.writeHead(304, { 'cache-control': 'no-store', ...all }).end()
    return
  }
  sendJson(request, response, status, body, { ...all, 'cache-control': 'private, no-cache' })
}

/** What flows for long ends with the right to it. */
function watch(
  { stream, access }: Route,
  caller: Caller | undefined,
  store: AccessStore,
  how: Parameters<typeof mayStill>[3],
  signal: AbortSignal,
): { signal: AbortSignal } & Disposable {
  if (stream === undefined || caller === undefined) return { signal, [Symbol.dispose]: () => undefined }
  const ended = new AbortController()
  const timer = setInterval(() => {
    try {
      if (!mayStill(access, caller, store, how))
        ended.abort(new AppError('auth.required', 'what this was allowed by has ended'))
    } catch {
      // The catalogue is busy: the next look tells.
    }
  }, LOOK_MS).unref()
  return {
    signal: AbortSignal.any([signal, ended.signal]),
    [Symbol.dispose]: () => clearInterval(timer),
  }
}

function ifMatchOf(request: IncomingMessage, route: Route): string | undefined {
  const value = request.headers['if-match']
  if (route.conditional && value === undefined)
    throw new AppError('request.no-version', 'a change needs the version that it is made to')
  return value
}

function keyOf(request: IncomingMessage): string | undefined {
  const value = request.headers['idempotency-key']
  if (value === undefined) return undefined
  if (typeof value === 'string' && /^[\x21-\x7e]{1,200}$/.test(value)) return value
  throw new AppError('request.invalid', 'an Idempotency-Key has 1 to 200 visible characters')
}

/** Without what may be a secret in the query. */
function pathOf(request: IncomingMessage): string {
  return (request.url ?? '/').replace(/\?.*$/s, '')
}
