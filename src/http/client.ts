/** Calls the API. For the page and the command line: of the contract it takes types only. */
import type { Call, RouteKey } from './contract/index.ts'

export interface ClientOptions {
  /** Of the server, with its path prefix: `http://127.0.0.1:3000`; in a page the prefix alone. */
  base: string
  /** In place of the session's cookie. */
  token?: string
  fetch?: typeof fetch
}

export interface ApiErrorBody {
  code: string
  message: string
  hint: string
  faults?: { key?: string; message: string }[]
  run?: string
}

export class ApiError extends Error {
  readonly status: number
  readonly code: string
  readonly hint: string
  readonly faults: { key?: string; message: string }[]
  /** The run that is in the way. */
  readonly run: string | undefined

  constructor(status: number, { code, message, hint, faults = [], run }: ApiErrorBody) {
    super(message)
    this.name = 'ApiError'
    this.status = status
    this.code = code
    this.hint = hint
    this.faults = faults
    this.run = run
  }
}

type Given<K extends RouteKey, Part extends 'params' | 'query' | 'body'> = undefined extends Call<K>[Part]
  ? { [P in Part]?: Call<K>[Part] }
  : object extends Call<K>[Part]
    ? { [P in Part]?: Call<K>[Part] }
    : { [P in Part]: Call<K>[Part] }

export type CallOptions<K extends RouteKey> = Given<K, 'params'> &
  Given<K, 'query'> &
  Given<K, 'body'> & { signal?: AbortSignal; ifMatch?: string; idempotencyKey?: string }

export interface Client {
  /** A route that answers a document, by its name such as `GET /api/v1/runs/{id}`. */
  call<K extends RouteKey>(
    key: K,
    ...options: object extends CallOptions<K> ? [CallOptions<K>?] : [CallOptions<K>]
  ): Promise<{ data: Call<K>['answer']; etag?: string }>
  /** A route that streams; the caller reads the body. */
  stream<K extends RouteKey>(
    key: K,
    ...options: object extends CallOptions<K> ? [CallOptions<K>?] : [CallOptions<K>]
  ): Promise<Response>
  /** The address of a GET, for links and downloads. */
  url<K extends RouteKey>(
    key: K,
    options: Pick<CallOptions<K>, 'params' & keyof CallOptions<K>> & { query?: unknown },
  ): string
}

interface AnyOptions {
  params?: unknown
  query?: unknown
  body?: unknown
  signal?: AbortSignal
  ifMatch?: string
  idempotencyKey?: string
}

export function createClient({ base, token, fetch: send = fetch }: ClientOptions): Client {
  async function request(key: RouteKey, options: AnyOptions = {}): Promise<Response> {
    const { body, signal, ifMatch, idempotencyKey } = options
    const [method = 'GET'] = key.split(' ')
    const response = await send(address(base, key, options), {
      method,
      credentials: 'same-origin',
      redirect: 'manual',
      headers: {
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        // A form of another site cannot send this.
        ...(method !== 'GET' && { 'x-holdfast-csrf': '1' }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(ifMatch !== undefined && { 'if-match': ifMatch }),
        ...(idempotencyKey !== undefined && { 'idempotency-key': idempotencyKey }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      ...(signal !== undefined && { signal }),
    })
    if (response.ok) return response
    throw new ApiError(response.status, await problemOf(response))
  }

  return {
    async call(key, ...[options]) {
      const response = await request(key, options)
      const etag = response.headers.get('etag')
      const data: unknown = response.status === 204 ? undefined : await response.json()
      // The server checks its answers against the same contract in its tests.
      return { data: data as Call<typeof key>['answer'], ...(etag !== null && { etag }) }
    },
    stream: async (key, ...[options]) => request(key, options),
    url: (key, options) => address(base, key, options),
  }
}

function address(base: string, key: string, { params, query }: AnyOptions): string {
  const given = new Map(Object.entries((params ?? {}) as Record<string, unknown>))
  const path = key
    .replace(/^\S+ /, '')
    .replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(given.get(name))))
  const search = new URLSearchParams()
  for (const [name, value] of Object.entries((query ?? {}) as Record<string, unknown>)) {
    for (const one of Array.isArray(value) ? (value as unknown[]) : [value])
      if (one !== undefined) search.append(name, typeof one === 'string' ? one : JSON.stringify(one))
  }
  const text = search.toString()
  return `${base.replace(/\/$/, '')}${path}${text === '' ? '' : `?${text}`}`
}

async function problemOf(response: Response): Promise<ApiErrorBody> {
  const fallback = { code: 'http', message: `the server answered ${response.status}`, hint: '' }
  try {
    const { error } = (await response.json()) as { error?: ApiErrorBody }
    return error ?? fallback
  } catch {
    return fallback
  }
}
