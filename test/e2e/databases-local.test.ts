import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { openDatabase } from '../../src/base/sqlite.ts'
import { holdfast, scratch, summary, type Holdfast } from '../support/holdfast.ts'

const rowsOf = (file: string, sql = 'select count(*) as value from orders'): unknown => {
  using database = openDatabase(file, { readOnly: true })
  return database.prepare(sql).get()?.['value']
}

function shop(dir: string, mode: 'wal' | 'delete' = 'wal'): string {
  const file = join(dir, 'shop.db')
  using database = openDatabase(file)
  database.exec(`pragma journal_mode = ${mode}; create table orders (id integer primary key, note text);
    create index by_note on orders (note); create virtual table words using fts5 (text);
    insert into words values ('a needle in the haystack');
    with recursive n(i) as (select 1 union all select i + 1 from n where i < 60000) insert into orders select i, hex(randomblob(24)) from n`)
  return file
}

async function fails(hf: Holdfast, args: string[], code: number, message: RegExp): Promise<void> {
  const ended = await hf.run(args)
  assert.equal(ended.code, code, ended.stderr)
  assert.match(ended.stderr, message)
}

/** Commits numbered rows, each in a transaction with its double, until its stdin ends. */
function writer(t: TestContext, file: string): { stop(): Promise<number> } {
  const program = `
    const { DatabaseSync } = require('node:sqlite')
    const db = new DatabaseSync(${JSON.stringify(file)}, { timeout: 10000 })
    db.exec('create table if not exists pairs (n integer, half integer)')
    const put = db.prepare('insert into pairs values (?, ?)')
    let n = 0, on = true
    process.stdin.resume().on('end', () => { on = false })
    ;(function more() {
      for (let i = 0; i < 20; i++) { n++; db.exec('begin immediate'); put.run(n, 0); put.run(n, 1); db.exec('commit') }
      if (on) setImmediate(more); else { db.close(); console.log(n) }
    })()`
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', '-e', program])
  t.after(() => child.kill())
  let said = ''
  child.stdout.on('data', (text: Buffer) => (said += text.toString()))
  return {
    async stop() {
      child.stdin.end()
      await once(child, 'close')
      return Number(said)
    },
  }
}

test('an SQLite database is backed up, changed pages alone the second time, proved, and restored', async (t) => {
  const dir = scratch(t, 'sqlite')
  const hf = holdfast(dir)
  const file = shop(dir)
  const first = summary((await hf.run(['backup', '--db', 'sqlite', file, '--to', './vault', '--json'])).stdout)
  assert.equal(first['status'], 'success')
  {
    using database = openDatabase(file)
    database.exec("update orders set note = 'changed' where id = 30000")
  }
  const second = summary((await hf.run(['backup', '--db', 'sqlite', file, '--to', './vault', '--json'])).stdout)
  assert.equal(second['type'], 'incremental')
  assert.ok(Number(second['data_added']) < Number(first['data_added']) * 0.8, 'only files of pages that changed')
  const tables = await hf.run(['ls', 'latest', '--vault', './vault', '--tables'])
  assert.match(tables.stdout, /shop\.db +orders +60000/)
  assert.doesNotMatch(tables.stdout, /sqlite_/)
  const prove = ['verify', 'latest', '--vault', './vault', '--level', 'V5', '--assert']
  const holds = "select count(*) = 1 from orders where note = 'changed'"
  const proof = await hf.json<{ ok: boolean; level: string }>([...prove, holds])
  assert.deepEqual([proof.ok, proof.level], [true, 'V5'])
  assert.equal((await hf.run([...prove, 'select count(*) > 60000 from orders'])).code, 4)

  assert.equal((await hf.run(['restore', 'latest', '--vault', './vault', '--to', 'sqlite:./back.db'])).code, 0)
  assert.equal(rowsOf(join(dir, 'back.db')), 60_000)
  assert.equal(rowsOf(join(dir, 'back.db'), "select count(*) as value from words where text match 'needle'"), 1)
})

test('without Holdfast, the files of pages one after the other are the database', async (t) => {
  const dir = scratch(t, 'sqlite')
  const hf = holdfast(dir)
  await hf.run(['backup', '--db', 'sqlite', shop(dir), '--out', './vault'])
  await hf.run(['restore', 'latest', '--vault', './vault', '--to', './files'])
  const folder = join(dir, 'files/shop.db')
  const pages = readdirSync(folder).filter((name) => name.endsWith('.pages'))
  writeFileSync(join(dir, 'joined.db'), Buffer.concat(pages.sort().map((name) => readFileSync(join(folder, name)))))
  assert.equal(rowsOf(join(dir, 'joined.db')), 60_000)
})

for (const mode of ['wal', 'delete'] as const) {
  test(`a copy made while another process writes is one moment of it (${mode})`, async (t) => {
    const dir = scratch(t, 'sqlite')
    const hf = holdfast(dir)
    const file = shop(dir, mode)
    const writing = writer(t, file)
    await new Promise((resolve) => setTimeout(resolve, 300))
    for (let round = 0; round < 3; round += 1) {
      const { code, stderr } = await hf.run(['backup', '--db', 'sqlite', file, '--to', './vault', '--verify', 'V4'])
      assert.equal(code, 0, stderr)
    }
    const written = await writing.stop()
    await hf.run(['restore', 'latest', '--vault', './vault', '--to', 'sqlite:./back.db'])
    const back = join(dir, 'back.db')
    const last = Number(rowsOf(back, 'select max(n) as value from pairs'))
    assert.ok(last > 0 && last <= written)
    assert.equal(rowsOf(back, 'select count(*) as value from pairs'), last * 2, 'no transaction is there by half')
  })
}

test('a database that is there is replaced only when asked for, never while in use, and its old WAL goes away', async (t) => {
  const dir = scratch(t, 'sqlite')
  const hf = holdfast(dir)
  const file = shop(dir)
  await hf.run(['backup', '--db', 'sqlite', file, '--to', './vault'])
  const restore = ['restore', 'latest', '--vault', './vault', '--to', `sqlite:${file}`]
  await fails(hf, restore, 1, /restore.exists/)
  {
    using database = openDatabase(file)
    database.exec("insert into orders values (99999, 'later')")
    await fails(hf, [...restore, '--overwrite', 'always'], 1, /target.in-use.*has it open/)
    assert.equal(rowsOf(file), 60_001, 'it was left alone')
    // A crash leaves the WAL behind.
    writeFileSync(join(dir, 'old-wal'), readFileSync(`${file}-wal`))
  }
  writeFileSync(`${file}-wal`, readFileSync(join(dir, 'old-wal')))
  assert.equal((await hf.run([...restore, '--overwrite', 'always', '--dry-run'])).code, 0)
  assert.equal((await hf.run([...restore, '--overwrite', 'always'])).code, 0)
  assert.ok(!existsSync(`${file}-wal`))
  assert.equal(rowsOf(file), 60_000)
  assert.deepEqual(
    readdirSync(dir).filter((name) => name.includes('restore-')),
    [],
    'nothing is left over',
  )
})

test('what is no database, missing, or empty is told before anything is stored', async (t) => {
  const dir = scratch(t, 'sqlite')
  const hf = holdfast(dir)
  writeFileSync(join(dir, 'letter.txt'), 'this is not a database at all')
  writeFileSync(join(dir, 'empty.db'), '')
  for (const name of ['letter.txt', 'empty.db', 'missing.db'])
    await fails(hf, ['backup', '--db', 'sqlite', name, '--to', './vault'], 14, /source\.|not an SQLite|cannot read/)
  assert.equal((await hf.run(['list', '--vault', './vault', '--json'])).stdout.trim(), '[]')
})

test('several databases of one name are kept apart, and one of them can be asked for', async (t) => {
  const dir = scratch(t, 'sqlite')
  const hf = holdfast(dir)
  mkdirSync(join(dir, 'a'))
  mkdirSync(join(dir, 'b'))
  shop(join(dir, 'a'))
  const other = shop(join(dir, 'b'))
  {
    using database = openDatabase(other)
    database.exec('delete from orders where id > 10')
  }
  writeFileSync(
    join(dir, 'holdfast.yaml'),
    'vaults: { v: { storage: ./vault, format: archive } }\njobs: { two: { source: { type: sqlite, files: [a/shop.db, b/shop.db] }, vaults: [v], verify: { afterBackup: V4 } } }\n',
  )
  assert.equal((await hf.run(['backup'])).code, 0)
  await fails(hf, ['restore', '--to', 'sqlite:./c.db'], 2, /several databases/)
  assert.equal((await hf.run(['restore', '--to', 'sqlite:./c.db', '--from-database', 'shop.db~2'])).code, 0)
  assert.equal(rowsOf(join(dir, 'c.db')), 10)
  const { stdout } = await hf.run(['doctor', '--quick'])
  assert.match(stdout, /b\/shop\.db — 7 tables, 25 rows/)
})

test('what a program writes is a backup only when the program ends well', async (t) => {
  const dir = scratch(t, 'command')
  const hf = holdfast(dir)
  const backup = (...words: string[]): string[] => ['backup', '--stdin-from-command', '--to', './vault', '--', ...words]
  await fails(
    hf,
    backup('sh', '-c', 'seq 1 500000; echo the disk is gone >&2; exit 3'),
    14,
    /exit code 3: the disk is gone/,
  )
  await fails(hf, backup('sh', '-c', 'seq 1 500000; kill -9 $$'), 14, /SIGKILL/)
  await fails(hf, backup('true'), 14, /wrote nothing/)
  await fails(hf, backup('sh', '-c', 'echo "-- Dump completed on today"; exit 1'), 14, /exit code 1/)
  await fails(hf, backup('no-such-program'), 14, /not installed/)
  assert.equal((await hf.run(['list', '--vault', './vault', '--json'])).stdout.trim(), '[]')

  const noisy = 'i=0; while [ $i -lt 2000 ]; do printf "%05000d" 0 >&2; i=$((i+1)); done; seq 1 300000'
  assert.equal((await hf.run(backup('sh', '-c', noisy))).code, 0, '10 MB of errors neither block nor fail')
  const dumped = await hf.run(['dump', 'latest', 'stdout', '--vault', './vault'])
  assert.equal(dumped.stdout.split('\n').at(-2), '300000')
})

test('a second run of a program with as many but other bytes is stored as it is', async (t) => {
  const dir = scratch(t, 'command')
  const hf = holdfast(dir)
  for (const letter of ['a', 'b']) {
    const program = `head -c 900000 /dev/zero | tr '\\0' ${letter}`
    const words = ['backup', '--stdin-from-command', '--to', './vault', '--verify', 'V2', '--', 'sh', '-c', program]
    const { code, stderr } = await hf.run(words)
    assert.equal(code, 0, stderr)
  }
  const { stdout } = await hf.run(['dump', 'latest', 'stdout', '--vault', './vault'])
  assert.equal(stdout, 'b'.repeat(900_000))
})

test('a program that hangs is ended, with what it started, and its secrets are not told', async (t) => {
  const dir = scratch(t, 'command')
  const hf = holdfast(dir)
  const yaml = (command: string): string =>
    `vaults: { v: { storage: ./vault, format: archive } }
jobs: { it: { source: { type: command, command: [sh, -c, ${JSON.stringify(command)}], idleTimeout: 1s }, vaults: [v] } }
`
  writeFileSync(join(dir, 'holdfast.yaml'), yaml(`echo begun; sleep 300 & echo $! > ${dir}/pid; wait`))
  await fails(hf, ['backup'], 14, /said nothing for 1\.0s/)
  const pid = readFileSync(join(dir, 'pid'), 'utf8').trim()
  await new Promise((resolve) => setTimeout(resolve, 100))
  assert.ok(!existsSync(`/proc/${pid}`) || / Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8')))
  writeFileSync(join(dir, 'holdfast.yaml'), yaml('echo "cannot log in with password=hunter2hunter2" >&2; exit 1'))
  const { stderr } = await hf.run(['backup'])
  assert.match(stderr, /cannot log in/)
  assert.doesNotMatch(stderr, /hunter2/)
})

test('a dump that lost most of what was usual is kept, flagged, and freezes retention until somebody agrees', async (t) => {
  const dir = scratch(t, 'shrunken')
  const hf = holdfast(dir)
  writeFileSync(
    join(dir, 'holdfast.yaml'),
    `vaults: { v: { storage: ./vault, format: archive } }
jobs: { dump: { source: { type: command, command: [cat, data] }, vaults: [v], type: full, retention: { last: 2 } } }
`,
    { mode: 0o600 },
  )
  const run = async (bytes: number) => {
    writeFileSync(join(dir, 'data'), randomBytes(bytes))
    return hf.run(['backup', '--json'])
  }
  const ids = async (): Promise<string[]> => (await hf.json<{ id: string }[]>(['list'])).map(({ id }) => id)
  for (let i = 0; i < 3; i += 1) assert.equal((await run(300_000)).code, 0)
  assert.equal((await ids()).length, 2)
  const small = await run(1000)
  assert.equal(small.code, 3, small.stderr)
  assert.match(small.stdout + small.stderr, /1000 B, where 293 KiB were usual: nothing of dump is pruned/)
  await run(1000)
  assert.equal((await ids()).length, 4, 'those before it stay, whatever retention says')
  const plan = await hf.json<{ keep: { reasons: string[] }[]; remove: unknown[] }>(['prune', 'dump', '--dry-run'])
  assert.equal(plan.remove.length, 0)
  assert.ok(plan.keep.some(({ reasons }) => reasons.some((reason) => reason.startsWith('frozen until'))))
  const [, , third = '', fourth = ''] = await ids()
  assert.equal((await hf.run(['tag', third, fourth, '--remove', 'shrunken'])).code, 0)
  assert.equal((await run(1000)).code, 0, 'the new size is the usual one')
  assert.equal((await ids()).length, 2)
})
