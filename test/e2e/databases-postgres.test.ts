import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, copyFileSync, globSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import type { Shape } from '../../src/sources/shape.ts'
import { postgresTrial } from '../../src/sources/postgres/trial.ts'
import { noPostgres, PASSWORD, startPostgres, type PostgresServer } from '../servers/postgres.ts'
import { dumpFolder } from '../support/dump-folder.ts'
import { holdfast, lines, scratch, summary } from '../support/holdfast.ts'

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
     insert into "Odd ""Name" values (1), (2); create index on orders (note); grant select on orders to clerk;
     create extension hstore; create schema "Sch.ema";
     create table lines (id bigint generated always as identity primary key, "order" int references orders, tags hstore, at timestamptz default now());
     insert into lines ("order", tags) select i, hstore('k', i::text) from generate_series(1, 100) i;
     create function touch() returns trigger language plpgsql as 'begin new.at = now(); return new; end';
     create trigger touching before update on lines for each row execute function touch();
     alter table lines enable row level security; create policy mine on lines for select to clerk using (id > 10);
     comment on table lines is 'lines of orders';
     create table "Sch.ema".events (day date not null, what text) partition by range (day);
     create table "Sch.ema".events_1 partition of "Sch.ema".events for values from ('2024-01-01') to ('2024-02-01');
     create index on "Sch.ema".events (what); insert into "Sch.ema".events values ('2024-01-05', E'tab\t, \\\\ and \n');
     create materialized view totals as select count(*) from lines; create view seen as select * from lines;
     create table big (id int primary key, pad text); insert into big select i, repeat(md5(i::text), 30) from generate_series(1, 30000) i;
     select lo_from_bytea(4711, 'a large object'); alter database shop set work_mem to '9MB';`,
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
    const tables = lines((await hf.run(['ls', 'latest', '--tables', '--vault', './vault', '--json'])).stdout)
    const orders = tables.find(({ name }) => name === 'public.orders')
    assert.deepEqual([orders?.['database'], orders?.['rows']], ['shop', 20_000])
    assert.ok(Number(orders?.['bytes']) > 100_000)
    const restore = ['restore', 'latest', '--vault', './vault', ...at(), '--database', 'copy']
    assert.equal((await hf.run([...restore, '--dry-run'], { env })).code, 0)
    const done = await hf.run(restore, { env })
    assert.equal(done.code, 0, done.stderr)
    const digest = 'select count(*), md5(string_agg(o::text, chr(10) order by id)) from orders o'
    assert.equal(server.sql('copy', digest), server.sql('shop', digest))
    assert.equal(server.sql('copy', "insert into orders (note) values ('next') returning id"), '20001')
    assert.equal(server.sql('copy', "select count(*) from pg_indexes where tablename = 'orders'"), '2')

    // By the file alone, also where it was copied away with its manifest.
    const archive = globSync('**/*.tar.zst', { cwd: join(hf.dir, 'vault') })[0] ?? ''
    mkdirSync(join(hf.dir, 'carried'))
    for (const name of readdirSync(join(hf.dir, 'vault', dirname(archive))))
      copyFileSync(join(hf.dir, 'vault', dirname(archive), name), join(hf.dir, 'carried', name))
    for (const file of [join('vault', archive), join('carried', basename(archive))]) {
      const byFile = await hf.run(['restore', '--file', file, ...at(), '--database', 'byfile'], { env })
      assert.equal(byFile.code, 0, byFile.stderr)
      assert.equal(server.sql('byfile', digest), server.sql('shop', digest))
      server.sql('postgres', 'drop database byfile')
    }
    rmSync(join(hf.dir, 'carried', `${basename(archive).replace('.tar.zst', '')}.manifest.json`))
    const bare = await hf.run(['restore', '--file', join('carried', basename(archive)), ...at(), '--database', 'x'], {
      env,
    })
    assert.deepEqual([bare.code, /no manifest that tells/.test(bare.stderr)], [10, true], bare.stderr)

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
    const stranger = (program: string, ...args: string[]) =>
      execFileSync(program, ['-d', 'stranger', ...args], {
        cwd: join(hf.dir, 'files/shop'),
        env: {
          ...process.env,
          PGHOST: '127.0.0.1',
          PGPORT: String(server.port),
          PGUSER: 'admin',
          PGPASSWORD: PASSWORD,
        },
      })
    stranger('pg_restore', '--exit-on-error', '--section=pre-data', '--section=data', 'database.dump')
    stranger('psql', '-q', '-f', 'rows.sql')
    stranger('pg_restore', '--exit-on-error', '--section=post-data', 'database.dump')
    assert.equal(server.sql('stranger', digest), server.sql('shop', digest), 'without Holdfast too')
    const shape = `select count(*) from pg_constraint where contype in ('f', 'p') union all select count(*) from pg_policy
      union all select count(*) from pg_trigger where not tgisinternal union all select count(*) from pg_indexes where schemaname !~ '^pg'
      union all select sum("order") from lines union all select count from totals union all select length(what) from "Sch.ema".events`
    for (const name of ['copy', 'stranger']) assert.equal(server.sql(name, shape), server.sql('shop', shape), name)
    assert.equal(server.sql('copy', "select lo_get(4711) = 'a large object'"), 't')
    assert.equal(server.sql('copy', 'show work_mem'), '9MB')
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
  await fails(['--database', 'shop', '--tls', 'verify-full', '--ca', '/nowhere.pem'], /source.unreachable.*certificate/)
  const verified = ['--database', 'shop', '--table', 'lines', '--tls', 'verify-full', '--ca', server.ca]
  const secure = await hf.run(['backup', ...at(), '--out', './other', ...verified], { env })
  assert.equal(secure.code, 0, secure.stderr)
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
  const dump = `${real}/pg_dump "$@"`
  for (const [what, message] of [
    [`${dump} | head -c 1000; exit 1`, /exit code 1/],
    [`${dump} | head -c 1000; kill -9 $$`, /SIGKILL/],
    [`${dump} | head -c 9000; exit 0`, /end of file/],
    [`${dump} | head -c -1; exit 0`, /end of file|could not/],
    [`${dump}; exit 1`, /exit code 1/],
    ['exit 0', /not a PostgreSQL dump/],
    ['echo "-- PostgreSQL database dump complete"', /not a PostgreSQL dump|valid archive/],
    ['printf PGDMP; sleep 100', /said nothing/],
    [`yes 'password=${PASSWORD} and more' | head -c 10000000 >&2; exit 1`, /exit code 1/],
  ] as const) {
    fake('pg_dump', `${version}\n${what}`)
    const ended = await hf.run(['backup'])
    assert.equal(ended.code, 14, `${what}: ${ended.stderr}`)
    assert.match(ended.stderr, message)
    assert.ok(!ended.stderr.includes(PASSWORD), what)
    assert.ok(ended.stderr.length < 20_000, what)
  }
  fake('pg_dump', `exec ${dump}`)
  for (const [program, what, message] of [
    // Of the sessions the ones that read rows are told apart by what they are asked first.
    ['psql', `exec ${real}/psql "$@" | head -c 1000000`, /psql|session/],
    ['psql', `exec ${real}/psql "$@" | (head -c 1000000; sleep 100)`, /said nothing/],
    ['pg_dumpall', `${real}/pg_dumpall "$@" | head -n 5`, /before its dump was complete/],
    ['pg_restore', 'exit 0', /pg_restore|ended before/],
  ] as const) {
    fake(program, what)
    const ended = await hf.run(['backup'])
    assert.equal(ended.code, 14, `${what}: ${ended.stderr}`)
    assert.match(ended.stderr, message)
    fake(program, `exec ${real}/${program} "$@"`)
  }
  fake('pg_dump', 'echo "pg_dump (PostgreSQL) 14.2"')
  assert.match((await hf.run(['backup'])).stderr, /server is PostgreSQL 15.*only pg_dump 14/)
  assert.equal((await hf.run(['list', '--json'])).stdout.trim(), '[]')
  fake('pg_dump', `exec ${real}/pg_dump "$@"`)
  const good = await hf.run(['backup', '--json'])
  assert.equal(summary(good.stdout)['status'], 'success', good.stderr)
})

test(
  'driver:postgres: single tables come with all that belongs to them, beside or in place of what is there',
  { skip },
  async (t) => {
    const hf = holdfast(scratch(t, 'postgres'))
    assert.equal((await hf.run(['backup', ...at(), '--database', 'shop', '--out', './vault'], { env })).code, 0)
    const restore = async (database: string, ...args: string[]) =>
      hf.run(['restore', 'latest', '--vault', './vault', ...at(), '--database', database, ...args], { env })
    const alone = await restore('part', '--only', 'lines')
    assert.equal(alone.code, 0, alone.stderr)
    assert.match(alone.stdout, /left out: FK CONSTRAINT lines lines_order_fkey/)
    const belongs = `select (select count(*) from lines) || ' ' || (select count(*) from pg_policy) || ' ' || (select count(*) from pg_trigger where not tgisinternal)
    || ' ' || (select count(*) from pg_indexes where schemaname = 'public') || ' ' || obj_description('lines'::regclass)`
    assert.equal(server.sql('part', belongs), '100 1 1 1 lines of orders')
    assert.equal(
      server.sql('part', 'insert into lines ("order") values (1) returning id'),
      '101',
      'the sequence goes on',
    )
    const both = await restore('two', '--only', 'lines', '--only', 'public.orders')
    assert.ok(!/left out/.test(both.stdout), both.stdout)
    assert.equal((await restore('parts', '--only', 'events')).code, 0)
    assert.equal(server.sql('parts', 'select count(*) from "Sch.ema".events'), '1', 'partitions follow their parent')
    const chosen = await hf.run(['backup', ...at(), '--database', 'shop', '--table', 'events', '--out', './some'], {
      env,
    })
    assert.equal(chosen.code, 0, chosen.stderr)
    const listed = await hf.run(['dump', 'latest', 'shop/totals.json', '--vault', './some'])
    assert.match(listed.stdout, /"events_1",\s+"rows": 1/, 'in the backup of a partitioned table too')

    server.sql(
      'two',
      'delete from lines where id > 5; create table keep (line bigint references lines); insert into keep values (1)',
    )
    assert.match((await restore('two', '--only', 'lines')).stderr, /restore.exists.*public.lines/)
    assert.equal(server.sql('two', 'select count(*) from lines'), '5')
    const replaced = await restore('two', '--only', 'lines', '--overwrite', 'always')
    assert.equal(replaced.code, 0, replaced.stderr)
    assert.match(replaced.stdout, /foreign keys still point there: keep\.keep_line_fkey/)
    assert.equal(
      server.sql('two', belongs.replace(/pg_policy\)/, "pg_policy where polrelid = 'lines'::regclass)")).split(' ')[0],
      '100',
    )
    const aside = server.sql('two', "select nspname from pg_namespace where nspname like 'before_%'")
    assert.equal(server.sql('two', `select count(*) from ${aside}.lines`), '5', 'what was there is kept')
    assert.equal(
      server.sql('two', "select count(*) from pg_constraint where contype = 'f' and conrelid = 'lines'::regclass"),
      '1',
    )
    assert.match((await restore('two', '--only', 'nothing')).stderr, /no table of the backup is called nothing/)

    server.sql('two', 'drop table orders cascade; ')
    const plan = await restore('two', '--only', 'o*', '--dry-run')
    assert.match(plan.stdout, /create +two\/public\.orders/)
    assert.equal((await restore('two', '--only', 'o*')).code, 0)
    assert.equal(server.sql('two', 'select count(*) from orders'), '20000')
    server.sql('postgres', 'drop database part; drop database two; drop database parts')
  },
)

test(
  'driver:postgres: the proof restores to a cluster of its own, runs assertions, and leaves nothing',
  { skip },
  async (t) => {
    const dir = scratch(t, 'postgres')
    chmodSync(dir, 0o711)
    const hf = holdfast(dir)
    assert.equal((await hf.run(['backup', ...at(), '--database', 'shop', '--out', './vault'], { env })).code, 0)
    const verify = ['verify', 'latest', '--vault', './vault', '--level', 'V5', '--json', '--scratch', dir, '--assert']
    const good = await hf.run([...verify, 'select count(*) = 20000 from orders'])
    assert.equal(good.code, 0, good.stdout + good.stderr)
    assert.match(good.stdout, /5 tables have the rows that they had/)
    assert.equal((await hf.run([...verify, 'select false'])).code, 4)
    assert.deepEqual(
      readdirSync(dir).filter((name) => name.startsWith('holdfast-verify')),
      [],
    )
  },
)

test(
  'driver:postgres: all readers see one moment while others write; what did not change is not stored again',
  { skip },
  async (t) => {
    const hf = holdfast(scratch(t, 'postgres'))
    server.sql('postgres', 'create database busy')
    server.sql(
      'busy',
      `create table a (id bigserial primary key, pad text default repeat('x', 200)); create table z (like a including all);
     insert into a select from generate_series(1, 100000); insert into z select * from a;`,
    )
    const writer = spawn('psql', ['-q', '-d', 'busy'], {
      env: { ...process.env, PGHOST: '127.0.0.1', PGPORT: String(server.port), PGUSER: 'admin', PGPASSWORD: PASSWORD },
      stdio: ['pipe', 'ignore', 'inherit'],
    })
    writer.stdin.on('error', () => {})
    const pump = setInterval(() => {
      writer.stdin.write('begin; insert into a default values; insert into z default values; commit;\n'.repeat(20))
    }, 20)
    t.after(() => writer.kill())
    const args = ['backup', ...at(), '--database', 'busy', '--out', './vault', '--json']
    const backup = await hf.run([...args, '--parallel', '3'], { env })
    clearInterval(pump)
    writer.stdin.end()
    await once(writer, 'exit')
    assert.equal(backup.code, 0, backup.stderr)
    const done = await hf.run(['restore', 'latest', '--vault', './vault', ...at(), '--database', 'calm'], { env })
    assert.equal(done.code, 0, done.stderr)
    const [a, z] = server.sql('calm', 'select count(*) from a union all select count(*) from z').split('\n')
    assert.equal(a, z)
    assert.ok(Number(server.sql('busy', 'select count(*) from a')) > Number(a), 'others wrote meanwhile')
    const next = [...args, '--type', 'incremental']
    await hf.run(next, { env })
    server.sql('busy', "update a set pad = 'again' where id = 30000")
    const small = summary((await hf.run(next, { env })).stdout)
    assert.ok(Number(small['data_added']) < Number(small['total_bytes_processed']) / 2, JSON.stringify(small))
    server.sql('postgres', 'drop database busy; drop database calm')
  },
)

test(
  'driver:postgres: in a repository what did not change takes no place, and it restores from there',
  { skip },
  async (t) => {
    const hf = holdfast(scratch(t, 'postgres'))
    const own = { ...env, HOLDFAST_PASSWORD: 'repository password' }
    const args = ['backup', ...at(), '--database', 'shop', '--to', './repo', '--format', 'repository', '--json']
    const first = await hf.run(args, { env: own })
    assert.equal(first.code, 0, first.stderr)
    const second = summary((await hf.run(args, { env: own })).stdout)
    assert.ok(Number(second['data_added']) < 100_000, JSON.stringify(second))
    const restore = ['restore', 'latest', '--vault', './repo', ...at(), '--database', 'again']
    const done = await hf.run(restore, { env: own })
    assert.equal(done.code, 0, done.stderr)
    assert.equal(server.sql('again', 'select count(*) from orders'), '20000')
    server.sql('postgres', 'drop database again')
  },
)

test(
  'driver:postgres: a proof finds values and definitions that are not those of the snapshot',
  { skip },
  async (t) => {
    const dir = scratch(t, 'postgres')
    chmodSync(dir, 0o711)
    const hf = holdfast(dir)
    server.sql('postgres', 'create database small')
    server.sql(
      'small',
      `create type mood as enum ('good', 'bad'); create domain positive as int check (value > 0);
       create table kept (id int generated always as identity primary key, what varchar(9) check (what in ('one', 'two')), feeling mood,
         price money default 9, at timestamptz default '2026-03-15 14:03:20+02', few positive, twice int generated always as (few * 2) stored);
       insert into kept (what, feeling, few) values ('one', 'good', 3), ('two', 'bad', 4); create index on kept (lower(what)) where what in ('one', 'two');
       create table other (holdfast_row int unique, ref int references kept on delete cascade, raw bytea, f float4); insert into other values (1, 2, 'x', 0.1), (2, 2, null, 'nan');
       create table bare (); insert into bare default values; alter table kept enable row level security; create policy p on kept using (few > 1);
       create view seen with (security_barrier) as select k.what || '-' as what, few from kept k where few <> 4711 and what in ('one', 'two'); create sequence apart as smallint increment 3; alter table other drop column raw;
       create function f(int) returns int language sql return $1 + 1; create extension hstore;
       create function touch() returns trigger language plpgsql as 'begin return new; end'; create trigger touching before update on kept for each row execute function touch();
       create table parted (day date) partition by range (day); create table parted_1 partition of parted for values from ('2026-01-01') to ('2026-02-01'); create index on parted (day);
       create materialized view counted as select count(*) from kept; create schema inner_one; comment on schema inner_one is 'of its own';
       comment on table kept is 'told 4711'; comment on column kept.what is 'what it is'; comment on view seen is 'seen'; comment on function f(int) is 'one more';
       comment on constraint other_ref_fkey on other is 'a key'; comment on trigger touching on kept is 'touches'; comment on type mood is 'a mood';
       create role telle; grant select on kept to telle; grant update (what) on kept to telle with grant option; grant usage on schema inner_one to public;
       revoke execute on function f(int) from public; grant execute on function f(int) to telle; grant usage on sequence apart to telle; grant select on seen to public`,
    )
    writeFileSync(
      join(dir, 'holdfast.yaml'),
      `vaults: { v: { storage: ./vault, format: archive } }
jobs: { small: { source: { type: postgres, host: 127.0.0.1, port: ${server.port}, user: admin, password: ${PASSWORD}, databases: [small], hashes: true }, vaults: [v] } }
`,
      { mode: 0o600 },
    )
    const backup = await hf.run(['backup', 'small'])
    assert.equal(backup.code, 0, backup.stderr)
    const good = await hf.run(['verify', 'latest', '--level', 'V4', '--scratch', dir])
    assert.equal(good.code, 0, good.stdout + good.stderr)
    assert.match(
      good.stdout,
      /4 of them the same values, by their hashes, \d\d parts of their schema are what they were/,
    )

    await hf.run(['restore', 'latest', '--to', './files'])
    const tried = async (change: (path: string, bytes: Buffer) => Buffer): Promise<string> => {
      const scratchDir = mkdtempSync(join(dir, 'trial-'))
      const checks = await postgresTrial.run(dumpFolder(join(dir, 'files'), change), {
        level: 'V4',
        assertions: [],
        scratchDir,
      })
      assert.deepEqual(
        checks.map(({ level, ok }) => `${level} ${ok}`),
        ['V3 true', 'V4 false'],
      )
      return checks[1]?.detail ?? ''
    }
    const swapped = await tried((path, bytes) =>
      /kept.*copy$/.test(path) ? Buffer.from(bytes.toString().replace('good', 'bad')) : bytes,
    )
    assert.match(swapped, /^small: "public"\."kept" holds other values than in the snapshot/)
    const without = await tried((path, bytes) => {
      if (!path.endsWith('schema.json')) return bytes
      const shape = JSON.parse(bytes.toString()) as Shape
      return Buffer.from(JSON.stringify({ ...shape, things: [...shape.things, ['index', 'public.kept by_what', '']] }))
    })
    assert.match(without, /^small: the schema is not what it was: index public\.kept by_what is missing/)
    const dumped = async (from: string, to: string): Promise<string> =>
      tried((path, bytes) => {
        if (!path.endsWith('database.dump')) return bytes
        const text = bytes.toString('latin1')
        assert.ok(text.includes(from), from)
        return Buffer.from(text.replace(from, to), 'latin1')
      })
    // Of the same length: the dump tells lengths.
    assert.match(await dumped('<> 4711', '<> 4712'), /view public\.seen was .*4711.* and is .*4712/)
    assert.match(await dumped("'told 4711'", "'told 4712'"), /comment table public\.kept was "told 4711" and is/)
    const other = await dumped(
      'GRANT SELECT ON TABLE public.kept TO telle',
      'GRANT DELETE ON TABLE public.kept TO telle',
    )
    assert.match(other, /privilege public\.kept was "telle SELECT" and is "telle DELETE"/)
    server.sql('postgres', 'drop database small; drop role telle')
  },
)
