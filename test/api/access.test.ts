/** Who may call what: every route by everybody who might try. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { hashPassword } from '../../src/base/password.ts'
import { stepOf, totpCode } from '../../src/base/totp.ts'
import { isAudited } from '../../src/http/audit.ts'
import { routes, type RouteKey } from '../../src/http/contract/index.ts'
import type { Access } from '../../src/http/contract/kit.ts'
import { SCOPES_OF } from '../../src/model/access.ts'
import { addUser, apiServer, PASSWORD } from '../support/api-server.ts'

/** What each route asks for. A new route has to be written down here, by somebody who thought about it. */
const TABLE: Record<RouteKey, Access> = {
  'GET /api/v1/setup': 'public',
  'POST /api/v1/setup': 'public',
  'POST /api/v1/session': 'public',
  'GET /api/v1/session': 'self',
  'DELETE /api/v1/session': 'self',
  'GET /api/v1/sessions': 'self',
  'DELETE /api/v1/sessions/{id}': 'self',
  'POST /api/v1/session/password': 'self',
  'POST /api/v1/session/totp': 'self',
  'PUT /api/v1/session/totp': 'self',
  'POST /api/v1/session/totp/off': 'self',
  'GET /api/v1/oidc/start': 'public',
  'GET /api/v1/oidc/callback': 'public',
  'GET /api/v1/users': 'admin',
  'POST /api/v1/users': 'admin',
  'PATCH /api/v1/users/{id}': 'admin',
  'DELETE /api/v1/users/{id}': 'admin',
  'GET /api/v1/tokens': 'self',
  'POST /api/v1/tokens': 'self',
  'DELETE /api/v1/tokens/{id}': 'self',
  'GET /api/v1/audit': 'admin',
  'GET /api/v1/audit/check': 'admin',
  'GET /api/v1/overview': 'read',
  'GET /api/v1/stats': 'read',
  'GET /api/v1/settings': 'admin',
  'GET /api/v1/export': 'admin',
  'GET /api/v1/about': 'self',
  'GET /api/v1/jobs': 'read',
  'POST /api/v1/jobs': 'admin',
  'GET /api/v1/jobs/{name}': 'read',
  'PUT /api/v1/jobs/{name}': 'admin',
  'DELETE /api/v1/jobs/{name}': 'admin',
  'POST /api/v1/jobs/check': 'admin',
  'POST /api/v1/jobs/{name}/runs': 'operate',
  'POST /api/v1/jobs/{name}/pause': 'operate',
  'POST /api/v1/jobs/{name}/resume': 'operate',
  'POST /api/v1/jobs/{name}/prune': 'delete',
  'GET /api/v1/jobs/{name}/timeline': 'read',
  'GET /api/v1/schedules': 'read',
  'POST /api/v1/schedules/preview': 'read',
  'POST /api/v1/retention/simulate': 'read',
  'GET /api/v1/runs': 'read',
  'GET /api/v1/runs/{id}': 'read',
  'POST /api/v1/runs/{id}/cancel': 'operate',
  'POST /api/v1/runs/{id}/limit': 'operate',
  'GET /api/v1/runs/{id}/log': 'read',
  'GET /api/v1/events': 'read',
  'GET /api/v1/backups': 'read',
  'GET /api/v1/backups/{id}': 'read',
  'PATCH /api/v1/backups/{id}': 'operate',
  'DELETE /api/v1/backups/{id}': 'delete',
  'POST /api/v1/backups/{id}/verify': 'operate',
  'GET /api/v1/backups/{id}/tree': 'read',
  'GET /api/v1/backups/{id}/preview': 'restore',
  'GET /api/v1/backups/{id}/download': 'restore',
  'GET /api/v1/backups/{id}/diff': 'read',
  'GET /api/v1/backups/{id}/tables': 'read',
  'GET /api/v1/search': 'read',
  'POST /api/v1/restores/plan': 'restore',
  'POST /api/v1/restores': 'restore',
  'GET /api/v1/vaults': 'read',
  'POST /api/v1/vaults': 'admin',
  'GET /api/v1/vaults/{name}': 'read',
  'PUT /api/v1/vaults/{name}': 'admin',
  'DELETE /api/v1/vaults/{name}': 'admin',
  'POST /api/v1/vaults/test': 'admin',
  'POST /api/v1/vaults/{name}/test': 'operate',
  'POST /api/v1/vaults/{name}/check': 'operate',
  'POST /api/v1/vaults/{name}/refresh': 'operate',
  'GET /api/v1/notifications': 'read',
  'POST /api/v1/notifications': 'admin',
  'POST /api/v1/notifications/test': 'admin',
  'GET /api/v1/notifications/{name}': 'read',
  'PUT /api/v1/notifications/{name}': 'admin',
  'DELETE /api/v1/notifications/{name}': 'admin',
  'POST /api/v1/notifications/{name}/test': 'operate',
  'GET /api/v1/alerts': 'read',
  'POST /api/v1/alerts/{id}/acknowledge': 'operate',
  'POST /api/v1/alerts/{id}/snooze': 'operate',
  'GET /api/v1/sources/browse': 'admin',
  'POST /api/v1/sources/exclude': 'admin',
  'POST /api/v1/sources/test': 'admin',
  'GET /api/backups/configs': 'read',
  'POST /api/backups/configs': 'admin',
  'GET /api/backups/configs/{id}': 'read',
  'PATCH /api/backups/configs/{id}': 'admin',
  'DELETE /api/backups/configs/{id}': 'admin',
  'POST /api/backups/execute': 'operate',
  'GET /api/backups/logs': 'read',
  'GET /api/backups/stats': 'read',
}

const keys = Object.keys(routes) as RouteKey[]
const at = (key: RouteKey): string => key.replaceAll(/\{\w+\}/g, 'none-such')
const codeOf = (json: unknown): string => (json as { error: { code: string } }).error.code
/** Ends a session or an event stream: not called by somebody who is still needed. */
const ENDLESS: readonly RouteKey[] = ['GET /api/v1/events', 'DELETE /api/v1/session']

test('each route asks for what the table says, and each that changes something is audited or known not to be', () => {
  assert.deepEqual(Object.fromEntries(keys.map((key) => [key, routes[key].access])), TABLE)
  const forgotten = keys.filter((key) => !key.startsWith('GET ') && !isAudited(key))
  assert.deepEqual(forgotten, [])
})

test('nobody, a wrong token, a revoked, an expired one, and one of a disabled account get 401 from every route that is not public', async (t) => {
  const server = await apiServer(t, { worker: false })
  const { access } = server.app.history().server
  const revoked = server.token('admin')
  access.removeToken(access.tokens().at(-1)?.id ?? '')
  const expired = server.token('admin', undefined, new Date(Date.now() - 1000))
  const disabled = server.token('admin')
  const owner = access.users().at(-1)
  const last = access.tokens().at(-1)
  for (const user of access.users()) if (user.id === last?.user) access.saveUser({ ...user, disabled: true })
  assert.ok(owner)
  for (const [who, as] of Object.entries({
    nobody: undefined,
    wrong: `hf_${'x'.repeat(43)}`,
    other: 'hf_short',
    revoked,
    expired,
    disabled,
  })) {
    for (const key of keys) {
      if (routes[key].access === 'public') continue
      let { status } = await server.send(at(key), as === undefined ? {} : { as })
      for (; status === 429; { status } = await server.send(at(key))) await sleep(200)
      assert.equal(status, 401, `${who} at ${key}`)
    }
  }
})

test('every role gets 403 from exactly the routes that are beyond it', async (t) => {
  const server = await apiServer(t, { worker: false })
  for (const role of ['viewer', 'operator', 'restorer', 'admin'] as const) {
    const as = server.token(role)
    for (const key of keys) {
      const wanted = routes[key].access
      if (ENDLESS.includes(key) || wanted === 'public') continue
      const { status, json } = await server.send(at(key), { as, ...(key.startsWith('GET ') ? {} : { body: {} }) })
      // A session may end its own; a token only if it may do all.
      const byHand = key === 'DELETE /api/v1/tokens/{id}' || key === 'DELETE /api/v1/sessions/{id}'
      const may =
        (wanted === 'self' && (!byHand || role === 'admin')) || SCOPES_OF[role].some((scope) => scope === wanted)
      const denied = status === 403 && codeOf(json) === 'auth.denied'
      assert.equal(denied, !may, `${role} at ${key}: ${status} ${JSON.stringify(json)}`)
    }
  }
})

test('a token can do no more than its scopes, and none can delete without admin', async (t) => {
  const server = await apiServer(t, { worker: false })
  const reader = server.token('admin', ['read'])
  assert.equal((await server.send('GET /api/v1/jobs', { as: reader })).status, 200)
  assert.equal((await server.send('POST /api/v1/jobs/files/runs', { as: reader, body: {} })).status, 403)
  const operator = server.token('admin', ['read', 'operate', 'restore'])
  assert.equal((await server.send('POST /api/v1/jobs/files/prune', { as: operator, body: {} })).status, 403)
  const more = await server.send('POST /api/v1/tokens', { as: reader, body: { name: 'more', scopes: ['operate'] } })
  assert.equal(more.status, 403)
  const admin = server.token('admin')
  const made = await server.send('POST /api/v1/tokens', { as: admin, body: { name: 'same', scopes: ['read'] } })
  assert.equal(made.status, 201)
  const secret = made.json?.['token'] as string
  assert.match(secret, /^hf_[\w-]{43}$/)
  assert.equal((await server.send('GET /api/v1/jobs', { as: secret })).status, 200)
  const id = (made.json as { item: { id: string } }).item.id
  assert.equal((await server.send(`DELETE /api/v1/tokens/${id}`, { as: server.token('viewer') })).status, 403)
  assert.equal((await server.send(`DELETE /api/v1/tokens/${id}`, { as: admin })).status, 204)
  assert.equal((await server.send('GET /api/v1/jobs', { as: secret })).status, 401)
})

test('a token that may not all makes no other that outlives it, and ends no session and no token but itself', async (t) => {
  const server = await apiServer(t, { worker: false })
  addUser(server, 'ada', 'admin', await hashPassword(PASSWORD))
  const { cookie } = await server.signIn('ada')
  const create = async (as: string, name: string) =>
    server.send('POST /api/v1/tokens', { as, body: { name, scopes: ['read', 'operate'] } })
  const made = (await create(cookie, 'first')).json as { token: string; item: { id: string } }
  const other = (await create(cookie, 'second')).json as { item: { id: string } }
  const as = made.token
  assert.equal((await create(as, 'third')).status, 403)
  assert.equal((await server.send(`DELETE /api/v1/tokens/${other.item.id}`, { as })).status, 403)
  const { items } = (await server.send('GET /api/v1/sessions', { as })).json as { items: { id: string }[] }
  assert.equal((await server.send(`DELETE /api/v1/sessions/${items[0]?.id}`, { as })).status, 403)
  assert.equal((await server.send('GET /api/v1/session', { as: cookie })).status, 200)
  assert.equal((await server.send(`DELETE /api/v1/tokens/${made.item.id}`, { as })).status, 204)
  assert.equal((await server.send('GET /api/v1/session', { as })).status, 401)
})

test('a session acts only for pages of its own site, and a form of another one does nothing', async (t) => {
  const server = await apiServer(t, { worker: false })
  addUser(server, 'ada', 'admin', await hashPassword(PASSWORD))
  const { cookie, status } = await server.signIn('ada')
  assert.equal(status, 201)
  const body = { reason: 'x' }
  const pause = 'POST /api/v1/jobs/files/pause'
  assert.equal((await server.send(pause, { as: cookie, body })).status, 204)
  const evil = { origin: 'https://evil.example' }
  for (const headers of [
    evil,
    { origin: 'null' },
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
  ] as Record<string, string>[])
    assert.equal((await server.send(pause, { as: cookie, body, headers })).status, 403, JSON.stringify(headers))
  const bare = await fetch(`${server.url}/api/v1/jobs/files/pause`, {
    method: 'POST',
    headers: { cookie, 'content-type': 'application/json' },
    body: '{}',
  })
  assert.equal(bare.status, 403, 'without the header that a form cannot send')
  const form = await server.send(pause, {
    as: cookie,
    body: 'a=b',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  })
  assert.equal(form.status, 415)
  const own = { origin: server.url, 'sec-fetch-site': 'same-origin' }
  assert.equal((await server.send(pause, { as: cookie, body, headers: own })).status, 204)
  const signIn = await server.send('POST /api/v1/session', { body: { name: 'ada', password: PASSWORD }, headers: evil })
  assert.equal(signIn.status, 403, 'signing somebody in from elsewhere')
})

test('signing in gives a new session each time; signing out, another password and a change of role end sessions', async (t) => {
  const server = await apiServer(t, { worker: false })
  addUser(server, 'ada', 'admin', await hashPassword(PASSWORD))
  addUser(server, 'grace', 'operator', await hashPassword(PASSWORD))
  const header =
    (await server.send('POST /api/v1/session', { body: { name: 'ada', password: PASSWORD } })).headers.get(
      'set-cookie',
    ) ?? ''
  assert.match(header, /^__Host-holdfast=[\w-]{43}; Path=\/; Max-Age=\d+; HttpOnly; SameSite=Strict; Secure$/)
  const [one, two] = [await server.signIn('ada'), await server.signIn('Ada')]
  assert.notEqual(one.cookie, two.cookie)
  const me = async (as: string): Promise<number> => (await server.send('GET /api/v1/session', { as })).status
  assert.deepEqual([await me(one.cookie), await me(two.cookie)], [200, 200])
  assert.equal((await server.send('DELETE /api/v1/session', { as: one.cookie })).status, 204)
  assert.deepEqual([await me(one.cookie), await me(two.cookie)], [401, 200])
  const third = await server.signIn('ada')
  const change = { current: PASSWORD, password: 'another long password' }
  assert.equal(
    (
      await server.send('POST /api/v1/session/password', {
        as: two.cookie,
        body: { ...change, current: 'wrong password' },
      })
    ).status,
    401,
  )
  assert.equal((await server.send('POST /api/v1/session/password', { as: two.cookie, body: change })).status, 204)
  assert.deepEqual([await me(two.cookie), await me(third.cookie)], [200, 401])
  assert.equal((await server.signIn('ada')).status, 401)
  const grace = await server.signIn('grace')
  const { items } = (await server.send('GET /api/v1/users', { as: two.cookie })).json as {
    items: { id: string; name: string }[]
  }
  const idOf = (name: string): string => items.find((user) => user.name === name)?.id ?? ''
  assert.equal(
    (await server.send(`PATCH /api/v1/users/${idOf('grace')}`, { as: two.cookie, body: { role: 'viewer' } })).status,
    200,
  )
  assert.equal(await me(grace.cookie), 401)
  const { access } = server.app.history().server
  for (const user of access.users()) if (user.role === 'admin' && user.name !== 'ada') access.removeUser(user.id)
  const last = await server.send(`DELETE /api/v1/users/${idOf('ada')}`, { as: two.cookie })
  assert.deepEqual([last.status, codeOf(last.json)], [409, 'request.in-use'])
})

test('a session ends after too long without use, and in any case after its longest time', async (t) => {
  const server = await apiServer(t, { worker: false, server: ', session: { idle: 1h, most: 7d }' })
  addUser(server, 'ada', 'viewer', await hashPassword(PASSWORD))
  const { access } = server.app.history().server
  const move = (cookie: string, change: { seenAt?: Date; expiresAt?: Date }): void => {
    const session = access.sessions(access.userNamed('ada')?.id ?? '')[0]
    assert.ok(session, cookie)
    access.saveSession({ ...session, ...change })
  }
  const ago = (hours: number): Date => new Date(Date.now() - hours * 3_600_000)
  const { cookie } = await server.signIn('ada')
  move(cookie, { seenAt: ago(0.9) })
  assert.equal((await server.send('GET /api/v1/session', { as: cookie })).status, 200)
  move(cookie, { seenAt: ago(1.1) })
  assert.equal((await server.send('GET /api/v1/session', { as: cookie })).status, 401)
  const again = await server.signIn('ada')
  move(again.cookie, { expiresAt: ago(0.01) })
  assert.equal((await server.send('GET /api/v1/session', { as: again.cookie })).status, 401)
})

test('who guesses passwords is held up, by account and address, and told for how long; others are not', async (t) => {
  const server = await apiServer(t, { worker: false, server: ', trustProxy: true' })
  const hash = await hashPassword(PASSWORD)
  for (const name of ['ada', 'grace']) addUser(server, name, 'viewer', hash)
  const from = (address: string, name: string, password: string) =>
    server.send('POST /api/v1/session', {
      body: { name, password },
      headers: { 'x-forwarded-for': `1.2.3.4, ${address}` },
    })
  for (let n = 0; n < 5; n += 1) assert.equal((await from('10.0.0.1', 'ada', `guess number ${n}`)).status, 401)
  const held = await from('10.0.0.1', 'ada', PASSWORD)
  assert.equal(held.status, 429)
  assert.ok(Number(held.headers.get('retry-after')) > 800)
  assert.equal((await from('10.0.0.2', 'ada', PASSWORD)).status, 201, 'from elsewhere')
  assert.equal((await from('10.0.0.1', 'grace', PASSWORD)).status, 201, 'another account')
  assert.equal(
    (await from('10.0.0.1', 'nobody at all', 'guess')).status,
    401,
    'an account that there is not looks the same',
  )
})

test('a second factor: turned on with a code, asked for, each code once, recovery codes once', async (t) => {
  const server = await apiServer(t, { worker: false })
  addUser(server, 'ada', 'viewer', await hashPassword(PASSWORD))
  const { cookie } = await server.signIn('ada')
  const begun = await server.send('POST /api/v1/session/totp', { as: cookie, body: { password: PASSWORD } })
  const { secret, uri } = begun.json as { secret: string; uri: string }
  assert.match(uri, /^otpauth:\/\/totp\/Holdfast:ada\?secret=/)
  const step = stepOf(new Date())
  assert.equal((await server.send('PUT /api/v1/session/totp', { as: cookie, body: { code: '000000' } })).status, 401)
  const on = await server.send('PUT /api/v1/session/totp', { as: cookie, body: { code: totpCode(secret, step) } })
  const { recoveryCodes } = on.json as { recoveryCodes: string[] }
  assert.equal(recoveryCodes.length, 10)
  const without = await server.signIn('ada')
  assert.deepEqual(
    [without.status, (without.body as { error: { code: string } }).error.code],
    [401, 'auth.code-needed'],
  )
  assert.equal(
    (await server.signIn('ada', PASSWORD, { code: totpCode(secret, step) })).status,
    401,
    'used when it was turned on',
  )
  assert.equal((await server.signIn('ada', PASSWORD, { code: totpCode(secret, step + 1) })).status, 201)
  const code = recoveryCodes[3] ?? ''
  assert.equal((await server.signIn('ada', PASSWORD, { code })).status, 201)
  assert.equal((await server.signIn('ada', PASSWORD, { code })).status, 401)
})

test('the audit log tells who did what, and a changed entry breaks its chain', async (t) => {
  const server = await apiServer(t, { worker: false })
  addUser(server, 'ada', 'admin', await hashPassword(PASSWORD))
  const { cookie } = await server.signIn('ada')
  await server.signIn('ada', 'a wrong password')
  await server.send('POST /api/v1/jobs/files/pause', { as: cookie, body: { reason: 'holidays' } })
  const { items } = (await server.send('GET /api/v1/audit', { as: cookie })).json as {
    items: { action: string; actor: string; object: string; detail: object; address: string }[]
  }
  assert.deepEqual(
    items.map(({ action, actor, object, address }) => [action, actor, object, address]),
    [
      ['job.pause', 'ada', 'files', '127.0.0.1'],
      ['session.refused', 'ada', 'ada', '127.0.0.1'],
      ['session.begin', 'ada', 'ada', '127.0.0.1'],
    ],
  )
  assert.deepEqual((await server.send('GET /api/v1/audit/check', { as: cookie })).json, { ok: true, entries: 3 })
  assert.ok(!JSON.stringify(items).includes(PASSWORD))
})
