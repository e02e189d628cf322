import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { openDatabase } from '../../base/sqlite.ts'
import type { LanePiece, LaneReading } from '../../model/lane.ts'
import { sqliteLane } from './lane.ts'
import { sqliteReplay } from './replay.ts'
import { recordsOf } from './wal.ts'

function scratch(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-sqlite-lane-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

async function next(reading: LaneReading, pieces: AsyncIterator<LanePiece>): Promise<LanePiece> {
  const got = await pieces.next()
  assert.ok(got.done !== true)
  if (got.value.bytes.length > 0 || got.value.seal === true) await reading.acknowledge(got.value.to)
  return got.value
}

test('while another program holds the lock, the lane waits its turn and blocks nothing else here', async (t) => {
  const folder = scratch(t)
  const file = join(folder, 'shop.db')
  {
    using database = openDatabase(file)
    database.exec('pragma journal_mode = wal; create table t (i); insert into t values (1)')
  }
  const script = join(folder, 'locker.mjs')
  writeFileSync(
    script,
    `import { DatabaseSync } from 'node:sqlite'
const database = new DatabaseSync(process.argv[2])
database.exec('begin immediate')
process.send('locked')
setTimeout(() => { database.exec('commit'); database.close(); process.disconnect() }, 1500)`,
  )
  const locker = fork(script, [file])
  await once(locker, 'message')
  const delays = monitorEventLoopDelay({ resolution: 5 })
  delays.enable()
  const began = performance.now()
  const reading = await sqliteLane({ file }).follow({ onWarning: () => {} })
  t.after(async () => reading.close())
  const pieces = reading.pieces()[Symbol.asyncIterator]()
  const first = await next(reading, pieces)
  delays.disable()
  assert.equal(first.base, true)
  assert.ok(performance.now() - began > 1000, 'it waited')
  assert.ok(delays.max / 1e6 < 400, `the process stood still for ${delays.max / 1e6} ms`)
})

test('more log than is taken at once is given whole, transaction by transaction', async (t) => {
  const file = join(scratch(t), 'shop.db')
  using database = openDatabase(file)
  database.exec('pragma journal_mode = wal; create table t (i integer primary key, pad)')
  const reading = await sqliteLane({ file }).follow({ onWarning: () => {} })
  t.after(async () => reading.close())
  const pieces = reading.pieces()[Symbol.asyncIterator]()
  await next(reading, pieces)
  for (let n = 1; n <= 30; n += 1) database.exec(`insert into t values (${n}, randomblob(1000000))`)
  const seen: number[] = []
  while (seen.length < 30) {
    const { bytes } = await next(reading, pieces)
    for (const record of recordsOf(bytes)) if (record.kind === 'transaction') seen.push([...record.pages].length)
  }
  assert.ok(seen.every((pages) => pages > 240))
})

test('a file that cannot be made is told as such', async (t) => {
  const folder = scratch(t)
  writeFileSync(join(folder, 'a-file'), '')
  const replay = sqliteReplay({ file: join(folder, 'a-file', 'shop.db') })
  const none = (async function* () {})()
  const how = { base: undefined, point: { kind: 'latest' as const }, until: new Date() }
  await assert.rejects(replay.run(none, how), { code: 'target.denied' })
})
