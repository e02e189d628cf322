import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { chunks, listing, plant, readTree, restored, scratch } from '../../../test/support/file-tree.ts'
import { isAppError } from '../../base/errors.ts'
import type { RestoredEntry } from '../../model/entry.ts'
import type { Warning } from '../../model/progress.ts'
import type { RestoreEffect, RestoreOutcome } from '../../model/source.ts'
import { filesTarget, type FilesTargetSettings } from './index.ts'
import { loadLibc } from './libc.ts'

interface Done {
  outcome: RestoreOutcome
  warnings: Warning[]
  effects: [string, RestoreEffect][]
}

async function write(
  settings: FilesTargetSettings,
  entries: AsyncIterable<RestoredEntry> | RestoredEntry[],
): Promise<Done> {
  const done: Omit<Done, 'outcome'> = { warnings: [], effects: [] }
  const outcome = await filesTarget(settings).write(Array.isArray(entries) ? fromArray(entries) : entries, {
    onWarning: (warning) => done.warnings.push(warning),
    onEntry: (entry, effect) => done.effects.push([entry.path, effect]),
  })
  return { outcome, ...done }
}

async function* fromArray(entries: RestoredEntry[]): AsyncGenerator<RestoredEntry> {
  yield* entries
}

const file = (path: string, text: string, more: Partial<RestoredEntry> = {}): RestoredEntry => ({
  path,
  kind: 'file',
  mode: 0o644,
  mtime: { s: 1_700_000_000, ns: 5 },
  size: text.length,
  open: () => chunks(Buffer.from(text)),
  ...more,
})

const folder = (path: string, mode = 0o755): RestoredEntry => ({
  path,
  kind: 'directory',
  mode,
  mtime: { s: 1_600_000_000, ns: 7 },
  size: 0,
})

const link = (path: string, linkTarget: string): RestoredEntry => ({
  path,
  kind: 'symlink',
  mode: 0o777,
  mtime: { s: 1_600_000_000, ns: 7 },
  size: 0,
  linkTarget,
})

test('entries in any order come out whole, with the metadata of folders set last', async (t) => {
  const dir = scratch(t)
  const big = 'x'.repeat(1_500_000)
  const { outcome, warnings } = await write({ root: join(dir, 'new/root') }, [
    file('a/b/big', big),
    file('a/b/small', 'small', { mode: 0o400 }),
    folder('a/b', 0o500),
    link('a/link', '../outside'),
    folder('a', 0o711),
    file('a/empty', '', { open: undefined }),
  ])
  assert.deepEqual(listing(join(dir, 'new/root')), {
    'a/': '',
    'a/b/': '',
    'a/b/big': big,
    'a/b/small': 'small',
    'a/empty': '',
    'a/link': '-> ../outside',
  })
  assert.deepEqual(warnings, [])
  assert.deepEqual([outcome.files, outcome.bytes, outcome.effects.create], [4, big.length + 5, 6])
  const stat = lstatSync(join(dir, 'new/root/a/b'), { bigint: true })
  const exact = (await loadLibc()) !== undefined
  assert.deepEqual([Number(stat.mode & 0o7777n), stat.mtimeNs], [0o500, 1_600_000_000_000_000_000n + (exact ? 7n : 0n)])
  const small = lstatSync(join(dir, 'new/root/a/b/small'), { bigint: true })
  assert.equal(small.mtimeNs, 1_700_000_000_000_000_000n + (exact ? 5n : 0n))
  assert.equal(statSync(join(dir, 'new/root/a')).mode & 0o777, 0o711)
})

test('strip takes a part, and leaves out what is above and beside it', async (t) => {
  const dir = scratch(t)
  await write({ root: dir, strip: 'srv/up' }, [
    folder('srv'),
    folder('srv/up'),
    file('srv/up/a/x', '1'),
    file('srv/other', '2'),
  ])
  assert.deepEqual(listing(dir), { 'a/': '', 'a/x': '1' })
  await write({ root: dir, strip: 'srv/single' }, [folder('srv'), file('srv/single', '3')])
  assert.equal(readFileSync(join(dir, 'single'), 'utf8'), '3')
})

test('by default nothing that exists is touched', async (t) => {
  const dir = scratch(t)
  plant(dir, { 'a/mine': 'mine' })
  utimesSync(join(dir, 'a'), 1, 1)
  await assert.rejects(write({ root: dir }, [folder('a'), file('a/mine', 'theirs')]), (error) =>
    isAppError(error, 'restore.exists'),
  )
  await write({ root: dir }, [folder('a', 0o700)])
  assert.equal(readFileSync(join(dir, 'a/mine'), 'utf8'), 'mine')
  assert.deepEqual([statSync(join(dir, 'a')).mtimeMs, statSync(join(dir, 'a')).mode & 0o777], [1000, 0o755])
})

test('never, if-newer, if-changed and always each do as they say', async (t) => {
  const old = 1_500_000_000
  const run = async (overwrite: FilesTargetSettings['overwrite']): Promise<unknown> => {
    const dir = scratch(t)
    plant(dir, { newer: 'here', older: 'here', same: 'text', touched: 'text' })
    utimesSync(join(dir, 'older'), old, old)
    utimesSync(join(dir, 'same'), old, old)
    const { effects } = await write({ root: dir, overwrite }, [
      file('newer', 'gone'),
      file('older', 'back'),
      file('same', 'text', { mtime: { s: old, ns: 0 } }),
      file('touched', 'text'),
      file('missing', 'new'),
    ])
    return [effects.map(([, effect]) => effect), Object.values(listing(dir))]
  }
  // In the order of the entries, then the contents by name: missing newer older same touched.
  assert.deepEqual(await run('never'), [
    ['keep', 'keep', 'keep', 'keep', 'create'],
    ['new', 'here', 'here', 'text', 'text'],
  ])
  assert.deepEqual(await run('if-newer'), [
    ['keep', 'replace', 'keep', 'keep', 'create'],
    ['new', 'here', 'back', 'text', 'text'],
  ])
  assert.deepEqual(await run('if-changed'), [
    ['replace', 'replace', 'unchanged', 'metadata', 'create'],
    ['new', 'gone', 'back', 'text', 'text'],
  ])
  assert.deepEqual(await run('always'), [
    ['replace', 'replace', 'replace', 'replace', 'create'],
    ['new', 'gone', 'back', 'text', 'text'],
  ])
})

test('a dry run tells the same effects and touches nothing', async (t) => {
  const dir = scratch(t)
  plant(dir, { 'a/changed': 'before', 'a/extra': 'x', 'a/same': 'y' })
  const entries = [
    folder('a'),
    file('a/changed', 'after!!'),
    file('b/new', 'z'),
    link('l', 'x'),
    file('a/same', 'y', { mtime: { s: 1, ns: 0 } }),
  ]
  utimesSync(join(dir, 'a/same'), 1, 1)
  chmodSync(join(dir, 'a/same'), 0o644)
  const before = listing(dir)
  const settings: FilesTargetSettings = { root: dir, overwrite: 'if-changed', delete: ['a'] }
  const dry = await write({ ...settings, dryRun: true }, entries)
  assert.deepEqual(listing(dir), before)
  const wet = await write(settings, entries)
  assert.deepEqual(dry.effects, wet.effects)
  assert.deepEqual(dry.outcome, wet.outcome)
  assert.deepEqual(wet.effects.at(-1), ['a/extra', 'delete'])
  const missing = await write({ root: join(dir, 'not/there'), dryRun: true }, entries)
  assert.equal(missing.outcome.effects.create, entries.length)
  assert.ok(!existsSync(join(dir, 'not')))
})

test('delete removes what the backup does not have, only where it was told, and follows no symlink', async (t) => {
  const dir = scratch(t)
  plant(dir, { 'out/precious': 'x', 'in/whole/stale/deep/x': '', 'in/whole/keep': '', 'in/other/y': '' })
  symlinkSync('../../out', join(dir, 'in/whole/link'))
  const { outcome } = await write({ root: join(dir, 'in'), overwrite: 'always', delete: ['whole'] }, [
    folder('whole'),
    folder('other'),
    file('whole/keep', 'new'),
  ])
  assert.deepEqual(listing(dir), {
    'in/': '',
    'in/other/': '',
    'in/other/y': '',
    'in/whole/': '',
    'in/whole/keep': 'new',
    'out/': '',
    'out/precious': 'x',
  })
  assert.equal(outcome.effects.delete, 2)
})

test('delete removes nothing after any failure', async (t) => {
  const dir = scratch(t)
  plant(dir, { 'a/extra': 'x' })
  const broken = file('a/bad', 'four', { size: 9 })
  await assert.rejects(write({ root: dir, overwrite: 'always', delete: ['a'] }, [folder('a'), broken]), (error) =>
    isAppError(error, 'backup.damaged'),
  )
  assert.deepEqual(listing(dir), { 'a/': '', 'a/extra': 'x' })
})

test('a damaged entry leaves the old file as it was, and the others are restored', async (t) => {
  const dir = scratch(t)
  plant(dir, { small: 'old', large: 'old' })
  async function* breaks(first: Buffer): AsyncGenerator<Uint8Array> {
    yield first
    throw Object.assign(new Error('no'), { code: 'EIO' })
  }
  const large = Buffer.alloc(600_000, 1)
  await assert.rejects(
    write({ root: dir, overwrite: 'always' }, [
      file('small', 'newtext', { open: () => breaks(Buffer.from('new')) }),
      file('large', '', { size: 900_000, open: () => breaks(large) }),
      file('fine', 'fine'),
    ]),
    (error) => isAppError(error, 'restore.failed') && /2 items/.test(error.message),
  )
  assert.deepEqual(listing(dir), { fine: 'fine', large: 'old', small: 'old' }, 'and nothing half-written stays')
})

test('hardlinks are made again, also when they come before the first name', async (t) => {
  const dir = scratch(t)
  await write({ root: dir }, [
    file('b/second', '', { hardlink: 'a/first', links: 2, open: undefined, size: 6 }),
    file('a/first', 'shared', { links: 2 }),
  ])
  assert.equal(statSync(join(dir, 'b/second')).ino, statSync(join(dir, 'a/first')).ino)
  await assert.rejects(
    write({ root: join(dir, 'part') }, [file('b/second', '', { hardlink: 'a/first', open: undefined })]),
    (error) => isAppError(error, 'restore.failed') && /not restored here/.test(error.message),
  )
})

test('zeros of a sparse file become holes', async (t) => {
  const dir = scratch(t)
  const content = Buffer.alloc(8 * 1024 * 1024)
  content.write('start', 0)
  content.write('odd place', 5_000_001)
  const sparse = file('s', '', { size: content.length, sparse: true, open: () => chunks(content, 77_777) })
  await write({ root: dir }, [
    sparse,
    file('all-zero', '', { size: 50_000, sparse: true, open: () => chunks(Buffer.alloc(50_000)) }),
  ])
  assert.deepEqual(readFileSync(join(dir, 's')), content)
  assert.ok(statSync(join(dir, 's')).blocks * 512 < 100_000)
  assert.deepEqual([statSync(join(dir, 'all-zero')).size, statSync(join(dir, 'all-zero')).blocks], [50_000, 0])
})

test('a restore that cannot fit is refused before it begins', async (t) => {
  const dir = scratch(t)
  await assert.rejects(write({ root: join(dir, 'x'), expectedBytes: 2 ** 60 }, [file('a', 'a')]), (error) =>
    isAppError(error, 'target.full'),
  )
  await assert.rejects(write({ root: dir }, [file('huge', '', { size: 2 ** 55 })]), (error) =>
    isAppError(error, 'target.full'),
  )
  assert.deepEqual(listing(dir), {})
})

test('cancelling ends it, with nothing half-written', async (t) => {
  const dir = scratch(t)
  const controller = new AbortController()
  async function* endless(): AsyncGenerator<Uint8Array> {
    for (;;) {
      yield Buffer.alloc(100_000)
      controller.abort()
    }
  }
  await assert.rejects(
    filesTarget({ root: dir }).write(fromArray([file('x', '', { size: 1e9, open: endless, sparse: true })]), {
      onWarning: () => undefined,
      signal: controller.signal,
    }),
    (error) => isAppError(error, 'run.cancelled'),
  )
  assert.deepEqual(readdirSync(dir), [])
})

test('without ownership there are no owners, setuid bits or devices', async (t) => {
  const dir = scratch(t)
  const { warnings } = await write({ root: dir, ownership: false }, [
    file('suid', 'x', { mode: 0o6755, uid: 12_345, gid: 12_345 }),
    { ...file('dev', ''), kind: 'chardev', rdev: { major: 1, minor: 3 }, open: undefined },
  ])
  const stat = statSync(join(dir, 'suid'))
  assert.deepEqual([stat.uid, stat.mode & 0o7777], [process.getuid?.(), 0o755])
  assert.deepEqual(
    warnings.map(({ code }) => code),
    ['skipped'],
  )
  assert.ok(!existsSync(join(dir, 'dev')))
})

test('a default ACL of an existing folder does not leak into what is restored', async (t) => {
  const dir = scratch(t)
  if ((await loadLibc()) === undefined) return t.skip('no koffi')
  if (spawnSync('setfacl', ['-d', '-m', 'u:1:rwx', dir]).status !== 0) return t.skip('no ACLs here')
  await write({ root: dir }, [file('plain', 'x'), folder('sub'), file('sub/plain', 'x')])
  for (const name of ['plain', 'sub', 'sub/plain'])
    assert.ok(!/user:(?:1|daemon)/.test(execFileSync('getfacl', ['-c', join(dir, name)], { encoding: 'utf8' })), name)
})

test('symlinks above the roots of the backup are followed in place, others are not', async (t) => {
  const dir = scratch(t)
  plant(dir, { 'releases/1/data/': '', 'elsewhere/': '' })
  symlinkSync('releases/1', join(dir, 'current'))
  symlinkSync('../../elsewhere', join(dir, 'releases/1/data/evil'))
  const settings: FilesTargetSettings = { root: dir, inPlace: ['current/data'], overwrite: 'if-newer' }
  await write(settings, [folder('current'), folder('current/data'), file('current/data/x', 'x')])
  assert.equal(readFileSync(join(dir, 'releases/1/data/x'), 'utf8'), 'x')
  await assert.rejects(write(settings, [file('current/data/evil/y', 'y')]), (error) =>
    isAppError(error, 'restore.unsafe'),
  )
  assert.deepEqual(readdirSync(join(dir, 'elsewhere')), [])
})

test('folders that others own are written through open descriptors, so that they can swap nothing', async (t) => {
  if (process.getuid?.() !== 0) return t.skip('needs root')
  const dir = scratch(t)
  mkdirSync(join(dir, 'theirs/sub'), { recursive: true })
  execFileSync('chown', ['-R', '1:1', join(dir, 'theirs')])
  const { warnings } = await write({ root: dir, overwrite: 'always' }, [
    folder('theirs'),
    file('theirs/sub/a/b', 'x'),
    file('theirs/big', 'y'.repeat(700_000)),
    link('theirs/sub/l', 'x'),
    folder('theirs/sub/a', 0o750),
  ])
  assert.deepEqual(warnings, [])
  assert.equal(readFileSync(join(dir, 'theirs/sub/a/b'), 'utf8'), 'x')
  assert.equal(statSync(join(dir, 'theirs/sub/a')).mode & 0o777, 0o750)
})

test('a file in the way of a folder, and a folder in the way of a file, give way only when told', async (t) => {
  const dir = scratch(t)
  writeFileSync(join(dir, 'f'), 'x')
  mkdirSync(join(dir, 'd'))
  plant(dir, { 'full/x': 'x' })
  await assert.rejects(write({ root: dir, overwrite: 'never' }, [file('f/x', 'x')]), (error) =>
    isAppError(error, 'restore.exists'),
  )
  await write({ root: dir, overwrite: 'always' }, [file('f/x', 'x'), file('d', 'd')])
  assert.deepEqual([listing(dir)['f/x'], listing(dir)['d']], ['x', 'd'])
  await assert.rejects(write({ root: dir, overwrite: 'always' }, [file('full', 'x')]), (error) =>
    isAppError(error, 'restore.failed'),
  )
  assert.equal(listing(dir)['full/x'], 'x')
})

test('restoring is repeatable: a second time nothing changes', async (t) => {
  const from = scratch(t)
  const to = scratch(t)
  plant(from, { 'a/b': '1', c: '2' })
  symlinkSync('c', join(from, 'l'))
  const { entries } = await readTree({ paths: [from] })
  await write({ root: to }, restored(entries))
  const again = await write({ root: to, overwrite: 'if-changed' }, restored(entries))
  assert.deepEqual(
    again.effects.filter(([path]) => !again.outcome.files && path.endsWith('/l')),
    [[`${from.slice(1)}/l`, 'unchanged']],
  )
  assert.deepEqual([again.outcome.files, again.outcome.effects.unchanged >= 3], [0, true])
})
