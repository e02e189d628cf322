/** Logs of databases, brought out by the script that each vault carries and replayed by the database's own tools. */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { appendFileSync, chmodSync, cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { noMariadb, startMariadb, PASSWORD as MARIADB_PASSWORD } from '../servers/mariadb.ts'
import { noPostgres, PASSWORD, startPostgres } from '../servers/postgres.ts'
import { holdfast, scratch, type Holdfast } from '../support/holdfast.ts'
import { startLane, timelineOf, until } from '../support/pit.ts'

const KEY = 'ab'.repeat(32)

/** A vault with a log, once everything that was written by then is in it. */
async function followed(hf: Holdfast, source: string, work: () => void): Promise<string> {
  writeFileSync(
    join(hf.dir, 'holdfast.yaml'),
    `vaults: { v: { storage: ./vault, format: archive, encryption: { type: aes-256-gcm, key: ${KEY} } } }
server: { dataDir: ./data }
jobs: { shop: { source: ${source}, vaults: [v] } }
`,
    { mode: 0o600 },
  )
  const lane = await startLane(hf, 'shop')
  await until('a first window', async () => (await timelineOf(hf, 'shop')).windows.length === 1)
  work()
  const wrote = Date.now()
  await until('the end', async () => Date.parse((await timelineOf(hf, 'shop')).windows.at(-1)?.to ?? '') > wrote)
  lane.child.kill('SIGTERM')
  assert.equal((await lane.ended).code, 0)
  // Nothing of the project is there.
  const alone = join(hf.dir, 'alone')
  cpSync(join(hf.dir, 'vault'), alone, { recursive: true })
  return alone
}

function recover(vault: string, ...args: string[]): string {
  const done = spawnSync(process.execPath, [join(vault, 'restore.mjs'), ...args], {
    cwd: vault,
    encoding: 'utf8',
    env: { HOLDFAST_PASSWORD: KEY },
  })
  assert.equal(done.status, 0, done.stderr)
  return done.stdout
}

const manifestOf = (vault: string): string => {
  const found = readdirSync(vault, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.manifest.json'),
  )
  return join(vault, found.sort().at(-1) ?? '')
}
const onlyFolder = (folder: string): string => join(folder, readdirSync(folder)[0] ?? '')

test('SQLite: the script alone gives the database as of the end of its log, and as of a moment', async (t) => {
  const hf = holdfast(scratch(t, 'recovery'))
  const file = join(hf.dir, 'shop.db')
  using database = new DatabaseSync(file)
  database.exec('pragma journal_mode = wal; create table t (i integer primary key, pad text)')
  let between = ''
  const vault = await followed(hf, `{ type: sqlite, file: ${file} }`, () => {
    database.exec(
      'insert into t with recursive c (n) as (select 1 union all select n + 1 from c where n < 500) select n, hex(randomblob(200)) from c',
    )
    execFileSync('sleep', ['1.5'])
    between = new Date().toISOString()
    execFileSync('sleep', ['1.5'])
    database.exec('delete from t where i > 100')
  })
  for (const [args, count] of [
    [['--log', 'shop', join(hf.dir, 'end')], 100],
    [['--log', 'shop', join(hf.dir, 'moment'), between], 500],
  ] as const) {
    assert.match(recover(vault, ...args), /the log from .* to .*, known until 20/)
    using copy = new DatabaseSync(join(onlyFolder(args[2]), 'database.db'))
    assert.deepEqual(
      copy
        .prepare('pragma integrity_check')
        .all()
        .map((row) => Object.values(row)),
      [['ok']],
    )
    assert.equal(copy.prepare('select count(*) as n from t').get()?.['n'], count)
  }
})

test(
  'driver:postgres: the script brings out a cluster and its log, and PostgreSQL replays it',
  { skip: noPostgres ?? false },
  async (t) => {
    const hf = holdfast(scratch(t, 'recovery'))
    const server = await startPostgres()
    t.after(async () => server.stop())
    const vault = await followed(
      hf,
      `{ type: postgres, method: physical, host: 127.0.0.1, port: ${server.port}, user: admin, password: ${PASSWORD} }`,
      () => server.sql('postgres', 'create table t as select generate_series(1, 1234) i'),
    )
    // What RECOVERY.md says.
    recover(vault, manifestOf(vault), join(hf.dir, 'base'))
    assert.match(recover(vault, '--log', 'shop', join(hf.dir, 'log')), /known until/)
    const data = join(hf.dir, 'cluster')
    mkdirSync(data)
    execFileSync('sh', ['-c', `cat base/base.tar.d/* | tar -x -C cluster`], { cwd: hf.dir })
    writeFileSync(join(data, 'recovery.signal'), '')
    appendFileSync(
      join(data, 'postgresql.auto.conf'),
      `restore_command = 'cp ${onlyFolder(join(hf.dir, 'log'))}/%f %p'\n`,
    )
    chmodSync(hf.dir, 0o755)
    chmodSync(data, 0o700)
    const as = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {}
    if (as.uid !== undefined) execFileSync('chown', ['-R', '65534:65534', data, join(hf.dir, 'log')])
    const bin = '/usr/lib/postgresql/15/bin'
    const options = `-c listen_addresses= -c unix_socket_directories=${data} -c port=5999 -c ssl=off`
    const ctl = (...args: string[]) =>
      execFileSync(join(bin, 'pg_ctl'), ['-D', data, '-l', join(data, 'said'), ...args], {
        ...as,
        cwd: data,
        stdio: 'ignore',
      })
    ctl('-w', '-o', options, 'start')
    const pid = Number(readFileSync(join(data, 'postmaster.pid'), 'utf8').split('\n')[0])
    t.after(() => process.kill(pid, 'SIGQUIT'))
    const ask = (text: string): string =>
      execFileSync('psql', ['-XAtq', '-h', data, '-p', '5999', '-U', 'admin', '-d', 'postgres', '-c', text], {
        encoding: 'utf8',
        env: { ...process.env, PGPASSWORD: PASSWORD },
        timeout: 30_000,
      }).trim()
    await until('the end of the log', () => ask('select pg_is_in_recovery()') === 'f')
    assert.equal(ask('select count(*) from t'), '1234')
  },
)

test(
  'driver:mariadb: the script brings out a dump and its log, and mariadb-binlog replays it',
  { skip: noMariadb ?? false },
  async (t) => {
    const hf = holdfast(scratch(t, 'recovery'))
    const server = await startMariadb()
    t.after(async () => server.stop())
    server.sql(
      'mysql',
      'create database shop; create table shop.t (i int primary key); insert into shop.t values (1), (2)',
    )
    const vault = await followed(
      hf,
      `{ type: mysql, binlog: true, host: 127.0.0.1, port: ${server.port}, user: admin, password: ${MARIADB_PASSWORD}, databases: [shop] }`,
      () => server.sql('shop', 'insert into t select seq from seq_3_to_900; update t set i = -i where i = 5'),
    )
    recover(vault, manifestOf(vault), join(hf.dir, 'base'))
    recover(vault, '--log', 'shop', join(hf.dir, 'log'))
    const state = 'select count(*), sum(i), min(i) from t'
    const before = server.sql('shop', state)
    server.sql('mysql', 'drop database shop; create database shop')
    const dump = execFileSync('sh', ['-c', 'cat tables/*/table.sql tables/*/0*.sql'], {
      cwd: join(hf.dir, 'base/shop'),
    })
    server.sql('shop', dump.toString())
    assert.equal(server.sql('shop', 'select count(*) from t'), '2')
    const log = execFileSync(
      'sh',
      [
        '-c',
        `mariadb-binlog --start-position="$(sed -n 's/.*"gtid": "\\(.*\\)".*/\\1/p' base/shop/database.json)" --database=shop log/*/binlog`,
      ],
      { cwd: hf.dir, encoding: 'utf8' },
    )
    server.sql('mysql', log)
    assert.equal(server.sql('shop', state), before)
  },
)
