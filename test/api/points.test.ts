/** Restores to a moment through the API, from the log of a real database. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { apiServer, ended } from '../support/api-server.ts'
import { holdfast } from '../support/holdfast.ts'
import { startLane, until } from '../support/pit.ts'

test('a database is restored to a moment that the timeline shows; one that it does not show is refused with what there is', async (t) => {
  const server = await apiServer(t, {
    config: `vaults: { v: { storage: 'file:./vault', format: archive } }
jobs: { shop: { source: { type: sqlite, file: ./shop.db }, vaults: [v] } }`,
  })
  const { client, dir } = server
  using database = new DatabaseSync(join(dir, 'shop.db'), { timeout: 10_000 })
  database.exec('pragma journal_mode = wal; create table t (id integer primary key); insert into t values (1)')
  const lane = await startLane(holdfast(dir), 'shop')
  t.after(() => lane.child.kill('SIGKILL'))
  const timeline = async () =>
    (await client.call('GET /api/v1/jobs/{name}/timeline', { params: { name: 'shop' } })).data.vaults[0]
  await until('a window', async () => (await timeline())?.windows.length === 1)
  await sleep(1500)
  const moment = new Date().toISOString()
  await sleep(1500)
  database.exec('insert into t values (2)')
  await until('the log up to now', async () => ((await timeline())?.windows[0]?.to ?? '') > moment)

  const file = join(dir, 'restored.db')
  const to = { type: 'database', file } as const
  const plan = (await client.call('POST /api/v1/restores/plan', { body: { job: 'shop', at: moment, to } })).data
  assert.deepEqual([plan.ok, plan.problems], [true, []])
  assert.match(plan.command, /^holdfast restore --job shop --vault v --at /)
  const { data } = await client.call('POST /api/v1/restores', { body: { job: 'shop', at: moment, to } })
  const run = await ended(client, data.id)
  assert.equal(run.status, 'success', run.error?.message)
  using restored = new DatabaseSync(file, { readOnly: true })
  assert.deepEqual(
    restored
      .prepare('select id from t')
      .all()
      .map(({ id }) => id),
    [1],
  )

  const never = {
    job: 'shop',
    at: '2020-01-01T00:00:00Z',
    to: { type: 'database', file: join(dir, 'never.db') } as const,
  }
  const refused = (await client.call('POST /api/v1/restores/plan', { body: never })).data
  assert.equal(refused.ok, false)
  const failed = await ended(client, (await client.call('POST /api/v1/restores', { body: never })).data.id)
  assert.equal(failed.status, 'failed')
  assert.ok(!existsSync(join(dir, 'never.db')))
  const both = await server.send('POST /api/v1/restores', {
    as: server.token('restorer'),
    body: { job: 'shop', at: moment, backup: 'x', to },
  })
  assert.equal(both.status, 400)
})
