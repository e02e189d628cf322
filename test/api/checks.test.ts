/** Looking for damage by the API, and by itself: on a real vault, with a real worker and scheduler. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { runService } from '../../src/service/service.ts'
import { ApiError } from '../../src/http/client.ts'
import { apiServer, ended, type ApiServer } from '../support/api-server.ts'
import { holdfast } from '../support/holdfast.ts'

const CONFIG = `vaults: { v: { storage: 'file:./vault', format: archive, check: { every: 6h, readData: 10% } } }
jobs:
  files: { source: { type: files, paths: [./data] }, vaults: [v] }
  others: { source: { type: files, paths: [./data] }, vaults: [v] }`

async function checked(server: ApiServer, readData: number) {
  const { data } = await server.client.call('POST /api/v1/vaults/{name}/check', {
    params: { name: 'v' },
    body: { readData },
  })
  return whenEnded(server, data.id)
}

async function openAlerts({ client }: ApiServer) {
  const { data } = await client.call('GET /api/v1/alerts', { query: { open: 'true' } })
  return data.items.map(({ kind, job, vault }) => [kind, job, vault])
}

function archiveOf(dir: string, job: string): string {
  const file = readdirSync(join(dir, 'vault', job)).find((name) => name.endsWith('.tar.zst'))
  return join(dir, 'vault', job, file ?? assert.fail())
}

async function whenEnded({ client }: ApiServer, id: string) {
  await ended(client, id)
  return (await client.call('GET /api/v1/runs/{id}', { params: { id } })).data
}

test('a check of a vault is a run: damage fails it, is told for the jobs that it touches, and is over when all is read and well', async (t) => {
  const server = await apiServer(t, { config: CONFIG })
  const { client, dir } = server
  for (const name of ['files', 'others']) {
    const { data } = await client.call('POST /api/v1/jobs/{name}/runs', { params: { name }, body: {} })
    assert.equal((await ended(client, data.id)).status, 'success')
  }
  const fine = await checked(server, 1)
  assert.deepEqual([fine.kind, fine.job, fine.vault, fine.status], ['check', '', 'v', 'success'])
  const path = archiveOf(dir, 'files')
  const bytes = readFileSync(path)
  const worse = Buffer.from(bytes)
  worse.writeUInt8(worse.readUInt8(worse.length >> 1) ^ 1, worse.length >> 1)
  writeFileSync(path, worse)

  const names = await checked(server, 0)
  assert.deepEqual([names.status, names.summary?.['damaged']], ['success', 0])
  const found = await checked(server, 1)
  assert.deepEqual(
    [found.status, found.error?.code, found.summary?.['damaged'], found.summary?.['jobs']],
    ['failed', 'backup.damaged', 1, ['files']],
  )
  const { data: vault } = await client.call('GET /api/v1/vaults/{name}', { params: { name: 'v' } })
  assert.deepEqual([vault.lastCheck?.run, vault.lastCheck?.damaged, vault.lastCheck?.readData], [found.id, 1, 1])
  await told(server, [['damage', 'files', 'v']])
  const { text: metrics } = await server.send('GET /metrics', { as: server.token('admin') })
  assert.match(metrics, /^holdfast_vault_damaged_objects\{vault="v"\} 1$/m)
  assert.match(metrics, /^holdfast_vault_incidents\{vault="v"\} 1$/m)
  assert.match(metrics, /^holdfast_vault_last_check_timestamp_seconds\{vault="v"\} \d{10}/m)

  // Names and sizes are as they should be all the time.
  assert.equal((await checked(server, 0)).status, 'success')
  await told(server, [['damage', 'files', 'v']])
  writeFileSync(path, bytes)
  assert.equal((await checked(server, 1)).status, 'success')
  await told(server, [])
})

/** They are told a moment after the run has ended. */
async function told(server: ApiServer, wanted: unknown[]): Promise<void> {
  for (let tries = 0; tries < 100; tries += 1) {
    const alerts = await openAlerts(server)
    if (JSON.stringify(alerts) === JSON.stringify(wanted)) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  assert.deepEqual(await openAlerts(server), wanted)
}

test('a check that waits or works is not started twice, one of another vault is; through --server it is followed', async (t) => {
  const config = `vaults: { v: { storage: 'file:./vault', format: archive }, w: { storage: 'file:./other', format: archive } }
jobs: { files: { source: { type: files, paths: [./data] }, vaults: [v, w] } }`
  const server = await apiServer(t, { config, worker: false })
  const { client, app, url } = server
  const start = async (name: string) =>
    client.call('POST /api/v1/vaults/{name}/check', { params: { name }, body: { readData: 0.5 } })
  const { data } = await start('v')
  await assert.rejects(
    start('v'),
    (error) => error instanceof ApiError && error.status === 409 && error.run === data.id,
  )
  const other = await start('w')
  const { data: about } = await client.call('GET /api/v1/about')
  assert.deepEqual(
    about.queue.map(({ run, job, vault }) => [run, job, vault]),
    [
      [data.id, '', 'v'],
      [other.data.id, '', 'w'],
    ],
  )
  const stopping = new AbortController()
  const serving = runService(app, { scheduler: false, worker: true, signal: stopping.signal })
  t.after(async () => {
    stopping.abort()
    await serving
  })
  // Nothing was ever stored there: a check makes no vault.
  assert.equal((await whenEnded(server, data.id)).error?.code, 'vault.not-found')
  await ended(client, other.data.id)
  const first = await client.call('POST /api/v1/jobs/{name}/runs', { params: { name: 'files' }, body: {} })
  await ended(client, first.data.id)
  const env = { HOLDFAST_TOKEN: server.token('operator', ['read', 'operate']) }
  const run = await holdfast(server.dir).run(['--server', url, 'check', '--vault', 'v', '--read-data'], { env })
  assert.equal(run.code, 0, run.stderr)
  assert.match(run.stdout, /check of v: success/)
})

test('the checks that a vault asks for come by themselves, and are seen beforehand', async (t) => {
  const server = await apiServer(t, { config: CONFIG.replace('every: 6h', 'every: 1s'), worker: false })
  const { client, app } = server
  const { data: schedules } = await client.call('GET /api/v1/schedules')
  assert.deepEqual(
    schedules.items.map(({ job, vault, kind, spec }) => [job, vault, kind, spec]),
    [['', 'v', 'check', 'every 1.0s']],
  )
  const { data: overview } = await client.call('GET /api/v1/overview', { query: {} })
  assert.deepEqual([overview.upcoming[0]?.kind, overview.upcoming[0]?.vault], ['check', 'v'])
  const first = await client.call('POST /api/v1/jobs/{name}/runs', { params: { name: 'files' }, body: {} })
  const stopping = new AbortController()
  const serving = runService(app, { scheduler: true, worker: true, signal: stopping.signal })
  try {
    await ended(client, first.data.id)
    for (;;) {
      const { data } = await client.call('GET /api/v1/runs', { query: { kind: 'check' } })
      const good = data.items.find(({ status }) => status === 'success')
      if (good === undefined) {
        await new Promise((resolve) => setTimeout(resolve, 200))
        continue
      }
      assert.deepEqual([good.trigger, good.vault, good.summary?.['readData']], ['schedule', 'v', 0.1])
      break
    }
  } finally {
    stopping.abort()
    await serving
  }
})
