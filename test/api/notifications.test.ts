/** Notifiers through the API: tried before they are saved, and with the secrets that nobody is shown. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { apiServer } from '../support/api-server.ts'

test('a notifier is tried before it is saved; one that is there is tried with its hidden secrets', async (t) => {
  const got: { url: string; signature: string }[] = []
  let status = 200
  const receiver = createServer((request, response) => {
    request.resume().on('end', () => {
      got.push({ url: request.url ?? '', signature: String(request.headers['x-holdfast-signature'] ?? '') })
      response.writeHead(status).end('no room')
    })
  })
  receiver.listen(0, '127.0.0.1')
  await once(receiver, 'listening')
  t.after(() => receiver.close())
  const { client } = await apiServer(t, { config: `vaults: { v: { storage: 'file:./vault', format: archive } }` })
  const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook`
  const definition = { type: 'webhook', url, secret: 'between us', on: ['failure'] }
  const tried = async (as: Record<string, unknown>) =>
    (await client.call('POST /api/v1/notifications/test', { body: { name: 'ops', definition: as } })).data
  assert.deepEqual(await tried(definition), { ok: true })
  assert.match(got[0]?.signature ?? '', /^t=/)
  assert.deepEqual((await client.call('GET /api/v1/notifications', {})).data.items, [], 'nothing was saved')

  await client.call('POST /api/v1/notifications', { body: { name: 'ops', definition } })
  const shown = (await client.call('GET /api/v1/notifications/{name}', { params: { name: 'ops' } })).data.definition
  assert.ok(!JSON.stringify(shown).includes('between us'))
  assert.deepEqual(await tried({ ...shown, on: ['success'] }), { ok: true })
  assert.match(got[1]?.signature ?? '', /^t=/)

  status = 400
  const refused = await tried(definition)
  assert.deepEqual([refused.ok, refused.error?.code], [false, 'notify.failed'])
  assert.match(refused.error?.message ?? '', /answered 400: no room/)
  await assert.rejects(tried({ type: 'webhook', url, onn: [] }), /onn/)
  await assert.rejects(
    tried({ type: 'webhook', url: 'http://169.254.169.254/' }),
    /address of the machine or its cloud/,
  )
  assert.equal(got.length, 3)
})
