import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, beforeEach, test } from 'node:test'
import { isAppError } from '../../base/errors.ts'
import { managedIdentity } from './identity.ts'

/** What machines, App Services and the directory answer. */
let seen: { url: string; headers: IncomingMessage['headers']; body: string }[] = []
let answer: { status: number; body: object } = { status: 200, body: {} }
const server = createServer((request, response) => {
  let body = ''
  request.on('data', (chunk: Buffer) => (body += chunk.toString()))
  request.on('end', () => {
    seen.push({ url: request.url ?? '', headers: request.headers, body })
    response.writeHead(answer.status, { 'content-type': 'application/json' }).end(JSON.stringify(answer.body))
  })
})
let origin = ''
before(async () => {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
after(() => server.close())
beforeEach(() => {
  seen = []
  answer = { status: 200, body: { access_token: 'a-token-of-the-test', expires_in: '3600' } }
})

test('the identity of a machine: asked for once, until its token is about to end', async () => {
  const identity = managedIdentity('which', { AZURE_POD_IDENTITY_AUTHORITY_HOST: origin })
  const [one, two] = await Promise.all([identity.getToken(), identity.getToken()])
  assert.equal(one.token, 'a-token-of-the-test')
  assert.equal(two.token, one.token)
  assert.equal(seen.length, 1)
  assert.match(
    seen[0]?.url ?? '',
    /^\/metadata\/identity\/oauth2\/token\?resource=https%3A%2F%2Fstorage\.azure\.com&client_id=which/,
  )
  assert.equal(seen[0]?.headers['metadata'], 'true')
  answer = { status: 200, body: { access_token: 'soon-over', expires_in: '60' } }
  const short = managedIdentity(undefined, { AZURE_POD_IDENTITY_AUTHORITY_HOST: origin })
  await short.getToken()
  await short.getToken()
  assert.equal(seen.length, 3)
})

test('an App Service and an application of the directory are asked in their own ways', async () => {
  await managedIdentity(undefined, {
    IDENTITY_ENDPOINT: `${origin}/msi`,
    IDENTITY_HEADER: 'header-of-the-service',
  }).getToken()
  assert.equal(seen[0]?.headers['x-identity-header'], 'header-of-the-service')
  const env = { AZURE_TENANT_ID: 't', AZURE_CLIENT_ID: 'c', AZURE_CLIENT_SECRET: 's', AZURE_AUTHORITY_HOST: origin }
  await managedIdentity(undefined, env).getToken()
  assert.equal(seen[1]?.url, '/t/oauth2/v2.0/token')
  assert.match(seen[1]?.body ?? '', /client_secret=s/)
})

test('no identity is storage.no-credentials with what to do, a busy service storage.throttled', async () => {
  const identity = managedIdentity(undefined, { AZURE_POD_IDENTITY_AUTHORITY_HOST: origin })
  answer = { status: 400, body: { error: 'invalid_request', error_description: 'Identity not found' } }
  await assert.rejects(identity.getToken(), (error) => {
    assert.ok(isAppError(error, 'storage.no-credentials'))
    assert.match(error.message, /Identity not found/)
    return true
  })
  answer = { status: 429, body: {} }
  await assert.rejects(identity.getToken(), (error) => isAppError(error, 'storage.throttled'))
  const nobody = managedIdentity(undefined, { AZURE_POD_IDENTITY_AUTHORITY_HOST: 'http://127.0.0.1:1' })
  await assert.rejects(nobody.getToken(), (error) => isAppError(error, 'storage.no-credentials'))
})
