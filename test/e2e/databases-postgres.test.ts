import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { noPostgres, PASSWORD, startPostgres, type PostgresServer } from '../servers/postgres.ts'
import { holdfast, scratch, summary } from '../support/holdfast.ts'

const skip = noPostgres ?? false
let server: PostgresServer
const env = { PGPASSWORD: PASSWORD }
const at = (): string[] => ['--db', 'postgres', '--host', '127.0.0.1', '--port', String(server.port), '--user', 'admin']

before(async () => {
  if (noPostgres !== undefined) return
  server = await startPostgres()
  server.sql('postgres', 'create database shop; create role clerk login;')
  server.sql(
    'shop',
    `create type mood as enum ('good', 'bad');
     create table orders (id serial primary key, note text not null, feeling mood default 'good', raw bytea);
     create table "Odd ""Name" (a int, b int generated always as (a * 2) stored);
     insert into orders (note, raw) select repeat(md5(i::text), 5), decode(md5(i::text), 'hex') from generate_series(1, 20000) i;
     insert into "Odd ""Name" values (1), (2); create index on orders (note); grant select on orders to clerk;`,
  )
})
after(async () => server?.stop())

test(
  'driver:postgres: a database is backed up, restored to a new one with keys and sequences, and rows are compared',
  { skip },
  async (t) => {
    const hf = holdfast(scratch(t, 'postgres'))
    const backup = await hf.run(['backup', ...at(), '--database', 'shop', '--out', './vault', '--json'], { env })
    assert.equal(backup.code, 0, backup.stderr)
    assert.ok(!(backup.stdout + backup.stderr).includes(PASSWORD))
    const restore = ['restore', 'latest', '--vault', './vault', ...at(), '--database', 'copy']
    assert.equal((await hf.run([...restore, '--dry-run'], { env })).code, 0)
    const done = await hf.run(restore, { env })
    assert.equal(done.code, 0, done.stderr)
    const digest = 'select count(*), md5(string_agg(o::text, chr(10) order by id)) from orders o'
    assert.equal(server.sql('copy', digest), server.sql('shop', digest))
    assert.equal(server.sql('copy', "insert into orders (note) values ('next') returning id"), '20001')
    assert.equal(server.sql('copy', "select count(*) from pg_indexes where tablename = 'orders'"), '2')

    const again = await hf.run(restore, { env })
    assert.deepEqual([again.code, /restore.exists/.test(again.stderr)], [1, true])
    const swapped = await hf.run([...restore, '--overwrite', 'always', '--json'], { env })
    assert.equal(swapped.code, 0, swapped.stderr)
    assert.equal(server.sql('copy', 'select count(*) from orders'), '20000')
    const old = server.sql('postgres', "select datname from pg_database where datname like 'copy_before_%'")
    assert.equal(server.sql(old, 'select count(*) from orders'), '20001', 'what was replaced is kept')
    assert.equal(server.sql('postgres', "select count(*) from pg_database where datname like 'holdfast_restore%'"), '0')

    await hf.run(['restore', 'latest', '--vault', './vault', '--to', './files'])
    server.sql('postgres', 'create database stranger template template0')
    execFileSync('pg_restore', ['-d', 'stranger', '--exit-on-error', join(hf.dir, 'files/shop/database.dump')], {
      env: { ...process.env, PGHOST: '127.0.0.1', PGPORT: String(server.port), PGUSER: 'admin', PGPASSWORD: PASSWORD },
    })
    assert.equal(server.sql('stranger', digest), server.sql('shop', digest), 'without Holdfast too')
    server.sql('postgres', `drop database copy; drop database ${old}; drop database stranger`)
  },
)

test('driver:postgres: what stands in the way is told by its own code, and makes no backup', { skip }, async (t) => {
  const dir = scratch(t, 'postgres')
  const hf = holdfast(dir)
  const fails = async (args: string[], message: RegExp, more: Record<string, string> = env): Promise<void> => {
    const ended = await hf.run(['backup', ...at(), '--out', './vault', ...args], { env: more })
    assert.equal(ended.code, 14, ended.stderr)
    assert.match(ended.stderr, message)
    assert.ok(!ended.stderr.includes(PASSWORD))
  }
  await fails(['--database', 'shop'], /source.denied.*authentication failed/, { PGPASSWORD: 'wrong-password-1' })
  await fails(['--database', 'nothing'], /source.not-found/)
  await fails(['--database', 'shop', '--port', '1'], /source.unreachable/)
  await fails(['--database', 'shop', '--table', 'no_such_table'], /no matching tables/)
  await fails(['--database', 'shop', '--tls', 'require'], /SSL/)
  assert.equal((await hf.run(['list', '--vault', './vault', '--json'])).stdout.trim(), '[]')
})

test('driver:postgres: a client program that misbehaves never makes a backup', { skip }, async (t) => {
  const dir = scratch(t, 'postgres')
  const hf = holdfast(dir)
  const bin = join(dir, 'bin')
  mkdirSync(bin)
  const fake = (name: string, text: string): void => {
    writeFileSync(join(bin, name), `#!/bin/sh\n${text}\n`)
    chmodSync(join(bin, name), 0o755)
  }
  const real = '/usr/lib/postgresql/15/bin'
  for (const name of ['psql', 'pg_dumpall', 'pg_restore']) fake(name, `exec ${real}/${name} "$@"`)
  writeFileSync(
    join(dir, 'holdfast.yaml'),
    `vaults: { v: { storage: ./vault, format: archive } }
jobs: { shop: { source: { type: postgres, host: 127.0.0.1, port: ${server.port}, user: admin, password: ${PASSWORD}, databases: [shop], programs: ${bin}, idleTimeout: 2s }, vaults: [v] } }
`,
    { mode: 0o600 },
  )
  const version = `if [ "$1" = --version ]; then exec ${real}/pg_dump --version; fi`
  for (const [what, message] of [
    [`${real}/pg_dump "$@" | head -c 100000; exit 1`, /exit code 1/],
    [`${real}/pg_dump "$@" | head -c 100000; kill -9 $$`, /SIGKILL/],
    ['exit 0', /not a PostgreSQL dump/],
    ['printf PGDMP; sleep 100', /said nothing/],
  ] as const) {
    fake('pg_dump', `${version}\n${what}`)
    const ended = await hf.run(['backup'])
    assert.equal(ended.code, 14, `${what}: ${ended.stderr}`)
    assert.match(ended.stderr, message)
  }
  fake('pg_dump', 'echo "pg_dump (PostgreSQL) 14.2"')
  assert.match((await hf.run(['backup'])).stderr, /server is PostgreSQL 15.*only pg_dump 14/)
  assert.equal((await hf.run(['list', '--json'])).stdout.trim(), '[]')
  fake('pg_dump', `exec ${real}/pg_dump "$@"`)
  const good = await hf.run(['backup', '--json'])
  assert.equal(summary(good.stdout)['status'], 'success', good.stderr)
})
