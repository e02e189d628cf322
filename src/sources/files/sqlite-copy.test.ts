import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { DatabaseSync } from 'node:sqlite'
import { contentOf, pathsBelow, plant, readTree, scratch } from '../../../test/support/file-tree.ts'
import { openDatabase } from '../../base/sqlite.ts'
import type { SourceEntry } from '../../model/entry.ts'
import { files } from './index.ts'

function writer(t: TestContext, path: string, mode: 'wal' | 'delete'): DatabaseSync {
  const database = new DatabaseSync(path)
  database.exec(`pragma journal_mode = ${mode}; create table t (n integer, text text)`)
  t.after(() => database.isOpen && database.close())
  return database
}

/** The rows that somebody finds who restores these bytes. */
function rowsOf(dir: string, bytes: Buffer | undefined): number {
  const path = join(dir, `restored-${Math.random()}`)
  writeFileSync(path, bytes ?? '')
  const database = new DatabaseSync(path)
  try {
    assert.equal(database.prepare('pragma integrity_check').get()?.['integrity_check'], 'ok')
    return Number(database.prepare('select count(*) as n from t').get()?.['n'])
  } finally {
    database.close()
  }
}

test('a database in WAL mode is copied with what is in its WAL, which is itself left out', async (t) => {
  const dir = scratch(t)
  plant(dir, { 'data/other': '' })
  const database = writer(t, join(dir, 'data/app.db'), 'wal')
  database.exec(
    `insert into t select value, 'x' from (with recursive c(value) as (select 1 union all select value + 1 from c where value < 1000) select value from c)`,
  )
  const before = readdirSync(join(dir, 'data')).sort()
  const tree = await readTree({ paths: [join(dir, 'data')] }, { scratchDir: dir })
  assert.deepEqual(pathsBelow(tree, join(dir, 'data')), ['app.db', 'other'])
  assert.deepEqual(
    tree.warnings.map(({ code }) => code),
    ['note'],
  )
  const entry = tree.entries.find(({ path }) => path.endsWith('app.db'))
  assert.equal(rowsOf(dir, entry?.content), 1000)
  assert.equal(entry?.sizeUnknown, true)
  assert.deepEqual(readdirSync(join(dir, 'data')).sort(), before, 'the source is as it was')
  assert.deepEqual(
    readdirSync(dir).filter((name) => name.startsWith('holdfast-sqlite')),
    [],
    'the copy is gone',
  )
})

test('a change that is in the WAL alone changes the times of the entry', async (t) => {
  const dir = scratch(t)
  const database = writer(t, join(dir, 'app.db'), 'wal')
  const first = (await readTree({ paths: [dir] })).entries.at(-1)
  const bytes = readFileSync(join(dir, 'app.db'))
  await new Promise((resolve) => setTimeout(resolve, 20))
  database.exec(`insert into t values (1, 'x')`)
  const second = (await readTree({ paths: [dir] })).entries.at(-1)
  assert.deepEqual(readFileSync(join(dir, 'app.db')), bytes, 'the file itself has not changed')
  assert.notDeepEqual(second?.mtime, first?.mtime)
  assert.notDeepEqual(second?.ctime, first?.ctime)
})

test('a database without WAL is copied as of one moment while transactions run', async (t) => {
  const dir = scratch(t)
  const database = writer(t, join(dir, 'app.db'), 'delete')
  database.exec(
    `insert into t select value, 'x' from (with recursive c(value) as (select 1 union all select value + 1 from c where value < 500) select value from c)`,
  )
  database.exec(`begin immediate; insert into t values (501, 'not yet')`)
  const tree = await readTree({ paths: [dir] })
  assert.deepEqual(pathsBelow(tree, dir), ['app.db'], 'its journal is left out')
  assert.equal(rowsOf(scratch(t), tree.entries.at(-1)?.content), 500)
  database.exec('rollback')
})

test('a database that nobody has open is taken as it is, and nothing is left beside it', async (t) => {
  const dir = scratch(t)
  writer(t, join(dir, 'app.db'), 'wal').close()
  const tree = await readTree({ paths: [dir] })
  assert.deepEqual(tree.entries.at(-1)?.content, readFileSync(join(dir, 'app.db')))
  assert.deepEqual(readdirSync(dir), ['app.db'])
  assert.deepEqual(tree.warnings, [])
})

test('what only looks like a database is taken byte by byte, with a warning', async (t) => {
  const dir = scratch(t)
  const bytes = Buffer.alloc(200_000, 'not a database')
  bytes.write('SQLite format 3\0', 0, 'latin1')
  writeFileSync(join(dir, 'fake.db'), bytes)
  const tree = await readTree({ paths: [dir] })
  assert.deepEqual(tree.entries.at(-1)?.content, bytes)
  assert.deepEqual(
    tree.warnings.map(({ code }) => code),
    ['changed'],
  )
})

test('switched off, the bytes of all three files are taken', async (t) => {
  const dir = scratch(t)
  writer(t, join(dir, 'app.db'), 'wal')
  const tree = await readTree({ paths: [dir], sqlite: false })
  assert.deepEqual(pathsBelow(tree, dir), ['app.db', 'app.db-shm', 'app.db-wal'])
  assert.deepEqual(tree.entries.at(-3)?.content, readFileSync(join(dir, 'app.db')))
})

test('a database of this very process is never opened by hand: its locks stay', async (t) => {
  const dir = scratch(t)
  const path = join(dir, 'own.db')
  const own = openDatabase(path)
  t.after(() => own.isOpen && own.close())
  own.exec(`pragma journal_mode = delete; create table t (n integer); begin exclusive; insert into t values (1)`)
  const reading = await files({ paths: [dir] }).read({ onWarning: () => undefined })
  const entries: SourceEntry[] = []
  for await (const entry of reading.entries()) entries.push(entry)
  const other = (): unknown => {
    const second = new DatabaseSync(path, { timeout: 0 })
    try {
      return second.prepare('select count(*) from t').get()
    } finally {
      second.close()
    }
  }
  assert.throws(other, /locked/, 'the exclusive lock holds')
  own.exec('commit')
  assert.equal(rowsOf(scratch(t), await contentOf(entries.at(-1) as SourceEntry)), 1)
})
