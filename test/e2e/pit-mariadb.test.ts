import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { literalSecret } from '../../src/model/secret.ts'
import { connect, serverOf } from '../../src/sources/mysql/server.ts'
import type { Connection } from '../../src/sources/mysql/connection.ts'
import { noMariadb, PASSWORD, startMariadb, type MariadbServer } from '../servers/mariadb.ts'
import { holdfast, scratch, type Holdfast } from '../support/holdfast.ts'
import { peakMemory } from '../support/peak-memory.ts'
import { pause, startLane, timelineOf, until } from '../support/pit.ts'
import { expectedAt, startWriter, timesWithin } from '../support/writer.ts'

const skip = noMariadb ?? false
let server: MariadbServer
before(async () => {
  if (noMariadb === undefined) server = await startMariadb()
})
after(async () => server?.stop())

const env = { HOLDFAST_DB_PASSWORD: PASSWORD }

async function connection(): Promise<Connection> {
  return connect(
    await serverOf({ host: '127.0.0.1', port: server.port, user: 'admin', password: literalSecret(PASSWORD, 'test') }),
  )
}

function configure(hf: Holdfast, database = 'shop'): void {
  writeFileSync(
    join(hf.dir, 'holdfast.yaml'),
    `vaults: { v: { storage: ./vault, format: archive, encryption: { type: aes-256-gcm, key: '0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef' } } }
server: { dataDir: ./data }
jobs: { shop: { source: { type: mysql, binlog: true, host: 127.0.0.1, port: ${server.port}, user: admin, password: ${PASSWORD}, databases: [${database}] }, vaults: [v] } }
`,
    { mode: 0o600 },
  )
}

test(
  'driver:mariadb: every second and every GTID is restored exactly while a writer commits, also over kills of the lane',
  { skip },
  async (t) => {
    const hf = holdfast(scratch(t, 'pit'))
    configure(hf)
    server.sql(
      'mysql',
      `create database shop; create database other; create table other.noise (i int);
       create table shop.t (id int primary key, pad text) engine=innodb; create table shop.gone (i int) engine=innodb;
       insert into shop.gone select seq from seq_1_to_5000;`,
    )
    let lane = await startLane(hf, 'shop')
    t.after(() => lane.child.kill('SIGKILL'))
    await using wire = await connection()
    const gtids = new Map<number, string>()
    const writer = startWriter(async (id) => {
      if (id % 3 === 0) await wire.run(`insert into other.noise values (${id})`)
      // Rows and statements, with bytes that need care.
      await wire.run('begin')
      await wire.run(`insert into shop.t values (${id}, concat('a\\\\\\'b', char(10), unhex('e282ac'), uuid()))`)
      await wire.run('commit')
      const [[gtid = ''] = []] = await wire.query('select @@last_gtid')
      gtids.set(id, gtid)
    }, 25)
    await until('a first window', async () => (await timelineOf(hf, 'shop')).windows.length === 1)
    for (let kills = 0; kills < 2; kills += 1) {
      await pause(1200)
      lane.child.kill('SIGKILL')
      await lane.ended
      lane = await startLane(hf, 'shop')
    }
    await pause(1500)
    server.sql('shop', "set session binlog_format = 'ROW'; delete from gone where i <= 4000")
    server.sql('shop', 'truncate table gone')
    server.sql(
      'shop',
      "create table later (i int); drop table gone; create user 'x'@'%'; grant select on shop.* to 'x'@'%'",
    )
    await pause(2500)
    const rows = await writer.stop()
    const last = rows.at(-1)?.after ?? 0
    await until('the end', async () => Date.parse((await timelineOf(hf, 'shop')).windows.at(-1)?.to ?? '') > last)
    const shown = await timelineOf(hf, 'shop')
    assert.equal(shown.windows.length, 1, 'kills make no gap')
    const kinds = shown.events.map(({ kind, what }) => `${kind} ${what}`)
    assert.deepEqual(kinds, ['delete shop.gone', 'truncate shop.gone', 'drop shop.gone'])

    const restore = async (to: string, ...args: string[]) =>
      hf.run(
        [
          'restore',
          ...args,
          '--db',
          'mysql',
          '--host',
          '127.0.0.1',
          '--port',
          String(server.port),
          '--user',
          'admin',
          '--database',
          to,
        ],
        { env },
      )
    const counted = (database: string): [number, number] => {
      const [count = 0, most = 0] = server
        .sql(database, 'select count(*), coalesce(max(id), 0) from t')
        .split('\t')
        .map(Number)
      server.sql('mysql', `drop database ${database}`)
      return [count, most]
    }
    const from = Math.ceil(Date.parse(shown.windows[0]?.from ?? '') / 1000) * 1000
    // What is dropped by its database's name is not followed into a copy of another one.
    const end = Date.parse(shown.events[0]?.time ?? '') - 1000
    const times = timesWithin(from, end, 12)
    for (const time of times) {
      const second = new Date(Math.max(from, Math.floor(time.getTime() / 1000) * 1000))
      const done = await restore('copy', '--at', second.toISOString())
      assert.equal(done.code, 0, done.stderr)
      const [count, most] = counted('copy')
      const { least, most: limit } = expectedAt(rows, second.getTime())
      assert.equal(count, most, 'no row is missing in between')
      assert.ok(
        count >= least && count <= limit,
        `${second.toISOString()}: ${count} rows, ${least} to ${limit} expected`,
      )
    }
    const inWindow = rows.filter(({ before: at, after: done }) => at > from && done < end)
    for (const time of timesWithin(0, inWindow.length - 1, 8, 7)) {
      const { id } = inWindow[time.getTime()] ?? { id: 0 }
      const done = await restore('copy', '--at', gtids.get(id) ?? '')
      assert.equal(done.code, 0, done.stderr)
      assert.deepEqual(counted('copy'), [id, id])
    }

    // Dropping names the database: that would not go to a copy of another name.
    const [first, , third] = shown.events
    const evil = await restore('evil', '--before', first?.id ?? '')
    assert.equal(evil.code, 0, evil.stderr)
    assert.equal(server.sql('evil', 'select count(*) from gone'), '5000')
    const dropped = await restore('dropped', '--before', third?.id ?? '')
    assert.equal(dropped.code, 0, dropped.stderr)
    assert.equal(server.sql('dropped', 'select count(*) from gone'), '0')
    // The moment is proved on a server of its own, with what was asked there.
    const proved = await hf.run(
      ['verify', 'shop', '--before', first?.id ?? '', '--level', 'V5', '--assert', 'select count(*) = 5000 from gone'],
      { env },
    )
    assert.equal(proved.code, 0, proved.stdout + proved.stderr)
    assert.match(proved.stdout, /tables are sound \(CHECK TABLE\)/)
    assert.match((await hf.run(['timeline', 'shop'])).stdout, /just before .* was proved to V5 at/)
    server.sql('mysql', 'rename table shop.t to other.t_of_shop')
    const all = server.sql(
      'other',
      'select count(*), md5(group_concat(id, pad order by id)) from t_of_shop where id <= 50',
    )
    const latest = await restore('latest', '--at', gtids.get(rows.at(-1)?.id ?? 0) ?? '')
    assert.equal(latest.code, 0, latest.stderr)
    assert.match(latest.stdout, /statements about users/)
    assert.equal(
      server.sql('latest', 'select count(*), md5(group_concat(id, pad order by id)) from t where id <= 50'),
      all,
    )
    assert.equal(server.sql('latest', 'select count(*) from t'), String(rows.length))

    for (const at of ['2020-01-01T00:00:00Z', '2100-01-01T00:00:00Z', '0-7-999999999', '9-9-9']) {
      const refused = await restore('never', '--at', at)
      assert.equal(refused.code, 10, `${at}: ${refused.stderr}`)
    }
    assert.equal(
      server.sql('mysql', "select count(*) from information_schema.schemata where schema_name = 'never'"),
      '0',
    )

    // A log that begins anew is a gap, and never taken for the old one.
    lane.child.kill('SIGKILL')
    await lane.ended
    server.sql(
      'mysql',
      'reset master; create table other.more (i int); insert into other.more select seq from seq_1_to_10',
    )
    lane = await startLane(hf, 'shop')
    await until('a second window', async () => (await timelineOf(hf, 'shop')).windows.length === 2)
    assert.equal((await timelineOf(hf, 'shop')).gaps.length, 1)
    lane.child.kill('SIGTERM')
    const ended = await lane.ended
    assert.equal(ended.code, 0, ended.stderr)
    assert.match(ended.stderr, /points in time have a gap/)
  },
)

test(
  'driver:mariadb: a transaction much longer than the memory that it may take is stored and restored',
  { skip },
  async (t) => {
    const hf = holdfast(scratch(t, 'pit-long'))
    configure(hf, 'long')
    server.sql(
      'mysql',
      'create database `long`; create table `long`.t (id int primary key, pad longtext) engine=innodb',
    )
    const lane = await startLane(hf, 'shop')
    t.after(() => lane.child.kill('SIGKILL'))
    await until('a first window', async () => (await timelineOf(hf, 'shop')).windows.length === 1)
    const ofLane = peakMemory(lane.child)
    // 192 MiB in one transaction.
    server.sql(
      'long',
      "set session binlog_format = 'ROW'; insert into t select seq, repeat(md5(seq), 32768) from seq_1_to_192",
    )
    const gtid = server.sql('mysql', 'select @@gtid_binlog_pos')
    const written = Date.now() + 1000
    await until('it', async () => Date.parse((await timelineOf(hf, 'shop')).windows[0]?.to ?? '') > written, 120_000)
    assert.ok((ofLane() ?? 0) < 450, `the lane took ${ofLane()} MiB`)
    lane.child.kill('SIGTERM')
    assert.equal((await lane.ended).code, 0)
    assert.equal((await timelineOf(hf, 'shop')).gaps.length, 0)
    const args = ['restore', '--db', 'mysql', '--host', '127.0.0.1', '--port', String(server.port), '--user', 'admin']
    const restore = hf.start([...args, '--database', 'long2', '--at', gtid], { env })
    const ofRestore = peakMemory(restore.child)
    const { code, stderr } = await restore.ended
    assert.equal(code, 0, stderr)
    assert.ok((ofRestore() ?? 0) < 450, `the restore took ${ofRestore()} MiB`)
    const sum = (database: string): string => server.sql(database, 'checksum table t').split('\t')[1] ?? ''
    assert.equal(sum('long2'), sum('long'))
    server.sql('mysql', 'drop database `long`; drop database long2')
  },
)
