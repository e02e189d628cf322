import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { noPostgres18, PASSWORD, programsOfPostgres18, startPostgres } from '../servers/postgres.ts'
import { holdfast, scratch, summary } from '../support/holdfast.ts'
import { startLane, timelineOf, until } from '../support/pit.ts'

const skip = noPostgres18 ?? false
const nobody = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {}

function place(dir: string, name: string): string {
  const folder = join(dir, name)
  mkdirSync(folder)
  if (nobody.uid !== undefined) chownSync(folder, nobody.uid, nobody.gid)
  return folder
}

/** Starts a server on it, asks, and stops it. Pages have sums: what is wrong in one is an error. */
function asked(bin: string, folder: string, ...questions: string[]): string[] {
  const env = { PATH: process.env['PATH'], LC_ALL: 'C.UTF-8', PGPASSWORD: PASSWORD }
  const sockets = join(folder, '..')
  const options = ['listen_addresses=', `unix_socket_directories=${sockets}`, 'port=5999', 'fsync=off', 'ssl=off']
  const ctl = (...args: string[]): void => {
    const all = ['-D', folder, '-l', join(sockets, 'log'), ...args]
    execFileSync(join(bin, 'pg_ctl'), all, { ...nobody, env, stdio: 'ignore' })
  }
  ctl('-w', '-t', '60', '-o', options.map((one) => `-c ${one}`).join(' '), 'start')
  try {
    const args = ['-XAtq', '-h', sockets, '-p', '5999', '-U', 'admin', '-d', 'postgres', '-c']
    const ask = (text: string): string =>
      execFileSync(join(bin, 'psql'), [...args, text], { encoding: 'utf8', env }).trim()
    for (let tries = 0; ask('select pg_is_in_recovery()') === 't' && tries < 100; tries += 1)
      execFileSync('sleep', ['0.1'])
    return questions.map(ask)
  } finally {
    ctl('-m', 'immediate', 'stop')
  }
}

const STATE = `select (select count(*) || ' ' || sum(hashtext(id || pad)) from big), (select count(*) || ' ' || sum(i) from away),
  (select string_agg(relname, ' ' order by relname) from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace)`

for (const format of ['archive', 'repository'])
  test(
    `driver:postgres-18: what changed is backed up by block, and each backup is whole by itself (${format})`,
    { skip },
    async (t) => {
      const dir = scratch(t, 'pit-18')
      chmodSync(dir, 0o711)
      const hf = holdfast(dir)
      const bin = programsOfPostgres18(dir)
      const server = await startPostgres(bin)
      t.after(async () => server.stop())
      const env = { HOLDFAST_PASSWORD: 'x', PATH: `${bin}:${process.env['PATH']}` }
      const run = async (...args: string[]) => hf.run(args, { env })
      writeFileSync(
        join(dir, 'holdfast.yaml'),
        `vaults: { v: { storage: ./vault, format: ${format}${format === 'repository' ? ', password: x' : ''} } }
server: { dataDir: ./data }
jobs: { shop: { source: { type: postgres, method: physical, host: 127.0.0.1, port: ${server.port}, user: admin, password: ${PASSWORD} }, vaults: [v] } }
`,
        { mode: 0o600 },
      )
      const sql = (text: string): string => server.sql('postgres', text)
      sql('alter system set summarize_wal = on')
      sql('select pg_reload_conf()')
      sql(`create tablespace far location '${place(dir, 'space')}'`)
      sql(`create table big (id int primary key, pad text); create table away (i int) tablespace far;
           create table gone (i int); create table cut (id int, pad text);
           insert into big select i, repeat(md5(i::text), 20) from generate_series(1, 40000) i;
           insert into cut select i, repeat('x', 500) from generate_series(1, 20000) i;
           insert into away select generate_series(1, 20000); insert into gone values (1)`)
      const states: string[] = []
      const backup = async (type: string): Promise<Record<string, unknown>> => {
        states.push(sql(STATE))
        const done = await run('backup', 'shop', '--type', type, '--json')
        assert.equal(done.code, 0, done.stdout + done.stderr)
        return { ...summary(done.stdout), said: done.stdout + done.stderr }
      }
      const notes = (of: Record<string, unknown>): string => String(of['said'])
      const full = await backup('auto')
      assert.doesNotMatch(notes(full), /blocks/)

      sql(`update big set pad = 'changed' where id between 100 and 120; drop table gone; create table made (i int);
           insert into big select i, 'new' from generate_series(40001, 41000) i; delete from cut where id > 500; insert into away values (-1)`)
      sql('vacuum cut')
      const second = await backup('incremental')
      assert.match(notes(second), /the server sent the blocks that changed since/)
      assert.ok(Number(second['data_added']) < Number(full['data_added']) / 3, JSON.stringify([full, second]))
      // What was there is known again by what it looks like, not by reading it.
      assert.ok(Number(second['files_unmodified']) >= Number(full['files_new']) - 2, JSON.stringify([full, second]))
      sql(
        `update big set pad = 'twice' where id = 30000; delete from away where i > 100; insert into cut select i, 'y' from generate_series(1, 30000) i; create database other`,
      )
      sql('vacuum away')
      assert.match(notes(await backup('incremental')), /blocks/)
      sql("update big set pad = 'thrice' where id = 7")
      assert.match(notes(await backup('differential')), /blocks/)

      const ids = (await hf.json<{ id: string }[]>(['list', '--json'], { env })).map(({ id }) => id)
      assert.equal(ids.length, 4)
      for (const [index, id] of ids.entries()) {
        // One with a part before it, and one that leaves parts out; the third is proved below.
        if (index % 2 === 0) continue
        const to = join(place(dir, `copy-${index}`), 'data')
        const done = await run('restore', id, '--to', to)
        assert.equal(done.code, 0, done.stderr)
        assert.deepEqual(asked(bin, to, STATE), [states[index]], `backup ${index}`)
        assert.deepEqual(
          readdirSync(join(to, '..')).filter((name) => name.includes('incremental')),
          [],
        )
      }
      if (format === 'repository') return
      const claim = `select (select count(*) from big) = 41000 and (select count(*) from away) = 101`
      const proof = await run('verify', ids[2] ?? '', '--level', 'V5', '--scratch', dir, '--assert', claim)
      assert.equal(proof.code, 0, proof.stdout + proof.stderr)

      // The backups that it was built on may go.
      assert.equal((await run('prune', 'shop', '--keep-last', '1', '--vault', 'v')).code, 0)
      const alone = join(place(dir, 'alone'), 'data')
      assert.equal((await run('restore', 'latest', '--to', alone)).code, 0)
      assert.deepEqual(asked(bin, alone, STATE), [states[3]])

      // A moment after a backup by block.
      const lane = await startLane({ ...hf, start: (args) => hf.start(args, { env }) }, 'shop', '--no-base')
      t.after(() => lane.child.kill('SIGKILL'))
      await until('the slot', () => sql('select count(*) from pg_replication_slots where active') === '1')
      assert.match(notes(await backup('incremental')), /blocks/)
      await until('a window', async () => (await timelineOf(hf, 'shop')).windows.length === 1)
      sql('insert into away select generate_series(1, 5000)')
      // A stop stores what came; what the server has not sent yet stays with it.
      const wrote = Date.now()
      await until('it', async () => Date.parse((await timelineOf(hf, 'shop')).windows.at(-1)?.to ?? '') > wrote)
      lane.child.kill('SIGTERM')
      await lane.ended
      const proved = await run(
        'verify',
        'shop',
        '--at',
        'latest',
        '--level',
        'V5',
        '--scratch',
        dir,
        '--assert',
        'select count(*) = 5101 from away',
      )
      assert.equal(proved.code, 0, proved.stdout + proved.stderr)

      // What the server does not know any more is read whole, which is told.
      const summaries = join(sql('show data_directory'), 'pg_wal/summaries')
      sql('alter system set summarize_wal = off')
      sql('select pg_reload_conf()')
      await until('its end', () => sql('show summarize_wal') === 'off')
      sql("update big set pad = 'unseen' where id = 9; select pg_switch_wal()")
      sql('checkpoint')
      for (const name of readdirSync(summaries)) rmSync(join(summaries, name))
      sql('alter system set summarize_wal = on')
      sql('select pg_reload_conf()')
      const whole = notes(await backup('incremental'))
      assert.match(whole, /the whole cluster is read, as what changed cannot be told/)
    },
  )
