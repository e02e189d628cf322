import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  appendFileSync,
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
  existsSync,
} from 'node:fs'
import { join } from 'node:path'
import { after, before, test, type TestContext } from 'node:test'
import { clusterReplay } from '../../src/sources/postgres/cluster-replay.ts'
import { planPoint, readPlan, type Asked } from '../../src/operations/restore-point.ts'
import { openWire, type Wire } from '../../src/sources/postgres/wire.ts'
import { createApp } from '../../src/app.ts'
import { loadConfig } from '../../src/config/load.ts'
import { parseStorageUrl } from '../../src/storage/open.ts'
import { noPostgres, PASSWORD, startPostgres, type PostgresServer } from '../servers/postgres.ts'
import { holdfast, scratch, summary, type Holdfast } from '../support/holdfast.ts'
import { pause, startLane, timelineOf, until } from '../support/pit.ts'
import { expectedAt, startWriter, timesWithin } from '../support/writer.ts'

const skip = noPostgres ?? false
let server: PostgresServer
before(async () => {
  if (noPostgres === undefined) server = await startPostgres()
})
after(async () => server?.stop())

const BIN = '/usr/lib/postgresql/15/bin'
const nobody = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {}
async function wireTo({ port }: PostgresServer, database = 'postgres'): Promise<Wire> {
  const env = { PGHOST: '127.0.0.1', PGPORT: String(port), PGUSER: 'admin', PGPASSWORD: PASSWORD }
  return openWire({ name: 'test', env }, { replication: false, database, idleMs: 60_000 })
}

function configure(hf: Holdfast, { port }: PostgresServer, more = ''): void {
  writeFileSync(
    join(hf.dir, 'holdfast.yaml'),
    `vaults: { v: { storage: ./vault, format: archive } }
server: { dataDir: ./data }
jobs: { shop: { source: { type: postgres, method: physical, host: 127.0.0.1, port: ${port}, user: admin, password: ${PASSWORD} ${more} }, vaults: [v] } }
`,
    { mode: 0o600 },
  )
}

interface Copy {
  sql(text: string): string
  start(settings?: string[]): void
  stop(): void
}

function copyOf(folder: string, bin = BIN): Copy {
  const env = { PATH: process.env['PATH'], LC_ALL: 'C.UTF-8' }
  const sockets = join(folder, '..')
  const ctl = (...args: string[]): void => {
    execFileSync(join(bin, 'pg_ctl'), ['-D', folder, '-l', join(sockets, 'log'), ...args], {
      ...nobody,
      env,
      stdio: 'ignore',
    })
  }
  return {
    start(settings = []) {
      const all = [
        'listen_addresses=',
        `unix_socket_directories=${sockets}`,
        'port=5999',
        'fsync=off',
        'ssl=off',
        ...settings,
      ]
      ctl('-w', '-t', '30', '-o', all.map((one) => `-c ${one}`).join(' '), 'start')
    },
    stop: () => ctl('-m', 'immediate', 'stop'),
    sql: (text) =>
      execFileSync(
        join(bin, 'psql'),
        ['-XAtq', '-h', sockets, '-p', '5999', '-U', 'admin', '-d', 'postgres', '-c', text],
        {
          encoding: 'utf8',
          env: { ...env, PGPASSWORD: PASSWORD },
          // A copy that is kept at a moment may hold locks.
          timeout: 30_000,
        },
      ).trim(),
  }
}

/** What was committed until now is in the vault. */
async function untilStored(hf: Holdfast): Promise<void> {
  const now = Date.now()
  await until('what was committed', async () => Date.parse((await timeline(hf)).windows.at(-1)?.to ?? '') > now)
}

/** A folder that the server's user may work in. */
function place(dir: string, name: string): string {
  chmodSync(dir, 0o755)
  const folder = join(dir, name)
  mkdirSync(folder)
  if (nobody.uid !== undefined) chownSync(folder, nobody.uid, nobody.gid)
  return folder
}

/** The folder is gone by the time that the test ends. */
function killAfter(t: TestContext, folder: string): void {
  const pid = Number(readFileSync(join(folder, 'postmaster.pid'), 'utf8').split('\n')[0])
  t.after(() => {
    try {
      process.kill(pid, 'SIGQUIT')
    } catch (error) {
      // A server whose folder is gone ends by itself.
      if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error
    }
  })
}

const timeline = async (hf: Holdfast) => timelineOf(hf, 'shop')

test(
  'driver:postgres: every moment is restored exactly while a writer commits, also over kills of the lane',
  { skip },
  async (t) => {
    const hf = holdfast(scratch(t, 'pit'))
    configure(hf, server)
    await using wire = await wireTo(server)
    await wire.query(
      'create table t (id int primary key); create table gone (i int); insert into gone select generate_series(1, 5000)',
    )
    let lane = await startLane(hf, 'shop')
    t.after(() => lane.child.kill('SIGKILL'))
    const writer = startWriter(async (id) => void (await wire.query(`insert into t values (${id})`)))
    await until('a first window', async () => (await timeline(hf)).windows.length === 1)
    for (let kills = 0; kills < 3; kills += 1) {
      await pause(900)
      lane.child.kill('SIGKILL')
      await lane.ended
      await pause(200)
      lane = await startLane(hf, 'shop')
    }
    // Names of tables are learnt while it follows: what happens before is told without them, or not at all.
    const back = Date.now()
    await until('the lane again', async () => Date.parse((await timeline(hf)).windows.at(-1)?.to ?? '') > back)
    await using other = await wireTo(server)
    await other.query("select pg_create_restore_point('before the evil'); delete from gone where i <= 4000")
    await pause(600)
    await other.query('truncate gone')
    await pause(600)
    // Its commit is in the log before others see it: here until it need not wait for a standby that is not there.
    const standbys = async (names: string): Promise<void> => {
      server.sql('postgres', `alter system set synchronous_standby_names = '${names}'`)
      server.sql('postgres', 'select pg_reload_conf()')
      await pause(200)
    }
    await standbys('nobody')
    const dropping = other.query('drop table gone')
    await pause(300)
    await standbys('')
    await dropping
    await pause(1500)
    const rows = await writer.stop()
    const last = rows.at(-1)?.after ?? 0
    await until('the end', async () => Date.parse((await timeline(hf)).windows.at(-1)?.to ?? '') > last)

    const shown = await timeline(hf)
    assert.equal(shown.windows.length, 1, 'kills make no gap')
    assert.deepEqual(shown.gaps, [])
    const [window] = shown.windows
    const from = Date.parse(window?.from ?? '')
    assert.ok((window?.backups.length ?? 0) >= 1)

    const kinds = shown.events.map(({ kind, what, rows: lost }) => `${kind} ${what} ${lost ?? ''}`.trim())
    assert.deepEqual(kinds, ['delete public.gone 4000', 'truncate public.gone', 'drop public.gone'])

    // One copy from the oldest moment on, which is brought forward from one moment to the next.
    const folder = place(hf.dir, 'copy')
    const data = join(folder, 'data')
    const times = timesWithin(from, last, 20)
    const first = await hf.run(['restore', '--at', (times[0] as Date).toISOString(), '--to', data, '--json'])
    assert.equal(first.code, 0, first.stderr)
    assert.ok(Number(summary(first.stdout)['transactions']) >= 0)
    const copy = copyOf(data)
    const loaded = await loadConfig({ cwd: hf.dir, env: {}, parseStorageUrl })
    await using app = createApp(loaded.settings, { silent: true })
    const vault = await app.vault(join(hf.dir, 'vault'))
    const conf = join(data, 'postgresql.auto.conf')
    const bare = readFileSync(conf, 'utf8').replace(/\n# Written by holdfast[^]*$/, '\n')
    /** Brings a copy that stands at a moment before to another one, and keeps it there. */
    const forward = async (asked: Asked): Promise<void> => {
      // The log of all moments lies in its folder.
      const plan = await planPoint(vault, 'shop', asked)
      writeFileSync(conf, bare)
      await clusterReplay({
        folder: data,
        segmentSize: 16 * 1024 ** 2,
        ...(nobody.uid !== undefined && { owner: nobody }),
      }).run(readPlan(vault, plan), { base: plan.base?.lane, point: plan.point, until: plan.chain.until })
      writeFileSync(conf, readFileSync(conf, 'utf8').replace("action = 'promote'", "action = 'pause'"))
      copy.start()
      await until('the point', async () => copy.sql('select pg_get_wal_replay_pause_state()') === 'paused')
    }
    const moments: { at: number; asked: Asked; shows: () => void }[] = times.map((time) => ({
      at: time.getTime(),
      asked: { kind: 'point', text: time.toISOString() },
      shows() {
        const [count = 0, most = 0] = copy.sql('select count(*), coalesce(max(id), 0) from t').split('|').map(Number)
        const { least, most: limit } = expectedAt(rows, time.getTime())
        assert.equal(count, most, 'no row is missing in between')
        assert.ok(
          count >= least && count <= limit,
          `${time.toISOString()}: ${count} rows, ${least} to ${limit} expected`,
        )
      },
    }))
    // What is dropped next is locked there: whoever asks for it waits. So the moment before that is asked below.
    const [deleted] = shown.events
    moments.push({
      at: Date.parse(deleted?.time ?? '') - 0.5,
      asked: { kind: 'point', text: 'before the evil' },
      shows: () => assert.equal(copy.sql('select count(*) from gone'), '5000'),
    })
    for (const { asked, shows } of moments.sort((a, b) => a.at - b.at)) {
      await forward(asked)
      shows()
      copy.stop()
    }

    const restored = async (name: string, ...args: string[]): Promise<Copy> => {
      const to = join(place(hf.dir, name), 'data')
      const done = await hf.run(['restore', ...args, '--to', to])
      assert.equal(done.code, 0, done.stderr)
      const one = copyOf(to)
      one.start()
      await until('promotion', async () => one.sql('select pg_is_in_recovery()') === 'f')
      return one
    }
    const evil = await restored('evil', '--before', shown.events[0]?.id ?? '')
    assert.equal(evil.sql('select count(*) from gone'), '5000')
    evil.stop()
    const named = await restored('named', '--at', 'name:before the evil')
    assert.equal(named.sql('select count(*) from gone'), '5000')
    named.stop()
    const dropped = await restored('dropped', '--before', shown.events[2]?.id ?? '')
    assert.equal(dropped.sql('select count(*) from gone'), '0')
    dropped.stop()
    const latest = await restored('latest', '--at', 'latest')
    assert.equal(latest.sql('select count(*) from t'), String(rows.length))
    assert.equal(latest.sql("select to_regclass('gone') is null"), 't')
    assert.equal(latest.sql('insert into t values (-1) returning id'), '-1', 'it is open for writing')
    latest.stop()

    // A moment is proved in a cluster of its own, with what was asked there; that is noted in the vault.
    const prove = async (count: number, ...args: string[]) =>
      hf.run(['verify', 'shop', ...args, '--level', 'V5', '--assert', `select count(*) = ${count} from t`, '--json'])
    const proved = await prove(rows.length, '--at', 'latest')
    assert.equal(proved.code, 0, proved.stdout + proved.stderr)
    const told = JSON.parse(proved.stdout) as { level: string; checks: { level: string }[]; transactions: number }
    assert.deepEqual([told.level, told.checks.length], ['V5', 7])
    assert.ok(told.transactions >= rows.length / 2)
    assert.match((await hf.run(['timeline', 'shop'])).stdout, /the end of the log was proved to V5 at/)
    const [base] = await hf.json<{ proof: { level: string } }[]>(['list', '--json'])
    assert.equal(base?.proof.level, 'V5')
    assert.equal((await prove(-1, '--before', shown.events[0]?.id ?? '')).code, 4)

    // A log that is not whole is no end of the log: the server does not start, rather than stop too early.
    const holed = join(place(hf.dir, 'holed'), 'data')
    assert.equal((await hf.run(['restore', '--at', 'latest', '--to', holed])).code, 0)
    for (const name of readdirSync(join(holed, 'holdfast_wal'))) rmSync(join(holed, 'holdfast_wal', name))
    const refusing = copyOf(holed)
    try {
      refusing.start()
    } catch {
      // It may end before it is ready, or right after.
    }
    await until('its refusal', async () =>
      readFileSync(join(holed, '../log'), 'utf8').includes(
        'recovery ended before configured recovery target was reached',
      ),
    )

    // A copy in another vault comes forward to the same moments.
    const copied = await hf.run(['copy', '--all', '--vault', 'v', '--to', './second'])
    assert.equal(copied.code, 0, copied.stderr)
    const moved = join(place(hf.dir, 'moved'), 'data')
    const before = ['restore', '--vault', './second', '--before', shown.events[0]?.id ?? '', '--to', moved]
    const done = await hf.run(before)
    assert.equal(done.code, 0, done.stderr)
    const second = copyOf(moved)
    second.start()
    await until('promotion', async () => second.sql('select pg_is_in_recovery()') === 'f')
    assert.equal(second.sql('select count(*) from gone'), '5000')
    second.stop()

    // What cannot be reached is refused before anything is written.
    for (const at of ['2020-01-01T00:00:00Z', '2100-01-01T00:00:00Z', '0/1', 'FF/0', 'xid:1', 'name:nothing']) {
      const refused = await hf.run(['restore', '--at', at, '--to', join(hf.dir, `refused-${at.replaceAll(/\W/g, '')}`)])
      assert.equal(refused.code, 10, `${at}: ${refused.stderr}`)
      assert.match(refused.stderr, /restore.unreachable/)
      assert.ok(!existsSync(join(hf.dir, `refused-${at.replaceAll(/\W/g, '')}`)), `${at}: nothing was written`)
    }

    // Retention keeps the log from the oldest kept backup on.
    assert.equal((await hf.run(['backup', 'shop', '--type', 'full'])).code, 0)
    await until('a second base', async () => ((await timeline(hf)).windows.at(-1)?.backups.length ?? 0) > 1)
    const pruned = await hf.run(['prune', 'shop', '--keep-last', '1', '--vault', 'v', '--json'])
    assert.equal(pruned.code, 0, pruned.stderr)
    const left = await timeline(hf)
    assert.equal(left.windows.length, 1)
    assert.ok(Date.parse(left.windows[0]?.from ?? '') > last)
    const again = await restored('again', '--at', 'latest')
    assert.equal(again.sql('select count(*) from t'), String(rows.length))
    again.stop()

    lane.child.kill('SIGTERM')
    assert.equal((await lane.ended).code, 0)
    const slots = 'select count(*) from pg_replication_slots'
    assert.equal(server.sql('postgres', slots), '1')
    assert.match((await hf.run(['lane', 'shop', '--drop', '--dry-run'])).stdout, /would remove the replication slot/)
    assert.match((await hf.run(['lane', 'shop', '--drop'])).stdout, /removed the replication slot holdfast_shop/)
    assert.equal(server.sql('postgres', slots), '0')
  },
)

test('driver:postgres: the log goes on over a failover to a standby, and onto its timeline', { skip }, async (t) => {
  const hf = holdfast(scratch(t, 'pit'))
  configure(hf, server)
  await using wire = await wireTo(server)
  await wire.query('create table f (id int primary key); insert into f select generate_series(1, 100)')
  let lane = await startLane(hf, 'shop')
  t.after(() => lane.child.kill('SIGKILL'))
  await until('a first window', async () => (await timeline(hf)).windows.length === 1)

  const standby = join(place(hf.dir, 'standby'), 'data')
  assert.equal((await hf.run(['restore', 'latest', '--to', standby])).code, 0)
  writeFileSync(join(standby, 'standby.signal'), '')
  appendFileSync(
    join(standby, 'postgresql.auto.conf'),
    `primary_conninfo = 'host=127.0.0.1 port=${server.port} user=admin password=${PASSWORD}'\n`,
  )
  const second = copyOf(standby)
  second.start()
  killAfter(t, standby)
  await wire.query('insert into f select generate_series(101, 200)')
  await untilStored(hf)
  lane.child.kill('SIGTERM')
  await lane.ended
  const [[[now = ''] = []] = []] = await wire.query('select pg_current_wal_lsn()')
  await until('the standby', async () => second.sql(`select pg_last_wal_replay_lsn() >= '${now}'`) === 't')
  second.sql('select pg_promote()')
  await until('the promotion', async () => second.sql('select pg_is_in_recovery()') === 'f')
  second.sql('insert into f select generate_series(201, 300)')

  // The socket of the copy is what it listens on beside; the job is told of the new server.
  writeFileSync(
    join(hf.dir, 'holdfast.yaml'),
    `vaults: { v: { storage: ./vault, format: archive } }
server: { dataDir: ./data }
jobs: { shop: { source: { type: postgres, method: physical, host: ${join(standby, '..')}, port: 5999, user: admin, password: ${PASSWORD} }, vaults: [v] } }
`,
  )
  lane = await startLane(hf, 'shop')
  const since = Date.now()
  await until(
    'the lane on the new server',
    async () => Date.parse((await timeline(hf)).windows.at(-1)?.to ?? '') > since,
  )
  second.sql('insert into f select generate_series(301, 400)')
  await untilStored(hf)
  const shown = await timeline(hf)
  assert.equal(shown.windows.length, 1, JSON.stringify(shown))
  lane.child.kill('SIGTERM')
  const ended = await lane.ended
  assert.doesNotMatch(ended.stderr, /gap/)

  const to = join(place(hf.dir, 'after'), 'data')
  const done = await hf.run(['restore', '--at', 'latest', '--to', to])
  assert.equal(done.code, 0, done.stderr)
  const copy = copyOf(to)
  copy.start()
  killAfter(t, to)
  await until('the end of the log', async () => copy.sql('select pg_is_in_recovery()') === 'f')
  assert.equal(copy.sql('select count(*), max(id) from f'), '400|400')
  assert.equal(copy.sql('select timeline_id from pg_control_checkpoint()') >= '2', true)

  // The old server went on after the new one had left it: what it has now is another history.
  configure(hf, server)
  await wire.query('insert into f select generate_series(1001, 1100)')
  lane = await startLane(hf, 'shop')
  await until('a gap', async () => (await timeline(hf)).windows.length === 2)
  lane.child.kill('SIGTERM')
  assert.match((await lane.ended).stderr, /points in time have a gap/)
})

test('driver:postgres: a cluster with tablespaces is restored beside, proved, and started', { skip }, async (t) => {
  const dir = scratch(t, 'pit')
  chmodSync(dir, 0o711)
  const hf = holdfast(dir)
  configure(hf, server)
  const space = place(dir, 'space')
  server.sql('postgres', `create tablespace far location '${space}'`)
  server.sql('postgres', 'create table away (i int, pad text) tablespace far')
  server.sql('postgres', 'insert into away select i, repeat(md5(i::text), 40) from generate_series(1, 3000) i')
  const backup = await hf.run(['backup', 'shop', '--json'])
  assert.equal(backup.code, 0, backup.stderr)
  // Pieces that are shared come out of order.
  const again = summary((await hf.run(['backup', 'shop', '--type', 'incremental', '--json'])).stdout)
  assert.ok(Number(again['data_added']) < Number(again['total_bytes_processed']) / 2, JSON.stringify(again))
  const proof = await hf.run([
    'verify',
    'latest',
    '--level',
    'V5',
    '--scratch',
    dir,
    '--assert',
    'select count(*) = 3000 from away',
    '--json',
  ])
  assert.equal(proof.code, 0, proof.stdout + proof.stderr)

  const to = join(place(dir, 'copy'), 'data')
  const there = place(dir, 'there')
  const oid = server.sql('postgres', "select oid from pg_tablespace where spcname = 'far'")
  const done = await hf.run(['restore', 'latest', '--to', to, '--tablespace', `${oid}=${there}`])
  assert.equal(done.code, 0, done.stderr)
  assert.match((await hf.run(['restore', 'latest', '--to', to])).stderr, /restore.exists/)
  const copy = copyOf(to)
  copy.start()
  killAfter(t, to)
  assert.equal(
    copy.sql("select count(*), pg_tablespace_location(max(reltablespace)) from away, pg_class where relname = 'away'"),
    `3000|${there}`,
  )
  server.sql('postgres', 'drop table away')
  server.sql('postgres', 'drop tablespace far')
})
