import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { pathsBelow, plant, readTree, scratch } from '../../../test/support/file-tree.ts'
import type { FilesSettings } from '../../model/job.ts'

/** Reads a tree with settings and gives the files that were taken, or all paths. */
async function taken(
  t: TestContext,
  contents: Record<string, string>,
  settings: Partial<FilesSettings> | ((dir: string) => Partial<FilesSettings>),
  which: 'files' | 'all' = 'files',
): Promise<string[]> {
  const dir = scratch(t)
  plant(dir, contents)
  const tree = await readTree({ paths: [dir], ...(typeof settings === 'function' ? settings(dir) : settings) })
  const folders = new Set(tree.entries.filter(({ kind }) => kind === 'directory').map(({ path }) => path))
  return pathsBelow(tree, dir).filter((path) => which === 'all' || !folders.has(`${dir.slice(1)}/${path}`))
}

const SOME = {
  'a.tmp': '',
  'b.txt': '',
  'cache/x': '',
  'sub/a.tmp': '',
  'sub/cache/y': '',
  'sub/deep/cache': '',
  'sub/z': '',
}

test('a pattern without a slash matches at any depth, one with a slash behind it only folders', async (t) => {
  const found = await taken(t, SOME, { exclude: ['*.tmp', 'cache/'] }, 'all')
  assert.deepEqual(found, ['b.txt', 'sub', 'sub/deep', 'sub/deep/cache', 'sub/z'])
})

test('a pattern with a slash in front or within is anchored at the root', async (t) => {
  assert.deepEqual(await taken(t, SOME, { exclude: ['/cache', 'deep/cache', 'sub/z'] }), [
    'a.tmp',
    'b.txt',
    'sub/a.tmp',
    'sub/cache/y',
    'sub/deep/cache',
  ])
})

test('** stands for any number of folders', async (t) => {
  assert.deepEqual(await taken(t, SOME, { exclude: ['sub/**/cache', '**/z'] }), [
    'a.tmp',
    'b.txt',
    'cache/x',
    'sub/a.tmp',
  ])
})

test('! takes back, the last pattern counts, but nothing below an excluded folder comes back', async (t) => {
  assert.deepEqual(await taken(t, SOME, { exclude: ['*.tmp', '!sub/a.tmp', 'cache/', '!cache/x'] }), [
    'b.txt',
    'sub/a.tmp',
    'sub/deep/cache',
    'sub/z',
  ])
})

test('upper and lower case differ', async (t) => {
  assert.deepEqual(await taken(t, { 'A.TMP': '', 'a.tmp': '' }, { exclude: ['*.tmp'] }), ['A.TMP'])
})

test('an absolute path means that path, also with wildcards above the root', async (t) => {
  for (const pattern of [(dir: string) => `${dir}/cache`, (dir: string) => `${dir.replace('/tmp/', '/*/')}/cache/`]) {
    assert.deepEqual(await taken(t, SOME, (dir) => ({ exclude: [pattern(dir)] })), [
      'a.tmp',
      'b.txt',
      'sub/a.tmp',
      'sub/cache/y',
      'sub/deep/cache',
      'sub/z',
    ])
  }
})

test('each root has its own anchor, and a root inside an excluded folder is taken all the same', async (t) => {
  const found = await taken(t, { 'one/top': '', 'two/top': '', 'two/in/top': '', 'one/cache/keep/x': '' }, (dir) => ({
    paths: [join(dir, 'one'), join(dir, 'two'), join(dir, 'one/cache/keep')],
    exclude: ['/top', 'cache/'],
  }))
  assert.deepEqual(found, ['one/cache/keep/x', 'two/in/top'])
})

test('with include, only what matches is taken, with the folders on the way and no others', async (t) => {
  const found = await taken(t, SOME, { include: ['*.tmp', '/sub/cache'], exclude: ['/a.tmp'] }, 'all')
  assert.deepEqual(found, ['sub', 'sub/a.tmp', 'sub/cache', 'sub/cache/y'])
})

test('.holdfastignore files hold for their folder and below; the innermost that matches decides', async (t) => {
  const found = await taken(
    t,
    {
      '.holdfastignore': '# logs\n*.log\n/only-top\r\n\n',
      'a.log': '',
      'only-top': '',
      'sub/.holdfastignore': '!keep.log\nmine/',
      'sub/keep.log': '',
      'sub/b.log': '',
      'sub/only-top': '',
      'sub/mine/x': '',
      'mine/x': '',
    },
    {},
  )
  assert.deepEqual(found, ['.holdfastignore', 'mine/x', 'sub/.holdfastignore', 'sub/keep.log', 'sub/only-top'])
})

test('the settings outrank .holdfastignore, which can be switched off', async (t) => {
  const tree = { '.holdfastignore': '!a.tmp\nb.txt', 'a.tmp': '', 'b.txt': '', c: '' }
  assert.deepEqual(await taken(t, tree, { exclude: ['*.tmp', '!b.txt'] }), ['.holdfastignore', 'b.txt', 'c'])
  assert.deepEqual(await taken(t, tree, { ignoreFiles: false }), ['.holdfastignore', 'a.tmp', 'b.txt', 'c'])
})

test('a tagged folder is kept with its tag, and without the rest', async (t) => {
  const signature = 'Signature: 8a477f597d28d172789f06886806bc55\n# more'
  const found = await taken(
    t,
    {
      'cache/CACHEDIR.TAG': signature,
      'cache/x': '',
      'fake/CACHEDIR.TAG': 'none',
      'fake/x': '',
      'skip/.nobackup': '',
      'skip/in/x': '',
      'mine/.tag': 'head and more',
      'mine/x': '',
      'other/.tag': 'else',
      'other/x': '',
    },
    { excludeIfPresent: ['CACHEDIR.TAG', '.nobackup', '.tag:head'] },
    'all',
  )
  assert.deepEqual(found, [
    'cache',
    'cache/CACHEDIR.TAG',
    'fake',
    'fake/CACHEDIR.TAG',
    'fake/x',
    'mine',
    'mine/.tag',
    'other',
    'other/.tag',
    'other/x',
    'skip',
    'skip/.nobackup',
  ])
})

test('large and hidden files can be left out', async (t) => {
  const tree = { '.git/config': '', '.profile': '', big: 'x'.repeat(2000), small: 'x', 'sub/.h': '' }
  assert.deepEqual(await taken(t, tree, { excludeHidden: true, excludeLargerThan: '1k' }), ['small'])
})

test('names that are not UTF-8 can be matched around', async (t) => {
  const dir = scratch(t)
  const bytes = (text: string): Buffer => Buffer.concat([Buffer.from(`${dir}/`), Buffer.from(text, 'latin1')])
  mkdirSync(bytes('\xff'))
  mkdirSync(bytes('\xff.tmp'))
  const tree = await readTree({ paths: [dir], exclude: ['*.tmp'] })
  assert.deepEqual(pathsBelow(tree, dir), ['\udcff'])
})

test('one file system stops at mount points, whose folder itself is kept', async (t) => {
  if (process.getuid?.() !== 0) return t.skip('needs root')
  const dir = scratch(t)
  plant(dir, { 'mount/': '', other: '' })
  try {
    execFileSync('mount', ['-t', 'tmpfs', 'none', join(dir, 'mount')], { stdio: 'ignore' })
  } catch {
    return t.skip('cannot mount here')
  }
  try {
    plant(dir, { 'mount/inside': '' })
    const one = await readTree({ paths: [dir], oneFileSystem: true })
    assert.deepEqual(pathsBelow(one, dir), ['mount', 'other'])
    const both = await readTree({ paths: [dir, join(dir, 'mount')], oneFileSystem: true })
    assert.deepEqual(pathsBelow(both, dir), ['mount', 'mount/inside', 'other'])
    const all = await readTree({ paths: [dir] })
    assert.deepEqual(pathsBelow(all, dir), ['mount', 'mount/inside', 'other'])
  } finally {
    execFileSync('umount', [join(dir, 'mount')])
  }
})

test('what was left out is counted by rule', async (t) => {
  const dir = scratch(t)
  plant(dir, SOME)
  const { facts } = await readTree({ paths: [dir], exclude: ['*.tmp', 'cache/'] })
  assert.deepEqual(facts['excluded'], { 'exclude *.tmp': 2, 'exclude cache/': 2 })
})
