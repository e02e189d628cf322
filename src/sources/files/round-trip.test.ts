import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { linkSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { plantDeep, readTree, restored, scratch, type ReadTree } from '../../../test/support/file-tree.ts'
import type { Warning } from '../../model/progress.ts'
import { filesTarget, type FilesTargetSettings } from './index.ts'
import { loadLibc } from './libc.ts'

const isRoot = process.getuid?.() === 0
const exact = (await loadLibc()) !== undefined

/** What a restore must bring back of each entry. Folders' sizes, inodes and ctimes are the file system's own. */
function essence(tree: ReadTree, folder: string): unknown[] {
  const prefix = `${folder.slice(1)}/`
  return tree.entries
    .filter(({ path }) => path.startsWith(prefix))
    .map((entry) => ({
      path: entry.path.slice(prefix.length),
      kind: entry.kind,
      mode: entry.kind === 'symlink' ? undefined : entry.mode,
      // Without koffi a restore sets times to the microsecond.
      mtime: exact ? entry.mtime : Math.round(entry.mtime.s * 1e3 + entry.mtime.ns / 1e6) + 0,
      owner: [entry.uid, entry.gid],
      link: entry.linkTarget,
      links: entry.links,
      hardlink: entry.hardlink?.slice(prefix.length),
      rdev: entry.rdev,
      sparse: entry.sparse,
      xattrs: entry.xattrs
        ?.map(({ name, value }) => [name, Buffer.from(value).toString('hex')] as const)
        .toSorted(([a], [b]) => (a < b ? -1 : 1)),
      content: entry.content?.toString('latin1'),
    }))
}

async function roundTrip(from: string, to: string, settings: Partial<FilesTargetSettings> = {}): Promise<Warning[]> {
  const before = await readTree({ paths: [from] })
  const warnings: Warning[] = [...before.warnings]
  await filesTarget({ root: to, strip: from.slice(1), ...settings }).write(restored(before.entries), {
    onWarning: (warning) => warnings.push(warning),
  })
  assert.deepEqual(essence(await readTree({ paths: [to] }), to), essence(before, from))
  return warnings
}

const touch = (path: string | Buffer, time: string): void => {
  execFileSync('touch', ['-h', '-d', time, path.toString()])
}

test('an odd tree comes back with everything that it had', async (t) => {
  const from = scratch(t)
  mkdirSync(join(from, 'sub/sub'), { recursive: true })
  mkdirSync(join(from, 'empty'))
  for (const [name, size] of Object.entries({ none: 0, one: 1, page: 4096, 'over a chunk': 100_001, large: 900_000 }))
    writeFileSync(join(from, 'sub', name), Buffer.alloc(size, name))
  linkSync(join(from, 'sub/large'), join(from, 'again'))
  linkSync(join(from, 'sub/large'), join(from, 'sub/sub/and again'))
  symlinkSync('sub/none', join(from, 'link'))
  symlinkSync('x'.repeat(4000), join(from, 'long link'))
  execFileSync('mkfifo', ['-m', '611', join(from, 'fifo')])
  execFileSync('truncate', ['-s', '5M', join(from, 'sub/holes')])
  execFileSync('chmod', ['1777', join(from, 'empty')])
  execFileSync('chmod', [isRoot ? '0040' : '0440', join(from, 'sub/none')])
  touch(join(from, 'sub/one'), '1931-02-03T04:05:06.000000007Z')
  touch(join(from, 'link'), '2001-02-03T04:05:06.123456789Z')
  touch(join(from, 'fifo'), '2101-02-03T04:05:06.999999999Z')
  touch(join(from, 'sub/sub'), '1969-12-31T23:59:59.999999999Z')
  if (isRoot) {
    execFileSync('mknod', ['-m', '640', join(from, 'char'), 'c', '1', '3'])
    execFileSync('mknod', [join(from, 'block'), 'b', '4095', '1048575'])
    execFileSync('chown', ['-h', '12:34', join(from, 'link'), join(from, 'fifo'), join(from, 'sub/page')])
    execFileSync('chown', ['99999:99998', join(from, 'sub/sub')])
    execFileSync('chmod', ['6711', join(from, 'sub/page')])
    execFileSync('chmod', ['2775', join(from, 'sub/sub')])
  }
  assert.deepEqual(await roundTrip(from, scratch(t)), [])
})

test('names of every byte come back', async (t) => {
  const from = scratch(t)
  for (let byte = 1; byte < 256; byte += 1) {
    if (byte === 0x2f) continue
    const name = Buffer.concat([Buffer.from(`${from}/n`), Buffer.of(byte)])
    if (byte % 3 === 0) mkdirSync(name)
    else if (byte % 3 === 1) writeFileSync(name, `${byte}`)
    else symlinkSync(Buffer.of(byte, 0xff), name)
    if (byte % 3 === 0) writeFileSync(Buffer.concat([name, Buffer.of(0x2f, byte)]), `${byte}`)
  }
  assert.deepEqual(await roundTrip(from, scratch(t)), [])
})

test('paths of ten thousand bytes come back', async (t) => {
  const from = scratch(t)
  plantDeep(from, 40)
  assert.deepEqual(await roundTrip(from, scratch(t)), [])
})

test('attributes and ACLs come back, also default ones of folders and those of read-only files', async (t) => {
  if (!exact) return t.skip('no koffi')
  const from = scratch(t)
  mkdirSync(join(from, 'folder'))
  writeFileSync(join(from, 'folder/file'), 'x')
  writeFileSync(join(from, 'locked'), 'x', { mode: 0o400 })
  const set = (...args: string[]): boolean => spawnSync('setfattr', args).status === 0
  if (!set('-n', 'user.a', '-v', '0x00ff0a', join(from, 'folder'))) return t.skip('no extended attributes here')
  set('-n', 'user.empty', join(from, 'folder/file'))
  set('-n', 'user.long', '-v', 'x'.repeat(1500), join(from, 'folder/file'))
  set('-n', 'user.b', '-v', 'b', join(from, 'locked'))
  set('-n', 'trusted.c', '-v', 'c', join(from, 'locked'))
  execFileSync('setfacl', ['-d', '-m', 'u:1:rwx,g:2:r', join(from, 'folder')])
  execFileSync('setfacl', ['-m', 'u:3:rw', join(from, 'folder/file')])
  execFileSync('setfacl', ['-m', 'u:3:r', join(from, 'locked')])
  spawnSync('setcap', ['cap_net_raw+ep', join(from, 'locked')])
  assert.deepEqual(await roundTrip(from, scratch(t)), [])
})

test('holes stay holes, with the data where it was', async (t) => {
  const from = scratch(t)
  const script = `truncate -s 9M a; printf x | dd of=a bs=1 seek=5000001 conv=notrunc status=none
    truncate -s 6M b; dd if=/dev/zero of=b bs=4096 count=3 conv=notrunc status=none
    printf start > c; truncate -s 12345678 c; printf end >> c`
  execFileSync('sh', ['-c', script], { cwd: from })
  const to = scratch(t)
  assert.deepEqual(await roundTrip(from, to), [])
  const used = execFileSync('du', ['-sk', to], { encoding: 'utf8' }).split('\t')[0]
  assert.ok(Number(used) < 200, `${used} KiB`)
})

test('random trees come back', async (t) => {
  for (const seed of [1, 2, 3]) {
    const from = scratch(t)
    grow(from, seed)
    assert.deepEqual(await roundTrip(from, scratch(t)), [])
  }
})

/** A few hundred items of random kinds, names, modes and times; the same for the same seed. */
function grow(root: string, seed: number): void {
  let state = seed
  const next = (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
  const pieces = ['a', 'B', '.', '-', ' ', '~', 'é', '\u{1f4be}', '\n', '"', '\\', 'long'.repeat(12)]
  const folders = [root]
  const plain: string[] = []
  for (let at = 0; at < 250; at += 1) {
    const parent = folders[next(folders.length)] ?? root
    const name = `${Array.from({ length: 1 + next(3) }, () => pieces[next(pieces.length)]).join('')}${at}`
    const path = join(parent, name)
    const kind = next(10)
    if (kind < 3) {
      mkdirSync(path)
      folders.push(path)
    } else if (kind < 8 || plain.length === 0) {
      writeFileSync(path, Buffer.alloc(next(3) === 0 ? 0 : next(30_000), name))
      plain.push(path)
    } else if (kind === 8) symlinkSync(pieces[next(pieces.length)] ?? 'x', path)
    else linkSync(plain[next(plain.length)] ?? '', path)
  }
  for (const path of [...plain, ...folders.toReversed()]) {
    const times = [next(2 ** 31) - next(2 ** 31), next(1e9)] as const
    execFileSync('touch', ['-d', `@${times[0]}.${String(times[1]).padStart(9, '0')}`, path])
    if (isRoot) execFileSync('chmod', [(next(0o10000) & 0o1777).toString(8), path])
  }
}
