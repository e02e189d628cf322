import assert from 'node:assert/strict'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { noPostgres18, PASSWORD, programsOfPostgres18, startPostgres } from '../servers/postgres.ts'
import { holdfast, scratch } from '../support/holdfast.ts'

const skip = noPostgres18 ?? false

test(
  'driver:postgres-18: dump, restore and proof by the programs of version 18; older ones are refused',
  { skip },
  async (t) => {
    const dir = scratch(t, 'postgres-18')
    chmodSync(dir, 0o711)
    const hf = holdfast(dir)
    const postgres18 = programsOfPostgres18(dir)
    const server = await startPostgres(postgres18)
    t.after(async () => server.stop())
    server.sql('postgres', 'create database shop')
    server.sql(
      'shop',
      `create table orders (id bigint generated always as identity primary key, note text not null, twice int generated always as (length(note) * 2));
     insert into orders (note) select md5(i::text) from generate_series(1, 50000) i; create index on orders (note);`,
    )
    const source = (more: string): void =>
      writeFileSync(
        join(dir, 'holdfast.yaml'),
        `vaults: { v: { storage: ./vault, format: archive } }
jobs: { shop: { source: { type: postgres, host: 127.0.0.1, port: ${server.port}, user: admin, password: ${PASSWORD}, databases: [shop]${more} }, vaults: [v], verify: { afterBackup: V4 } } }
`,
        { mode: 0o600 },
      )
    source('')
    const old = await hf.run(['backup'])
    assert.match(old.stderr, /source.no-program.*server is PostgreSQL 18.*only pg_dump 15/)
    source(`, programs: ${postgres18}`)
    const good = await hf.run(['backup'], { env: { PATH: `${postgres18}:${process.env['PATH']}` } })
    assert.equal(good.code, 0, good.stdout + good.stderr)
    assert.match(good.stdout, /proved V4/)
    const env = { PGPASSWORD: PASSWORD, PATH: `${postgres18}:${process.env['PATH']}` }
    const to = ['--db', 'postgres', '--host', '127.0.0.1', '--port', String(server.port), '--user', 'admin']
    const restore = await hf.run(
      ['restore', 'latest', '--vault', 'v', ...to, '--database', 'copy', '--only', 'orders'],
      { env },
    )
    assert.equal(restore.code, 0, restore.stderr)
    assert.equal(server.sql('copy', 'select count(*), sum(twice) from orders'), '50000|3200000')
    assert.equal(server.sql('copy', "insert into orders (note) values ('x') returning id"), '50001')
  },
)
