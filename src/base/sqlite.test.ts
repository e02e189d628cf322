import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { backupDatabase, isOpenDatabase, openDatabase } from './sqlite.ts'

function scratch(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'holdfast-sqlite-test-'))
  t.after(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

test('a database is known by its inode for as long as it is open here', (t) => {
  const path = join(scratch(t), 'a.db')
  const first = openDatabase(path)
  const { dev, ino } = statSync(path, { bigint: true })
  const second = openDatabase(path, { readOnly: true })
  assert.ok(isOpenDatabase(dev, ino))
  first.close()
  assert.ok(isOpenDatabase(dev, ino))
  second.close()
  assert.ok(!isOpenDatabase(dev, ino))
})

test('a copy holds what was committed when it was made, and the source stays as it was', async (t) => {
  const dir = scratch(t)
  const database = openDatabase(join(dir, 'a.db'))
  t.after(() => database.close())
  database.exec('pragma journal_mode = wal; create table t (n integer); insert into t values (1), (2)')
  await backupDatabase(join(dir, 'a.db'), join(dir, 'copy.db'))
  database.exec('insert into t values (3)')
  const copy = openDatabase(join(dir, 'copy.db'))
  t.after(() => copy.close())
  assert.equal(copy.prepare('select count(*) as n from t').get()?.['n'], 2)
  assert.equal(database.prepare('select count(*) as n from t').get()?.['n'], 3)
})

test('what is no database rejects', async (t) => {
  const dir = scratch(t)
  await assert.rejects(backupDatabase(join(dir, 'missing.db'), join(dir, 'copy.db')))
})
