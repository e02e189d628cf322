import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { holdfast, scratch, summary } from '../support/holdfast.ts'
import { peakMemory } from '../support/peak-memory.ts'
import { pause, startLane, timelineOf, until } from '../support/pit.ts'
import { expectedAt, timesWithin, type Written } from '../support/writer.ts'

const WRITER = fileURLToPath(new URL('../support/sqlite-writer.ts', import.meta.url))
/** Looks of the lane that lie further apart than this are told, and no moment between them is promised. */
const GRAIN_MS = 1000

function writing(file: string, from: number): { rows: Written[]; stop: () => Promise<void> } {
  const child = spawn(process.execPath, [WRITER, file, String(from)], { stdio: ['pipe', 'pipe', 'inherit'] })
  const rows: Written[] = []
  let rest = ''
  child.stdout.on('data', (text: Buffer) => {
    const lines = (rest + text.toString()).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      const [id = 0, before = 0, after = 0] = line.split(' ').map(Number)
      rows.push({ id, before, after })
    }
  })
  return {
    rows,
    async stop() {
      child.stdin.end()
      await once(child, 'close')
    },
  }
}

const second = { env: { HOLDFAST_PASSWORD: 'x' } }

test('SQLite: every moment is restored while another process writes, also over kills of the lane and of its log', async (t) => {
  const hf = holdfast(scratch(t, 'pit'))
  const file = join(hf.dir, 'shop.db')
  using database = new DatabaseSync(file, { timeout: 30_000 })
  database.exec('pragma journal_mode = wal; create table t (id integer primary key, pad text)')
  writeFileSync(
    join(hf.dir, 'holdfast.yaml'),
    `vaults: { v: { storage: ./vault, format: archive } }
server: { dataDir: ./data }
jobs: { shop: { source: { type: sqlite, file: ${file} }, vaults: [v] } }
`,
  )
  let lane = await startLane(hf, 'shop')
  t.after(() => lane.child.kill('SIGKILL'))
  const writer = writing(file, 1)
  await until('a first window', async () => (await timelineOf(hf, 'shop')).windows.length === 1)
  for (let kills = 0; kills < 1; kills += 1) {
    await pause(2500)
    lane.child.kill('SIGKILL')
    await lane.ended
    lane = await startLane(hf, 'shop')
  }
  const again = Date.now()
  await until('the lane again', async () => Date.parse((await timelineOf(hf, 'shop')).windows[0]?.to ?? '') > again)
  // Others put the log into the database and begin it anew: with the lane there, nothing is lost.
  for (let n = 0; n < 20; n += 1) {
    database.exec('pragma wal_checkpoint(passive)')
    await pause(60)
  }
  // More log than is kept: it is put into the database by the lane itself.
  database.exec(
    'create table bulk as with recursive c (n) as (select 1 union all select n + 1 from c where n < 9000) select n, hex(randomblob(400)) as pad from c',
  )
  await pause(2500)
  await writer.stop()
  const { rows } = writer
  const last = rows.at(-1)?.after ?? 0
  await until('the end', async () => Date.parse((await timelineOf(hf, 'shop')).windows.at(-1)?.to ?? '') > last + 500)
  const shown = await timelineOf(hf, 'shop')
  assert.equal(shown.windows.length, 1, `kills make no gap: ${JSON.stringify(shown)}`)

  let unseen = 0
  const restored = async (at: string): Promise<{ count: number; most: number; reached: number } | undefined> => {
    const to = join(hf.dir, `copy-${Math.random()}.db`)
    const done = await hf.run(['restore', '--at', at, '--to', `sqlite:${to}`, '--json'])
    if (done.code === 10 && /nobody looked at the log between/.test(done.stderr)) {
      unseen += 1
      return undefined
    }
    assert.equal(done.code, 0, done.stderr)
    using copy = new DatabaseSync(to)
    const { count, most } = copy.prepare('select count(*) as count, coalesce(max(id), 0) as most from t').get() ?? {}
    return {
      count: Number(count),
      most: Number(most),
      reached: Date.parse(String(summary(done.stdout)['last_commit'])),
    }
  }
  const from = Date.parse(shown.windows[0]?.from ?? '')
  let exact = 0
  // On a busy machine a killed lane comes back late: those moments do not count.
  for (const time of timesWithin(from, last, 60, 5)) {
    if (exact >= 20) break
    const found = await restored(time.toISOString())
    if (found === undefined) continue
    exact += 1
    const { count, most, reached } = found
    assert.equal(count, most, 'no row is missing in between')
    assert.ok(reached <= time.getTime())
    const least = expectedAt(rows, time.getTime() - GRAIN_MS).least
    const limit = expectedAt(rows, time.getTime()).most
    assert.ok(count >= least && count <= limit, `${time.toISOString()}: ${count} rows, ${least} to ${limit} expected`)
  }
  assert.ok(exact >= 20, `${unseen} moments lay in the time when the lane was killed`)
  assert.equal((await restored('latest'))?.count, rows.length)
  // In another vault, of the other format, it is the same.
  assert.equal((await hf.run(['init', './second', '--format', 'repository'], second)).code, 0)
  const copied = await hf.run(['copy', '--job', 'shop', '--to', './second'], second)
  assert.equal(copied.code, 0, copied.stderr)
  assert.match(copied.stdout, /the log of shop/)
  const twice = await hf.run(['copy', '--job', 'shop', '--to', './second'], second)
  assert.equal(twice.code, 0, twice.stderr)
  const moved = join(hf.dir, 'moved.db')
  const there = ['restore', '--vault', './second', '--job', 'shop', '--at', 'latest', '--to', `sqlite:${moved}`]
  assert.equal((await hf.run(there, second)).code, 0)
  {
    using copy = new DatabaseSync(moved)
    assert.equal(copy.prepare('select count(*) as count from t').get()?.['count'], rows.length)
  }
  const claim = `select count(*) = ${rows.length} from t`
  const proved = await hf.run(['verify', 'shop', '--at', 'latest', '--level', 'V5', '--assert', claim])
  assert.equal(proved.code, 0, proved.stdout + proved.stderr)
  assert.match((await hf.run(['timeline', 'shop'])).stdout, /the end of the log was proved to V5 at/)
  for (const at of ['2020-01-01T00:00:00Z', '2100-01-01T00:00:00Z']) {
    const refused = await hf.run(['restore', '--at', at, '--to', `sqlite:${join(hf.dir, 'never.db')}`])
    assert.equal(refused.code, 10, refused.stderr)
  }

  // A log that was begun anew while nobody looked is a gap, and everything is copied again.
  lane.child.kill('SIGKILL')
  await lane.ended
  database.exec(
    "insert into t values (-1, 'unseen'); pragma wal_checkpoint(truncate); insert into t values (-2, 'x'); pragma wal_checkpoint(truncate); insert into t values (-3, 'x')",
  )
  lane = await startLane(hf, 'shop')
  await until('a second window', async () => (await timelineOf(hf, 'shop')).windows.length === 2)
  assert.equal((await timelineOf(hf, 'shop')).gaps.length, 1)
  assert.equal((await restored('latest'))?.count, rows.length + 3)
  lane.child.kill('SIGTERM')
  const ended = await lane.ended
  assert.match(ended.stderr, /points in time have a gap/)

  // A damaged piece is found, and never restored from.
  assert.equal((await hf.run(['check', '--read-data'])).code, 0)
  const [piece = ''] = globSync('vault/lanes/shop/*_b.lane.zst', { cwd: hf.dir })
  const bytes = readFileSync(join(hf.dir, piece))
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1
  writeFileSync(join(hf.dir, piece), bytes)
  const checked = await hf.run(['check', '--read-data'])
  assert.equal(checked.code, 4, checked.stdout)
  assert.match(checked.stdout, /the log of shop/)
  const damaged = await hf.run(['verify', 'shop', '--at', new Date(from + 1000).toISOString(), '--level', 'V5'])
  assert.equal(damaged.code, 4, damaged.stdout)
})

test('SQLite: a transaction much longer than the memory that it may take is stored and restored', async (t) => {
  const hf = holdfast(scratch(t, 'pit-long'))
  const file = join(hf.dir, 'shop.db')
  using database = new DatabaseSync(file, { timeout: 30_000 })
  database.exec('pragma journal_mode = wal; create table t (id integer primary key, pad text)')
  writeFileSync(
    join(hf.dir, 'holdfast.yaml'),
    `vaults: { v: { storage: ./vault, format: archive } }
server: { dataDir: ./data }
jobs: { shop: { source: { type: sqlite, file: ${file} }, vaults: [v] } }
`,
  )
  const lane = await startLane(hf, 'shop')
  t.after(() => lane.child.kill('SIGKILL'))
  await until('a first window', async () => (await timelineOf(hf, 'shop')).windows.length === 1)
  const ofLane = peakMemory(lane.child)
  // 256 MiB in one transaction, of which pages go to the log before they are what they become.
  database.exec('pragma cache_size = 100; begin')
  const insert = database.prepare('insert into t values (?, ?)')
  for (let id = 1; id <= 256; id += 1) insert.run(id, String(id).padEnd(1024 ** 2, 'abcdefgh'))
  database.exec("update t set pad = 'changed' || pad where id % 10 = 0; commit")
  const written = Date.now()
  await until('it', async () => Date.parse((await timelineOf(hf, 'shop')).windows[0]?.to ?? '') > written, 120_000)
  assert.ok((ofLane() ?? 0) < 450, `the lane took ${ofLane()} MiB`)
  lane.child.kill('SIGTERM')
  assert.equal((await lane.ended).code, 0)
  const restore = hf.start(['restore', '--at', 'latest', '--to', `sqlite:${join(hf.dir, 'copy.db')}`])
  const ofRestore = peakMemory(restore.child)
  const { code, stderr } = await restore.ended
  assert.equal(code, 0, stderr)
  assert.ok((ofRestore() ?? 0) < 450, `the restore took ${ofRestore()} MiB`)
  using copy = new DatabaseSync(join(hf.dir, 'copy.db'), { readOnly: true })
  const rows = "select count(*) as n, sum(length(pad)) as bytes, sum(pad like 'changed%') as changed from t"
  assert.deepEqual({ ...copy.prepare(rows).get() }, { ...database.prepare(rows).get() })
})
