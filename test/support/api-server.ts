/** The server of the API in this process, with a worker, on a configuration of the test; and people who use it. */
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { createApp, parseStorageUrl, type App } from '../../src/app.ts'
import { loadConfig } from '../../src/config/load.ts'
import { createClient, type Client } from '../../src/http/client.ts'
import { error } from '../../src/http/contract/fields.ts'
import { findRoute } from '../../src/http/routing.ts'
import { startServer } from '../../src/http/server.ts'
import type { Role, Scope } from '../../src/model/access.ts'
import { newToken, newUser } from '../../src/operations/accounts.ts'
import { runService } from '../../src/service/service.ts'
import { scratch } from './holdfast.ts'

export const PASSWORD = 'correct horse battery'

export interface ApiServer {
  app: App
  dir: string
  url: string
  /** Of the link that makes the first account. */
  setupToken: string
  /** An admin by a token. */
  client: Client
  /** A token of a new user with this role. */
  token(role: Role, scopes?: Scope[], expiresAt?: Date): string
  /** Signs in with a password; gives what a browser would send along. */
  signIn(
    name: string,
    password?: string,
    more?: Record<string, string>,
  ): Promise<{ status: number; cookie: string; body: unknown }>
  /** A call as somebody types it; `as` is a token or a cookie. */
  send(key: string, options?: { as?: string; body?: unknown; headers?: Record<string, string> }): Promise<Sent>
  stop(): Promise<void>
}

export interface Sent {
  status: number
  headers: Headers
  text: string
  /** Undefined where the answer is none. */
  json: Record<string, unknown> | undefined
}

export interface ServerSetup {
  /** YAML of vaults and jobs; the vault `v` and the job `files` by default. */
  config?: string
  /** Further keys of `server`. */
  server?: string
  files?: Record<string, string>
  worker?: boolean
  env?: Record<string, string>
  /** Without any account. */
  bare?: true
}

const CONFIG = `vaults: { v: { storage: 'file:./vault', format: archive } }
jobs: { files: { source: { type: files, paths: [./data] }, vaults: [v], schedule: '0 3 * * *', retention: { last: 3 } } }`

export async function apiServer(t: TestContext, setup: ServerSetup = {}): Promise<ApiServer> {
  const dir = scratch(t, 'api')
  for (const [path, content] of Object.entries(setup.files ?? { 'data/a.txt': 'hello', 'data/sub/b.txt': 'there' })) {
    mkdirSync(join(dir, path, '..'), { recursive: true })
    writeFileSync(join(dir, path), content)
  }
  writeFileSync(
    join(dir, 'holdfast.yaml'),
    `version: 1\n${setup.config ?? CONFIG}\nserver: { listen: '127.0.0.1:0', dataDir: ./state, drain: 0s${setup.server ?? ''} }\n`,
    { mode: 0o600 },
  )
  const loaded = await loadConfig({ cwd: dir, env: { HOME: dir, ...setup.env }, parseStorageUrl })
  const app = createApp(loaded.settings)
  const server = await startServer(app, { loaded })
  const stopping = new AbortController()
  const serving =
    setup.worker === false ? undefined : runService(app, { scheduler: false, worker: true, signal: stopping.signal })
  let stopped: Promise<void> | undefined
  const stop = async (): Promise<void> =>
    (stopped ??= (async () => {
      stopping.abort()
      await server.close()
      await serving
      await app.close()
    })())
  t.after(stop)
  let made = 0
  function token(role: Role, scopes: Scope[] = ['read', 'operate', 'restore', 'admin'], expiresAt?: Date): string {
    const { access } = app.history().server
    made += 1
    const user = newUser(`${role} ${made}`, role, app.clock.now())
    access.saveUser(user)
    const { secret, token: stored } = newToken(user, { name: 'test', scopes, expiresAt }, app.clock.now())
    access.saveToken(stored)
    return secret
  }
  const { url } = server
  const send: ApiServer['send'] = async (key, { as, body, headers = {} } = {}) => {
    const [method = 'GET', path = ''] = key.split(' ')
    const response = await checking(`${url}${path}`, {
      method,
      redirect: 'manual',
      headers: {
        ...(as?.startsWith('hf_') && { authorization: `Bearer ${as}` }),
        ...(as?.includes('=') && { cookie: as, 'x-holdfast-csrf': '1' }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    const text = await response.text()
    const isJson = response.headers.get('content-type')?.startsWith('application/json') === true
    return {
      status: response.status,
      headers: response.headers,
      text,
      json: isJson ? (JSON.parse(text) as Record<string, unknown>) : undefined,
    }
  }
  return {
    app,
    dir,
    url,
    setupToken: server.setupUrl?.split('#')[1] ?? '',
    client: createClient({ base: url, ...(setup.bare !== true && { token: token('admin') }), fetch: checking }),
    token,
    async signIn(name, password = PASSWORD, more = {}) {
      const { status, headers, json } = await send('POST /api/v1/session', { body: { name, password, ...more } })
      return { status, cookie: headers.get('set-cookie')?.split(';')[0] ?? '', body: json }
    },
    send,
    stop,
  }
}

/** Holds every answer against the contract: what the document says is what is sent. */
const checking: typeof fetch = async (input, init) => {
  const response = await fetch(input, init)
  const { pathname } = new URL(input instanceof Request ? input.url : input)
  const found = findRoute(init?.method ?? 'GET', pathname)
  if (found === undefined || 'methods' in found || found.route.stream !== undefined) return response
  const { key, route } = found
  if (!response.ok) {
    if (response.status !== 302 && response.status !== 304) error.parse(await response.clone().json())
    return response
  }
  assert.equal(response.status, route.status ?? 200, key)
  if (route.answer === undefined) return response
  const checked = route.answer.safeParse(await response.clone().json())
  assert.ok(checked.success, `${key} answers what its contract does not say: ${checked.error?.message}`)
  return response
}

/** Waits for a run to end. */
export async function ended(
  client: Client,
  id: string,
): Promise<{ status: string; error?: { message: string } | undefined }> {
  for (let tries = 0; tries < 300; tries += 1) {
    const { data } = await client.call('GET /api/v1/runs/{id}', { params: { id } })
    if (data.endedAt !== undefined) return data
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error(`run ${id} did not end`)
}

export function addUser({ app }: ApiServer, name: string, role: Role, hash: string): void {
  app.history().server.access.saveUser(newUser(name, role, app.clock.now(), hash))
}
