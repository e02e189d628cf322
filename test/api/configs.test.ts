/** The seven routes of the first page's document, in its own words, against a real bucket. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { ended, apiServer } from '../support/api-server.ts'
import { noVersitygw, startVersitygw } from '../servers/s3-servers.ts'

test(
  'driver:s3-versitygw a configuration is made, run, listed, changed and removed by the seven routes',
  { skip: noVersitygw },
  async (t) => {
    const s3 = await startVersitygw()
    t.after(async () => s3.stop())
    const env = { ...s3.env, BACKUP_ENCRYPTION_KEY: 'the key of the document' }
    for (const [name, value] of Object.entries(env)) {
      const before = process.env[name]
      process.env[name] = value
      t.after(() => (before === undefined ? delete process.env[name] : (process.env[name] = before)))
    }
    const server = await apiServer(t, {
      files: { 'data/a.txt': 'hello', 'data/b.tmp': 'no', 'more/c.tmp': 'yes', 'more/d': 'd' },
    })
    const as = server.token('admin')
    const send = async (key: string, body?: unknown) => server.send(key, { as, ...(body !== undefined && { body }) })
    const config = {
      name: 'Test Backup',
      enabled: true,
      sources: [{ path: join(server.dir, 'data'), excludePatterns: ['*.tmp'] }, { path: join(server.dir, 'more') }],
      destination: { bucket: 'backups', region: 'us-east-1', prefix: 'web/', endpoint: s3.endpoint },
      schedule: { cronExpression: '0 2 * * *', timezone: 'UTC' },
      options: { type: 'full', compression: true, encryption: true, retentionDays: 30 },
    }
    const made = await send('POST /api/backups/configs', config)
    assert.equal(made.status, 201, made.text)
    const { id, managed, createdAt, updatedAt, ...stored } = made.json as typeof config & Record<string, unknown>
    assert.ok(managed === false && createdAt !== undefined && updatedAt !== undefined)
    assert.deepEqual(
      {
        ...stored,
        sources: stored.sources.map(({ path }) => path),
        options: { ...stored.options, compressionLevel: undefined },
      },
      {
        ...config,
        sources: config.sources.map(({ path }) => path),
        options: { ...config.options, compressionLevel: undefined },
      },
    )
    assert.equal((await send('POST /api/backups/configs', config)).status, 409, 'the same name again')
    const started = await send('POST /api/backups/execute', { configId: id })
    assert.equal(started.status, 202)
    const runId = started.json?.['runId'] as string
    const second = await send('POST /api/backups/execute', { configId: id })
    if (second.status !== 202)
      assert.deepEqual([second.status, (second.json as { error: { run: string } }).error.run], [409, runId])
    assert.equal((await ended(server.client, runId)).status, 'success')
    const { items } = (await server.client.call('GET /api/v1/backups')).data
    const { data: tree } = await server.client.call('GET /api/v1/backups/{id}/tree', {
      params: { id: items[0]?.id ?? '' },
      query: { q: '.' },
    })
    const names = tree.items.map(({ name }) => name)
    assert.ok(names.includes('a.txt') && names.includes('c.tmp') && !names.includes('b.tmp'), names.join(' '))
    assert.equal(items[0]?.encrypted, true)

    const logs = JSON.parse((await send(`GET /api/backups/logs?configId=${String(id)}&limit=5`)).text) as {
      status: string
      filesProcessed: number
      configName: string
    }[]
    assert.deepEqual(logs.map(({ status, configName }) => [status, configName]).at(-1), ['completed', 'Test Backup'])
    const stats = (await send('GET /api/backups/stats')).json
    assert.equal(stats?.['totalConfigs'], 1)
    assert.ok(Number(stats?.['totalBackups']) >= 1 && stats?.['successRate'] === 1 && stats['nextBackup'] !== undefined)

    const patched = await send(`PATCH /api/backups/configs/${String(id)}`, {
      enabled: false,
      options: { retentionDays: 7 },
    })
    assert.equal(patched.status, 200, patched.text)
    assert.deepEqual(patched.json?.['options'], { ...(stored.options as object), retentionDays: 7 })
    assert.equal(patched.json?.['enabled'], false)
    const { data: job } = await server.client.call('GET /api/v1/jobs/{name}', { params: { name: 'Test Backup' } })
    assert.deepEqual(
      [job.enabled, (job.definition['retention'] as { days: number }).days],
      [false, 7],
      'both views, one row',
    )
    assert.equal((await send('GET /api/backups/configs/none-such')).status, 404)
    assert.equal(
      (
        await send('POST /api/backups/configs', {
          ...config,
          name: 'x',
          schedule: { cronExpression: 'often', timezone: 'UTC' },
        })
      ).status,
      400,
    )
    assert.equal(
      (await server.client.call('GET /api/v1/vaults')).data.items.length,
      2,
      'nothing is left of what was refused',
    )
    assert.equal((await send(`DELETE /api/backups/configs/${String(id)}`)).status, 204)
    assert.deepEqual(JSON.parse((await send('GET /api/backups/configs')).text), [])
  },
)

test('a change touches only what it names: not the job’s other vaults, and no vault that is not its own', async (t) => {
  const server = await apiServer(t, { worker: false })
  const { client } = server
  const as = server.token('admin')
  const storage = { type: 's3', bucket: 'shared', region: 'eu-central-1', endpoint: 'http://127.0.0.1:9' }
  const shared = { storage, format: 'repository', password: 'kept' }
  await client.call('POST /api/v1/vaults', { body: { name: 'shared', definition: shared } })
  const source = { type: 'files', paths: ['/data'], exclude: ['/cache', '*.tmp'] }
  const definition = { source, vaults: ['shared', 'v'], schedule: '0 3 * * *', retention: { last: 3 } }
  await client.call('POST /api/v1/jobs', { body: { name: 'web', definition } })
  const vault = async () =>
    (await client.call('GET /api/v1/vaults/{name}', { params: { name: 'shared' } })).data.definition
  const before = await vault()
  const [config] = JSON.parse((await server.send('GET /api/backups/configs', { as })).text) as [
    { id: string; options: object; destination: object },
  ]
  const patch = async (body: unknown) => server.send(`PATCH /api/backups/configs/${config.id}`, { as, body })
  const changed = await patch({
    ...config,
    id: undefined,
    managed: undefined,
    createdAt: undefined,
    updatedAt: undefined,
    enabled: false,
  })
  assert.equal(changed.status, 200, changed.text)
  assert.deepEqual(await vault(), before)
  const { data: job } = await client.call('GET /api/v1/jobs/{name}', { params: { name: 'web' } })
  assert.deepEqual(job.definition, { ...definition, enabled: false })
  for (const asked of [{ destination: { ...config.destination, bucket: 'mine' } }, { options: { encryption: false } }])
    assert.equal((await patch(asked)).status, 409, JSON.stringify(asked))
  assert.deepEqual(await vault(), before)
})
