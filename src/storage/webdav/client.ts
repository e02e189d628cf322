import type { Bytes } from '../../base/bytes.ts'
import { AppError } from '../../base/errors.ts'
import type { Secret, WebdavStorageSettings } from '../../model/settings.ts'
import { driverCalls, type CallsOptions } from '../calls.ts'
import type { Named } from '../folder-walk.ts'
import { failureOf, httpError, networkError, request, type HttpFailure } from '../http.ts'
import { find, parseXml, type Element } from './xml.ts'

export interface Ask {
  method: string
  /** Relative to the address of the storage, or a whole address; folders end in `/`. */
  path: string
  headers?: Record<string, string>
  body?: Bytes | AsyncIterable<Bytes>
  /** See HttpRequest. */
  idleMs?: number
  /** Answers beside success that are no error to the caller. */
  also?: readonly number[]
}

export interface Client {
  calls: ReturnType<typeof driverCalls>
  ask(tried: string, signal: AbortSignal, what: Ask): Promise<Response>
  urlOf(path: string): string
  /** What a folder holds; undefined if it is not there. */
  folder(tried: string, signal: AbortSignal, path: string): Promise<Named[] | undefined>
  /** A file; undefined if there is none. */
  file(tried: string, signal: AbortSignal, path: string): Promise<Named | undefined>
}

const PROPERTIES =
  '<?xml version="1.0" encoding="utf-8"?><propfind xmlns="DAV:"><prop><resourcetype/><getcontentlength/><getlastmodified/><getetag/></prop></propfind>'

export function connect(
  settings: Omit<WebdavStorageSettings, 'type'>,
  options: Omit<CallsOptions, 'toError' | 'renew'>,
): Client {
  const base = new URL(settings.url)
  if (!base.pathname.endsWith('/')) base.pathname += '/'
  let authorization: Promise<string | undefined> | undefined
  let again = false
  let renewedAt = -Infinity
  const calls = driverCalls({
    ...options,
    toError: networkError,
    renew() {
      const since = performance.now() - renewedAt
      if (settings.password === undefined && settings.token === undefined) return false
      if (since < 10_000) return since < 1000
      renewedAt = performance.now()
      authorization = undefined
      again = true
      return true
    },
  })

  const urlOf = (path: string): string =>
    new URL(path.split('/').map(encodeURIComponent).join('/').replace(/^/, './'), base).href

  async function ask(tried: string, signal: AbortSignal, what: Ask): Promise<Response> {
    const { method, path, headers = {}, body, idleMs, also = [] } = what
    authorization ??= authorizationOf(settings, again)
    const mine = await authorization.catch((error: unknown) => {
      authorization = undefined
      throw error
    })
    const response = await request({
      method,
      url: /^https?:/.test(path) ? path : urlOf(path),
      headers: { ...(mine !== undefined && { authorization: mine }), ...headers },
      ...(body !== undefined && { body }),
      ...(idleMs !== undefined && { idleMs }),
      signal,
    })
    if (response.ok || also.includes(response.status)) return response
    throw webdavError(tried, await failureOf(response))
  }

  async function properties(
    tried: string,
    signal: AbortSignal,
    path: string,
    depth: '0' | '1',
  ): Promise<{ path: string; found: Named }[] | undefined> {
    const response = await ask(tried, signal, {
      method: 'PROPFIND',
      path,
      headers: { depth, 'content-type': 'application/xml; charset=utf-8' },
      body: Buffer.from(PROPERTIES),
      also: [404, 409],
    })
    const text = await response.text()
    if (response.status === 404 || response.status === 409) return undefined
    const answer = parseXml(text)
    if (answer?.name !== 'multistatus')
      throw new AppError(
        'storage.unsupported',
        `cannot ${tried}: the answer is not one of WebDAV (HTTP ${response.status})`,
      )
    return answer.children.filter(({ name }) => name === 'response').flatMap((one) => readResponse(one, base))
  }

  return {
    calls,
    ask,
    urlOf,
    async folder(tried, signal, path) {
      const all = await properties(tried, signal, path, '1')
      const own = path.replace(/\/$/, '')
      return all
        ?.filter((one) => one.path.replace(/\/$/, '') !== own)
        .map(({ path: below, found }) => ({ ...found, name: below.slice(path.length) }))
    },
    async file(tried, signal, path) {
      const [one] = (await properties(tried, signal, path, '0')) ?? []
      return one === undefined || one.path.endsWith('/') ? undefined : one.found
    },
  }
}

/** The path below the storage's address, decoded; folders end in `/`, whatever the server writes. */
function readResponse(response: Element, base: URL): { path: string; found: Named }[] {
  const href = find(response, 'href')?.text.trim()
  if (href === undefined || !URL.canParse(href, base.href)) return []
  const { pathname } = new URL(href, base)
  // Compared decoded: servers escape more or fewer characters than we do.
  const [whole, root] = [pathname, base.pathname].map(decodedPath)
  if (whole === undefined || root === undefined || !`${whole}/`.startsWith(root)) return []
  const folder = find(find(response, 'resourcetype') ?? response, 'collection') !== undefined
  const path = whole.slice(root.length).replace(/\/+$/, '')
  const text = (name: string): string => find(response, name)?.text.trim() ?? ''
  const size = Number(text('getcontentlength') || '0')
  const modified = new Date(text('getlastmodified') || 0)
  const etag = text('getetag').replace(/^W\//, '') || `${modified.getTime()}-${size}`
  return [{ path: folder && path !== '' ? `${path}/` : path, found: { name: path, size, modified, etag } }]
}

function decodedPath(path: string): string | undefined {
  try {
    return decodeURIComponent(path)
  } catch {
    return undefined
  }
}

async function authorizationOf(
  { user, password, token }: Omit<WebdavStorageSettings, 'type'>,
  again: boolean,
): Promise<string | undefined> {
  const text = async (secret: Secret | undefined): Promise<string | undefined> =>
    secret === undefined ? undefined : (await secret.read({ again })).replace(/\r?\n$/, '')
  const bearer = await text(token)
  if (bearer !== undefined) return `Bearer ${bearer}`
  if (user === undefined) return undefined
  return `Basic ${Buffer.from(`${user}:${(await text(password)) ?? ''}`).toString('base64')}`
}

function webdavError(tried: string, failure: HttpFailure): AppError {
  const said = parseXml(failure.text)
  const why = (said && find(said, 'message')?.text) ?? ''
  const hint =
    failure.status === 401
      ? 'Check user and password, or token, of the webdav storage.'
      : failure.status === 405
        ? 'Check the url: what answers there takes no WebDAV.'
        : undefined
  return httpError(tried, failure, { why, hint })
}
