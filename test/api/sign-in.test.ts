/** Signing in when somebody tries it in odd ways: many at once, before there is an account, with headers that are none. */
import assert from 'node:assert/strict'
import { request } from 'node:http'
import { test } from 'node:test'
import { hashPassword } from '../../src/base/password.ts'
import { stepOf, totpCode } from '../../src/base/totp.ts'
import { addUser, apiServer, PASSWORD } from '../support/api-server.ts'

test('the first account needs the token of the console, is made once, and guesses are held up', async (t) => {
  const server = await apiServer(t, { worker: false, bare: true })
  const needed = async (): Promise<unknown> => (await server.send('GET /api/v1/setup')).json?.['needed']
  const make = async (token: string, name = 'ada') =>
    server.send('POST /api/v1/setup', { body: { token, name, password: PASSWORD } })
  assert.equal(await needed(), true)
  assert.equal((await server.send('GET /api/v1/jobs')).status, 401)
  assert.equal((await make('guess', 'mallory')).status, 401)
  const made = await Promise.all([make(server.setupToken), make(server.setupToken, 'grace')])
  assert.deepEqual(
    made.map(({ status }) => status).sort((a, b) => a - b),
    [201, 409],
  )
  assert.equal(await needed(), false)
  assert.equal((await make(server.setupToken, 'grace')).status, 401)
  const { users } = server.app.history().server.access
  assert.deepEqual(
    users().map(({ role }) => role),
    ['admin'],
  )
  assert.equal((await server.signIn(users()[0]?.name ?? '')).status, 201)

  const other = await apiServer(t, { worker: false, bare: true })
  const guesses = await Promise.all(
    Array.from({ length: 12 }, async () =>
      other.send('POST /api/v1/setup', { body: { token: 'guess', name: 'mallory', password: PASSWORD } }),
    ),
  )
  assert.equal(guesses.filter(({ status }) => status === 401).length, 5)
  assert.equal(guesses.filter(({ status }) => status === 429).length, 7)
})

test('passwords guessed all at once are counted like those guessed one after another', async (t) => {
  const server = await apiServer(t, { worker: false })
  addUser(server, 'ada', 'viewer', await hashPassword(PASSWORD))
  const guesses = await Promise.all(
    Array.from({ length: 20 }, async (_, n) => (await server.signIn('ada', `wrong guess ${n}`)).status),
  )
  assert.deepEqual([guesses.filter((one) => one === 401).length, guesses.filter((one) => one === 429).length], [5, 15])
})

test('right passwords at the same time are no failures', async (t) => {
  const server = await apiServer(t, { worker: false })
  addUser(server, 'ada', 'viewer', await hashPassword(PASSWORD))
  for (let round = 0; round < 3; round += 1) {
    const all = await Promise.all([1, 2, 3, 4].map(async () => (await server.signIn('ada')).status))
    assert.deepEqual(all, [201, 201, 201, 201])
  }
})

test('a code of the second factor opens one session, also if it comes twice at once', async (t) => {
  const server = await apiServer(t, { worker: false })
  addUser(server, 'ada', 'viewer', await hashPassword(PASSWORD))
  const { cookie } = await server.signIn('ada')
  const begun = await server.send('POST /api/v1/session/totp', { as: cookie, body: { password: PASSWORD } })
  const { secret } = begun.json as { secret: string }
  const step = stepOf(new Date())
  const on = await server.send('PUT /api/v1/session/totp', { as: cookie, body: { code: totpCode(secret, step) } })
  const { recoveryCodes } = on.json as { recoveryCodes: string[] }
  for (const code of [totpCode(secret, step + 1), recoveryCodes[0] ?? '']) {
    const both = await Promise.all([1, 2].map(async () => (await server.signIn('ada', PASSWORD, { code })).status))
    assert.deepEqual(
      both.sort((a, b) => a - b),
      [201, 401],
    )
  }
})

test('who changes a password puts nothing back that an admin changed meanwhile', async (t) => {
  const server = await apiServer(t, { worker: false })
  const { access } = server.app.history().server
  addUser(server, 'ada', 'admin', await hashPassword(PASSWORD))
  const { cookie } = await server.signIn('ada')
  const changing = server.send('POST /api/v1/session/password', {
    as: cookie,
    body: { current: PASSWORD, password: 'another good one' },
  })
  await new Promise((resolve) => setTimeout(resolve, 30))
  const ada = access.userNamed('ada')
  assert.ok(ada)
  access.saveUser({ ...ada, role: 'viewer' })
  assert.equal((await changing).status, 204)
  assert.equal(access.userNamed('ada')?.role, 'viewer')
})

test('a stream ends when the right to it ends: a revoked token, an account that is disabled', async (t) => {
  const server = await apiServer(t, { worker: false })
  const { access } = server.app.history().server
  const listen = async (as: string): Promise<Response> =>
    fetch(`${server.url}/api/v1/events`, { headers: { authorization: `Bearer ${as}` } })
  const open = await Promise.all([listen(server.token('viewer')), listen(server.token('viewer'))])
  const [revoked, disabled] = access.tokens().slice(-2)
  access.removeToken(revoked?.id ?? '')
  const user = access.user(disabled?.user ?? '')
  assert.ok(user)
  access.saveUser({ ...user, disabled: true })
  const limit = AbortSignal.timeout(20_000)
  for (const response of open) {
    const reader = response.body?.getReader()
    for (;;) {
      const read = await Promise.race([
        reader?.read(),
        new Promise<never>((_, reject) => limit.addEventListener('abort', () => reject(new Error('still open')))),
      ])
      if (read?.done === true) break
    }
  }
})

test('a host that is none is refused, and who comes with wrong tokens is slowed down', async (t) => {
  const server = await apiServer(t, { worker: false })
  const ask = async (host: string): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      const sent = request(`${server.url}/api/v1/setup`, { headers: { host } }, (response) => {
        response.resume()
        resolve(response.statusCode)
      })
      sent.once('error', reject)
      sent.end()
    })
  for (const host of ['[', 'a b', '[::1', 'x:99999']) assert.equal(await ask(host), 400, host)
  assert.equal(await ask('[::1]:3000'), 200)
  const as = `hf_${'x'.repeat(43)}`
  const codes = await Promise.all(
    Array.from({ length: 100 }, async () => (await server.send('GET /api/v1/jobs', { as })).status),
  )
  assert.ok(codes.includes(401) && codes.includes(429), codes.join(' '))
})
