import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { makeFolders } from './folders.ts'

test('folders are made with those above them, and are no error when they exist', (t) => {
  const root = mkdtempSync(join(tmpdir(), 'holdfast-folders-'))
  t.after(() => rmSync(root, { recursive: true }))
  makeFolders(join(root, 'a/b/c'), 0o700)
  makeFolders(join(root, 'a/b/c'), 0o700)
  assert.ok(statSync(join(root, 'a/b/c')).isDirectory())
  writeFileSync(join(root, 'file'), '')
  assert.throws(() => makeFolders(join(root, 'file'), 0o700), { code: 'EEXIST' })
  assert.throws(() => makeFolders(join(root, 'file/below'), 0o700), { code: 'ENOTDIR' })
})

test(
  'a place where no folder can be made is an error, not a wait without end',
  { skip: process.platform !== 'linux' && 'needs /proc' },
  () => {
    assert.throws(() => makeFolders('/proc/holdfast/data', 0o700), { code: 'ENOENT' })
  },
)
