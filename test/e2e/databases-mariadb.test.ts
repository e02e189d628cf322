import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { mysqlTrial } from '../../src/sources/mysql/trial.ts'
import { noMariadb, PASSWORD, startMariadb, type MariadbServer } from '../servers/mariadb.ts'
import { TEST_CERTIFICATE } from '../support/localhost-certificate.ts'
import { dumpFolder } from '../support/dump-folder.ts'
import { holdfast, lines, scratch, summary, untilStored } from '../support/holdfast.ts'

const skip = noMariadb ?? false
let server: MariadbServer
const env = { MYSQL_PWD: PASSWORD, PATH: '/usr/bin:/bin:/usr/sbin' }
const at = (user = 'admin'): string[] => [
  '--db',
  'mariadb',
  '--host',
  '127.0.0.1',
  '--port',
  String(server.port),
  '--user',
  user,
]
const TABLES = ['customers', 'orders', 'odd `na/me.', 'empty_one', 'old_style', 'audit']
const checksums = (database: string): string =>
  TABLES.map((table) => server.sql(database, `checksum table \`${table.replaceAll('`', '``')}\``).split('\t')[1]).join(
    ' ',
  )

before(async () => {
  if (noMariadb !== undefined) return
  server = await startMariadb()
  server.sql('mysql', readFileSync(join(import.meta.dirname, '../servers/mariadb-shop.sql'), 'utf8'))
})
after(async () => server?.stop())

test(
  'driver:mariadb: a database comes back whole, renamed, and in part, with all that belongs to it',
  { skip },
  async (t) => {
    const hf = holdfast(scratch(t, 'mariadb'))
    const gtid = server.sql('mysql', 'select @@gtid_binlog_pos')
    const backup = await hf.run(['backup', ...at(), '--database', 'shop', '--out', './vault', '--json'], { env })
    assert.equal(backup.code, 0, backup.stderr)
    assert.ok(!(backup.stdout + backup.stderr).includes(PASSWORD))
    assert.match(
      backup.stdout + backup.stderr,
      /without transactions.*old_style \(MyISAM\)/,
      'what is not of the same moment is named',
    )
    const about = JSON.parse((await hf.run(['dump', 'latest', 'shop/database.json', '--vault', './vault'])).stdout)
    assert.equal(about.binlog.gtid, gtid)
    const tables = (await hf.run(['ls', 'latest', '--tables', '--vault', './vault'])).stdout
    assert.match(tables, /shop +customers +\d+ +[\d.]+ \w+\nshop +empty_one +0 +0 B\nshop +odd `na\/me\. +[1-9]/)

    const restore = ['restore', 'latest', '--vault', './vault', ...at(), '--database', 'copy']
    const plan = await hf.run([...restore, '--dry-run'], { env })
    assert.match(plan.stdout, /create +copy\/orders[\s\S]*6 create/)
    assert.equal(server.sql('mysql', "show databases like 'copy'"), '')
    const done = await hf.run(restore, { env })
    assert.equal(done.code, 0, done.stderr)
    assert.equal(checksums('copy'), checksums('shop'))
    assert.equal(server.sql('copy', 'select count(*) from v1'), '12000')
    assert.equal(server.sql('copy', 'select f(1); select nextval(ticket)'), '2\n1100')
    server.sql('copy', 'insert into empty_one values (1)')
    assert.equal(server.sql('copy', 'select * from audit'), 't1;\nt2', 'triggers, in their order')
    assert.match(server.sql('copy', 'show create table orders'), /CONSTRAINT `fk` FOREIGN KEY/)
    assert.match(server.sql('copy', 'show create event e'), /EVERY 1 DAY/)
    assert.match(server.sql('copy', 'show create procedure p'), /select ';;' ; select 'é'/)

    const again = await hf.run(restore, { env })
    assert.deepEqual([again.code, /restore.exists/.test(again.stderr)], [1, true])
    const swapped = await hf.run([...restore, '--overwrite', 'always'], { env })
    assert.equal(swapped.code, 0, swapped.stderr)
    assert.equal(server.sql('copy', 'select count(*) from empty_one'), '0')
    const old = server.sql('mysql', "show databases like 'copy_before_%'")
    assert.equal(server.sql(old, 'select count(*) from empty_one'), '1', 'what was replaced is kept')
    assert.match(server.sql(old, 'show create event e'), /DISABLE/, 'and does nothing by itself')

    server.sql('copy', 'delete from orders where id > 10')
    const single = [...restore, '--only', 'orders']
    assert.match((await hf.run(single, { env })).stderr, /has orders in copy already/)
    assert.equal((await hf.run([...single, '--overwrite', 'always'], { env })).code, 0)
    assert.equal(checksums('copy'), checksums('shop'))
    assert.match(
      (await hf.run([...restore, '--only', 'nothing_*'], { env })).stderr,
      /no table of shop is called nothing/,
    )
    assert.equal((await hf.run([...restore.slice(0, -1), 'part', '--only', 'o*', '--no-ownership'], { env })).code, 0)
    assert.equal(server.sql('part', 'show tables'), 'odd `na/me.\nold_style\norders')
    assert.equal(server.sql('mysql', "show databases like 'holdfast%'"), '')

    await hf.run(['restore', 'latest', '--vault', './vault', '--to', './files'])
    server.sql('mysql', 'create database stranger character set utf8mb4')
    const files = 'cat sequences.sql tables/*/table.sql tables/*/0*.sql objects.sql tables/*/triggers.sql'
    server.sql('stranger', execFileSync('sh', ['-c', files], { cwd: join(hf.dir, 'files/shop'), maxBuffer: 1e9 }))
    assert.equal(checksums('stranger'), checksums('shop'), 'without Holdfast too')
  },
)

test(
  'driver:mariadb: the proof restores to a server of its own, runs assertions, and leaves nothing',
  { skip },
  async (t) => {
    const dir = scratch(t, 'mariadb')
    const hf = holdfast(dir)
    writeFileSync(
      join(dir, 'holdfast.yaml'),
      `vaults: { v: { storage: ./vault, format: archive } }
jobs: { shop: { source: { type: mysql, host: 127.0.0.1, port: ${server.port}, user: admin, password: ${PASSWORD}, databases: [shop], hashes: true }, vaults: [v] } }
`,
      { mode: 0o600 },
    )
    server.sql(
      'shop',
      "alter table orders comment = 'told 4711'; create view picked as select id, concat(id, '!') as loud from customers where id <> 4711",
    )
    const backup = await hf.run(['backup', 'shop'])
    assert.equal(backup.code, 0, backup.stderr)
    const closed = await hf.run(['verify', 'latest', '--vault', './vault', '--level', 'V3', '--scratch', dir])
    assert.match(closed.stdout, /another user, who may not enter/)
    chmodSync(dir, 0o711)
    const verify = ['verify', 'latest', '--vault', './vault', '--level', 'V5', '--json', '--scratch', dir, '--assert']
    const good = await hf.run([...verify, 'select count(*) = 12000 from orders'], { env })
    assert.equal(good.code, 0, good.stdout + good.stderr)
    assert.match(
      good.stdout,
      /6 tables have the rows that they had in the snapshot; 5 of them the same values, by their hashes; \d+ parts of their schema are what they were/,
    )
    const bad = await hf.run([...verify, 'select count(*) = 1 from orders'], { env })
    assert.equal(bad.code, 4)
    assert.match(bad.stdout, /does not hold/)
    assert.deepEqual(
      readdirSync(dir).filter((name) => name.startsWith('holdfast-verify')),
      [],
    )

    await hf.run(['restore', 'latest', '--vault', './vault', '--to', './files'])
    const tried = async (change: (path: string, bytes: Buffer) => Buffer): Promise<string> => {
      const scratchDir = mkdtempSync(join(dir, 'trial-'))
      const open = dumpFolder(join(dir, 'files'), change)
      const [, content] = await mysqlTrial.run(open, { level: 'V4', assertions: [], scratchDir })
      assert.deepEqual([content?.level, content?.ok], ['V4', false])
      return content?.detail ?? ''
    }
    const changed = await tried((path, bytes) =>
      /customers\/0.*sql$/.test(path) ? Buffer.from(bytes.toString('latin1').replace(/'[a-z]/, "'Z"), 'latin1') : bytes,
    )
    assert.match(changed, /^shop: customers holds other values than in the snapshot/)
    const without = await tried((path, bytes) =>
      path.endsWith('schema.json') ? Buffer.from(bytes.toString().replace('orders.fk', 'orders.other_fk')) : bytes,
    )
    assert.match(without, /^shop: the schema is not what it was: .*orders\.other_fk is missing/)
    const replaced = async (file: RegExp): Promise<string> =>
      tried((path, bytes) =>
        file.test(path) ? Buffer.from(bytes.toString('latin1').replace('4711', '4712'), 'latin1') : bytes,
      )
    assert.match(await replaced(/objects\.sql$/), /view picked was .*4711.* and is .*4712/)
    assert.match(await replaced(/orders\/table\.sql$/), /comment table orders was "told 4711" and is "told 4712"/)
    server.sql('shop', "drop view picked; alter table orders comment = ''")
  },
)

test('driver:mariadb: several connections see one moment while others write', { skip }, async (t) => {
  const hf = holdfast(scratch(t, 'mariadb'))
  server.sql(
    'mysql',
    `create database busy; use busy; create table a (id bigint primary key auto_increment, pad char(200) default 'x'); create table z like a;
     insert into a (id) select seq from seq_1_to_60000; insert into z select * from a;`,
  )
  const writer = spawn(
    'mariadb',
    ['--no-defaults', '-h', '127.0.0.1', '-P', String(server.port), '-u', 'admin', 'busy'],
    {
      env,
      stdio: ['pipe', 'ignore', 'inherit'],
    },
  )
  writer.stdin.on('error', () => {})
  const pump = setInterval(() => {
    let text = ''
    for (let i = 0; i < 50; i += 1)
      text += 'start transaction; insert into a () values (); insert into z () values (); commit;\n'
    writer.stdin.write(text)
  }, 20)
  t.after(() => writer.kill())
  const backup = await hf.run(
    ['backup', ...at(), '--database', 'busy', '--parallel', '3', '--out', './vault', '--json'],
    { env },
  )
  clearInterval(pump)
  writer.stdin.end()
  await once(writer, 'exit')
  assert.equal(backup.code, 0, backup.stderr)
  const done = await hf.run(['restore', 'latest', '--vault', './vault', ...at(), '--database', 'calm'], { env })
  assert.equal(done.code, 0, done.stderr)
  const [a, z] = server.sql('calm', 'select max(id), count(*) from a; select max(id), count(*) from z').split('\n')
  assert.equal(a, z)
  assert.ok(Number(server.sql('busy', 'select count(*) from a')) > Number(a?.split('\t')[1]), 'others wrote meanwhile')
  const { binlog } = JSON.parse((await hf.run(['dump', 'latest', 'busy/database.json', '--vault', './vault'])).stdout)
  const rows = Number(a?.split('\t')[1])
  const sequence = Number(String(binlog.gtid).split('-')[2])
  const now = Number(server.sql('mysql', 'select @@gtid_binlog_pos').split('-')[2])
  const later = Number(server.sql('busy', 'select count(*) from a')) - rows
  assert.ok(later <= now - sequence, 'each row that is not in the backup comes after its position in the log')

  server.sql('busy', "update a set pad = 'changed' where id = 30000")
  const next = ['backup', ...at(), '--database', 'busy', '--out', './vault', '--type', 'incremental', '--json']
  await hf.run(next, { env })
  server.sql('busy', "update a set pad = 'again' where id = 30000")
  const small = summary((await hf.run(next, { env })).stdout)
  assert.ok(Number(small['data_added']) < Number(small['total_bytes_processed']) / 2, JSON.stringify(small))
})

test('driver:mariadb: TLS is checked as far as asked, and every way to log in works', { skip }, async (t) => {
  const dir = scratch(t, 'mariadb')
  const hf = holdfast(dir)
  const backup = async (args: string[], more: Record<string, string> = env) =>
    hf.run(['backup', ...at(), '--database', 'shop', '--table', 'empty_one', '--out', './vault', ...args], {
      env: more,
    })
  for (const args of [
    ['--tls', 'verify-full', '--ca', server.ca],
    ['--tls', 'verify-ca', '--ca', server.ca, '--host', 'localhost'],
    ['--tls', 'require'],
    ['--tls', 'disable'],
    ['--user', 'keyed', '--tls', 'disable'],
  ]) {
    const ended = await backup(args)
    assert.equal(ended.code, 0, `${args.join(' ')}: ${ended.stderr}`)
  }
  const fails = async (args: string[], message: RegExp, more?: Record<string, string>): Promise<void> => {
    const started = performance.now()
    const ended = await backup(args, more)
    assert.equal(ended.code, 14, ended.stderr)
    assert.match(ended.stderr, message)
    assert.ok(!ended.stderr.includes(PASSWORD))
    if (/denied/.test(message.source)) assert.ok(performance.now() - started < 5000, 'not tried again')
  }
  writeFileSync(join(dir, 'other.pem'), TEST_CERTIFICATE)
  await fails(['--tls', 'verify-full'], /source.unreachable.*self-signed/)
  await fails(['--user', 'nobody'], /source.denied.*Access denied/)
  await fails([], /source.denied/, { ...env, MYSQL_PWD: 'wrong-password-1' })
  await fails(['--user', 'keyed'], /source.denied/, { ...env, MYSQL_PWD: 'wrong-password-1' })
  await fails(['--port', '1'], /source.unreachable/)
  await fails(['--database', 'nothing'], /source.not-found.*no database nothing/)
})

test('driver:mariadb: doctor names what a user lacks, and the statements that mend it', { skip }, async (t) => {
  const dir = scratch(t, 'mariadb')
  const hf = holdfast(dir)
  server.sql('mysql', `create user weak@'%' identified by '${PASSWORD}'; grant select on shop.* to weak@'%';`)
  writeFileSync(
    join(dir, 'holdfast.yaml'),
    `vaults: { v: { storage: ./vault, format: archive } }
jobs: { shop: { source: { type: mysql, host: 127.0.0.1, port: ${server.port}, user: weak, password: ${PASSWORD}, databases: [shop] }, vaults: [v] } }
`,
    { mode: 0o600 },
  )
  const weak = await hf.run(['backup', '--json'])
  assert.notEqual(weak.code, 0, 'views cannot be read without SHOW VIEW: no backup without them')
  const doctor = await hf.run(['doctor', '--job', 'shop', '--json'])
  const fixes = lines(doctor.stdout).flatMap(({ fix }) => (String(fix).startsWith('GRANT') ? [String(fix)] : []))
  assert.deepEqual(
    fixes.map((fix) => /GRANT (.*) ON/.exec(fix)?.[1]),
    ['SHOW VIEW', 'TRIGGER', 'EVENT', 'RELOAD', 'BINLOG MONITOR', 'SELECT'],
    doctor.stdout,
  )
  server.sql('mysql', fixes.filter((fix) => !fix.includes('RELOAD')).join('\n'))
  const one = await hf.run(['backup', '--json'])
  assert.equal(one.code, 0, one.stderr)
  assert.match(one.stdout + one.stderr, /lacks RELOAD: one connection/)
  assert.match(
    (await hf.run(['dump', 'latest', 'shop/database.json'])).stdout,
    /"gtid": "0-7-/,
    'exact without the lock too',
  )
  server.sql('mysql', fixes.join('\n'))
  const well = await hf.run(['doctor', '--job', 'shop', '--json'])
  assert.ok(!/GRANT/.test(well.stdout), well.stdout)
})

test('driver:mariadb: a connection that dies, or a table altered meanwhile, makes no backup', { skip }, async (t) => {
  const hf = holdfast(scratch(t, 'mariadb'))
  // More of them than connections, so that nobody has come to the last table when it is altered.
  const large = Array.from({ length: 8 }, (_, n) => {
    const rows = `insert into b${n} select seq, repeat('y', 1000000) from seq_1_to_12;`
    return `create table b${n} (id int primary key, pad longblob); ${rows}`
  })
  server.sql(
    'mysql',
    `create database big; use big; ${large.join(' ')} create table c (id int); insert into c values (1);`,
  )
  const args = [
    'backup',
    ...at(),
    '--database',
    'big',
    '--out',
    './vault',
    '--json',
    '--limit-upload',
    '12000',
    '--compression',
    'none',
  ]
  for (const [harm, message] of [
    [
      "select group_concat(concat('kill ', id, ';') separator ' ') from information_schema.processlist where user = 'admin'",
      /closed the connection|1927|killed/,
    ],
    ["select 'alter table c engine = innodb'", /a table was altered during the backup/],
  ] as const) {
    rmSync(join(hf.dir, 'vault'), { recursive: true, force: true })
    const running = hf.start(args, { env })
    await untilStored(join(hf.dir, 'vault'), 2e6)
    server.sql('big', server.sql('mysql', harm))
    const ended = await running.ended
    if (ended.code === 0) assert.fail(`${harm}: ${ended.stdout}`)
    assert.equal(ended.code, 14, ended.stderr)
    assert.match(ended.stderr, message)
  }
  assert.equal((await hf.run(['list', '--vault', './vault', '--json'])).stdout.trim(), '[]')
  assert.ok(!readdirSync(tmpdir()).some((name) => name.startsWith('holdfast-mysql')))
})

test(
  'driver:mariadb: in a repository what did not change takes no place, and it restores from there',
  { skip },
  async (t) => {
    const hf = holdfast(scratch(t, 'mariadb'))
    const own = { ...env, HOLDFAST_PASSWORD: 'repository password' }
    const args = ['backup', ...at(), '--database', 'shop', '--to', './repo', '--format', 'repository', '--json']
    const first = await hf.run(args, { env: own })
    assert.equal(first.code, 0, first.stderr)
    const second = summary((await hf.run(args, { env: own })).stdout)
    assert.ok(Number(second['data_added']) < 100_000, JSON.stringify(second))
    const restore = ['restore', 'latest', '--vault', './repo', ...at(), '--database', 'again']
    const done = await hf.run(restore, { env: own })
    assert.equal(done.code, 0, done.stderr)
    assert.equal(server.sql('again', 'select count(*) from orders'), '12000')
    server.sql('mysql', 'drop database again')
  },
)
