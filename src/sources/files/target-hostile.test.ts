import assert from 'node:assert/strict'
import { linkSync, lstatSync, readdirSync, readFileSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { chunks, listing, plant, scratch } from '../../../test/support/file-tree.ts'
import { isAppError } from '../../base/errors.ts'
import type { RestoredEntry } from '../../model/entry.ts'
import { filesTarget, type FilesTargetSettings } from './index.ts'

const file = (path: string, text = 'evil', more: Partial<RestoredEntry> = {}): RestoredEntry => ({
  path,
  kind: 'file',
  mode: 0o644,
  mtime: { s: 1_700_000_000, ns: 0 },
  size: text.length,
  open: () => chunks(Buffer.from(text)),
  ...more,
})
const link = (path: string, linkTarget: string): RestoredEntry => ({ ...file(path, ''), kind: 'symlink', linkTarget })
const folder = (path: string): RestoredEntry => ({ ...file(path, ''), kind: 'directory', mode: 0o777 })

async function* stream(entries: RestoredEntry[]): AsyncGenerator<RestoredEntry> {
  yield* entries
}

interface Stage {
  root: string
  write: (entries: RestoredEntry[], settings?: Partial<FilesTargetSettings>) => Promise<unknown>
  /** Nothing outside the target changed. */
  assertOutsideUntouched: () => void
}

function stage(t: TestContext): Stage {
  const dir = scratch(t)
  plant(dir, { 'outside/precious': 'precious', 'target/': '' })
  const before = lstatSync(join(dir, 'outside'), { bigint: true })
  const root = join(dir, 'target')
  return {
    root,
    write: (entries, settings = {}) =>
      filesTarget({ root, ...settings }).write(stream(entries), { onWarning: () => undefined }),
    assertOutsideUntouched() {
      assert.deepEqual(listing(join(dir, 'outside')), { precious: 'precious' })
      assert.deepEqual(readdirSync(dir).sort(), ['outside', 'target'])
      const after = lstatSync(join(dir, 'outside'), { bigint: true })
      assert.deepEqual([after.mtimeNs, after.mode, after.uid], [before.mtimeNs, before.mode, before.uid])
    },
  }
}

const isUnsafe = (error: unknown): boolean => isAppError(error, 'restore.unsafe')

test('no path leaves the target', async (t) => {
  const { write, root, assertOutsideUntouched } = stage(t)
  for (const path of [
    '../outside/precious',
    'a/../../outside/x',
    '/outside/x',
    '..',
    '.',
    './x',
    'a//b',
    'a/',
    'a/./b',
    'a\0b',
    '',
  ]) {
    for (const entry of [file(path), folder(path), link(path, 'x')]) {
      await assert.rejects(write([entry], { overwrite: 'always' }), isUnsafe, JSON.stringify(path))
    }
    await assert.rejects(
      write([file('ok', 'x', { hardlink: path, open: undefined })], { overwrite: 'always' }),
      isUnsafe,
    )
  }
  assert.deepEqual(readdirSync(root), [])
  assertOutsideUntouched()
})

test('names that only look like steps out are names', async (t) => {
  const { write, root } = stage(t)
  await write([file('...'), file('..a'), file('a..'), file('.x/..y'), file('\\..\\x'), file('c:x')])
  assert.equal(Object.keys(listing(root)).length, 7)
})

test('a symlink of the backup is not followed, whatever the order and the mode', async (t) => {
  for (const overwrite of [undefined, 'never', 'if-newer', 'if-changed', 'always'] as const) {
    const { write, assertOutsideUntouched } = stage(t)
    await write([link('a', '../outside'), file('a/precious')], { overwrite }).catch(() => undefined)
    assertOutsideUntouched()
    await write([folder('b'), link('b/l', '../../outside'), folder('b/l'), file('b/l/precious')], { overwrite }).catch(
      () => undefined,
    )
    assertOutsideUntouched()
    await write([link('c', '../outside/precious'), file('c')], { overwrite }).catch(() => undefined)
    assertOutsideUntouched()
  }
})

test('a symlink in a folder that we made, and things below it, end the restore at once', async (t) => {
  const { write, root, assertOutsideUntouched } = stage(t)
  const entries = [folder('new'), link('new/l', '../../outside'), file('new/l/x'), file('after')]
  await assert.rejects(write(entries, { overwrite: 'always' }), isUnsafe)
  assert.ok(!readdirSync(root).includes('after'))
  assertOutsideUntouched()
})

test('symlinks that were there before are replaced or refused, never written through', async (t) => {
  const { write, root, assertOutsideUntouched } = stage(t)
  symlinkSync('../outside', join(root, 'dir'))
  symlinkSync('../outside/precious', join(root, 'file'))
  await assert.rejects(write([file('dir/precious')], { overwrite: 'if-newer' }), isUnsafe)
  assertOutsideUntouched()
  await write([file('file', 'new'), file('dir/precious', 'new')], { overwrite: 'always' })
  assert.deepEqual(listing(root), { 'dir/': '', 'dir/precious': 'new', file: 'new' })
  assertOutsideUntouched()
})

test('a symlink that takes the place of a folder of the backup gets neither its files nor its metadata', async (t) => {
  const { write, assertOutsideUntouched } = stage(t)
  for (const overwrite of [undefined, 'if-newer', 'if-changed', 'always'] as const) {
    const entries = [folder('a'), link('a', '../outside'), file('a/precious'), folder('a')]
    await assert.rejects(write(entries, { overwrite }))
    assertOutsideUntouched()
  }
})

test('a hardlink reaches only what this restore put in place', async (t) => {
  const { write, root, assertOutsideUntouched } = stage(t)
  symlinkSync('../outside/precious', join(root, 'there'))
  plant(root, { mine: 'mine' })
  for (const hardlink of ['there', 'mine', 'missing']) {
    await assert.rejects(write([file('x', '', { hardlink, open: undefined })], { overwrite: 'always' }), (error) =>
      isAppError(error, 'restore.failed'),
    )
  }
  await assert.rejects(
    write([
      link('first', '../outside/precious'),
      file('first', 'x', { links: 2 }),
      file('x', '', { hardlink: 'first', open: undefined }),
    ]),
  )
  assert.deepEqual(listing(root)['x'], undefined)
  assertOutsideUntouched()
})

test('a hardlink to something outside, found in the target, is replaced and not written through', async (t) => {
  const { write, root, assertOutsideUntouched } = stage(t)
  linkSync(join(root, '../outside/precious'), join(root, 'shared'))
  await write([file('shared', 'new')], { overwrite: 'always' })
  assert.equal(readFileSync(join(root, 'shared'), 'utf8'), 'new')
  assertOutsideUntouched()
})

test('a content longer than recorded is cut off before it fills the disk', async (t) => {
  const { write, root } = stage(t)
  let given = 0
  async function* bomb(): AsyncGenerator<Uint8Array> {
    for (; given < 10_000; given += 1) yield Buffer.alloc(100_000)
  }
  for (const size of [10, 1_000_000]) {
    given = 0
    await assert.rejects(write([file('bomb', '', { size, open: bomb })]), (error) =>
      isAppError(error, 'backup.damaged'),
    )
    assert.ok(given < 12, `${given} chunks were taken`)
  }
  assert.deepEqual(readdirSync(root), [])
})

test('a name that comes twice is refused, or the later one counts, and neither is followed', async (t) => {
  const { write, root } = stage(t)
  await assert.rejects(
    write([folder('new'), file('new/x', 'one'), file('new/x', 'two')], { overwrite: 'always' }),
    isUnsafe,
  )
  assert.equal(readFileSync(join(root, 'new/x'), 'utf8'), 'one')
})

test('a file is not made below what the backup says is a file', async (t) => {
  const { write, root } = stage(t)
  await assert.rejects(write([folder('n'), file('n/a', 'one'), file('n/a/b', 'two')]))
  assert.deepEqual(listing(root), { 'n/': '', 'n/a': 'one' })
})
