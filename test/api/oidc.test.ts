/** Signing in by a real identity provider on loopback. */
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test, type TestContext } from 'node:test'
import { apiServer, type ApiServer } from '../support/api-server.ts'

interface Provider {
  issuer: string
  allow(redirect: string): void
}

/** npm's oidc-provider, with its own pages for signing in: any name is taken, and its groups come by the name. */
async function provider(t: TestContext): Promise<Provider> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const { Provider: OidcProvider } = await import('oidc-provider')
  let made: InstanceType<typeof OidcProvider> | undefined
  server.on('request', (request, response) => void made?.callback()(request, response))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return {
    issuer,
    allow(redirect) {
      made = new OidcProvider(issuer, {
        clients: [
          {
            client_id: 'holdfast',
            client_secret: 'shared secret',
            redirect_uris: [redirect],
            response_types: ['code'],
          },
        ],
        claims: { openid: ['sub'], profile: ['preferred_username', 'groups'] },
        cookies: { keys: ['test'] },
        pkce: { required: () => true },
        findAccount: (_: unknown, id: string) => ({
          accountId: id,
          claims: () => ({ sub: id, preferred_username: id, groups: id.split('-').slice(1) }),
        }),
      } as never)
      made.proxy = false
    },
  }
}

/** A browser that follows redirects, keeps cookies, and fills in the provider's forms. */
async function browse(
  start: string,
  name: string,
  until: string,
): Promise<{ url: string; status: number; text: string; cookies: Map<string, string> }> {
  const jars = new Map<string, Map<string, string>>()
  let url = start
  let form: URLSearchParams | undefined
  for (let steps = 0; steps < 20; steps += 1) {
    const { origin } = new URL(url)
    const jar = jars.get(origin) ?? new Map<string, string>()
    jars.set(origin, jar)
    const response = await fetch(url, {
      redirect: 'manual',
      method: form === undefined ? 'GET' : 'POST',
      headers: { cookie: [...jar].map(([key, value]) => `${key}=${value}`).join('; ') },
      ...(form && { body: form }),
    })
    for (const cookie of response.headers.getSetCookie()) {
      const [pair = ''] = cookie.split(';')
      const [key = '', ...value] = pair.split('=')
      jar.set(key, value.join('='))
    }
    form = undefined
    const to = response.headers.get('location')
    if (to !== null) {
      url = new URL(to, url).href
      if (url === until) return { url, status: response.status, text: '', cookies: jar }
      continue
    }
    const text = await response.text()
    const action = /<form[^>]* action="([^"]+)"/.exec(text)?.[1]
    if (action === undefined) return { url, status: response.status, text, cookies: jar }
    form = new URLSearchParams(
      [...text.matchAll(/<input[^>]* name="(\w+)"(?:[^>]* value="([^"]*)")?/g)].map(
        ([, key = '', value = '']): [string, string] => [key, value],
      ),
    )
    if (form.has('login')) form.set('login', name)
    if (form.has('password')) form.set('password', 'any')
    url = new URL(action, url).href
  }
  throw new Error(`the sign-in went round in circles, at ${url}`)
}

async function world(
  t: TestContext,
  more = '',
): Promise<ApiServer & { enter(name: string, to?: string): ReturnType<typeof browse> }> {
  const idp = await provider(t)
  const server = await apiServer(t, {
    worker: false,
    server: `, oidc: { issuer: '${idp.issuer}', clientId: holdfast, clientSecret: 'shared secret', name: Example, roleClaim: groups, roles: { ops: operator, root: admin }${more} }`,
  })
  idp.allow(`${server.url}/api/v1/oidc/callback`)
  const enter = async (name: string, to = '/runs') =>
    browse(
      `${server.url}/api/v1/oidc/start?to=${encodeURIComponent(to)}`,
      name,
      `${server.url}${to.startsWith('/') && !to.startsWith('//') ? to : '/'}`,
    )
  return { ...server, enter }
}

test('whom the identity provider knows is signed in with the role of the groups, in an account of its own', async (t) => {
  const server = await world(t)
  assert.deepEqual((await server.send('GET /api/v1/setup')).json?.['oidc'], { name: 'Example' })
  const { url, cookies } = await server.enter('grace-ops')
  assert.equal(url, `${server.url}/runs`)
  const session = `__Host-holdfast=${cookies.get('__Host-holdfast')}`
  const me = (await server.send('GET /api/v1/session', { as: session })).json
  assert.deepEqual([me?.['name'], me?.['role']], ['grace-ops', 'operator'])
  await server.enter('grace-ops')
  const all = server.app
    .history()
    .server.access.users()
    .filter(({ name }) => name.startsWith('grace'))
  assert.equal(all.length, 1, 'the second time it is the same account')
  assert.equal((await server.signIn('grace-ops', '')).status, 401, 'no password opens it')
})

test('who has no group that counts may not in; nobody is led to another site', async (t) => {
  const server = await world(t)
  const refused = await server.enter('mallory-none')
  assert.equal(refused.status, 403)
  assert.match(refused.text, /gives this account no role/)
  assert.equal(
    server.app
      .history()
      .server.access.users()
      .filter(({ name }) => name.startsWith('mallory')).length,
    0,
  )
  for (const to of ['https://evil.example/', '//evil.example', '/\\evil.example']) {
    const { url } = await server.enter('ada-root', to)
    assert.equal(url, `${server.url}/`, to)
  }
})

test('an answer that was not asked for here, or comes a second time, signs nobody in', async (t) => {
  const server = await world(t)
  const forged = await server.send('GET /api/v1/oidc/callback?code=stolen&state=made-up')
  assert.equal(forged.status, 401)
  assert.equal(forged.headers.get('set-cookie'), null)
  const start = await server.send('GET /api/v1/oidc/start')
  assert.equal(start.status, 302)
  const asked = new URL(start.headers.get('location') ?? '')
  assert.equal(asked.searchParams.get('code_challenge_method'), 'S256')
  const cookie = start.headers.get('set-cookie')?.split(';')[0] ?? ''
  const mixed = await server.send('GET /api/v1/oidc/callback?code=stolen&state=made-up', { headers: { cookie } })
  assert.equal(mixed.status, 401)
})
