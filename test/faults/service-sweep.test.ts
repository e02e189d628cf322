import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sweptCatalogue } from '../support/catalogues.ts'
import { noPostgres, startPostgres } from '../servers/postgres.ts'
import { scratch } from '../support/holdfast.ts'
import { serviceSweep } from './service-sweep.ts'

test('schedulers and workers killed at random lose no due time, run none twice at once, and leave nothing hanging', async (t) => {
  const { kills, done, slots } = await serviceSweep(scratch(t, 'service'), 8)
  assert.equal(kills, 8)
  assert.ok(done >= 3, `${done} of ${slots} due times were done`)
})

test(
  'driver:catalogue-postgres the same over PostgreSQL, which crashes and loses connections too',
  { skip: noPostgres ?? false },
  async (t) => {
    const server = await startPostgres()
    t.after(async () => server.stop())
    const { kills, done, slots } = await serviceSweep(scratch(t, 'service'), 8, { catalogue: sweptCatalogue(server) })
    assert.equal(kills, 8)
    assert.ok(done >= 3, `${done} of ${slots} due times were done`)
  },
)
