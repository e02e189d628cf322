/** Zip archives as unzip, bsdtar and Python read them, beyond the old limits too. */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { exportArchive } from '../../src/archive/export.ts'
import { readerOfBytes } from '../../src/base/reader.ts'
import { collect } from '../../src/base/streams.ts'
import type { SourceEntry } from '../../src/model/entry.ts'
import { local } from '../../src/storage/local.ts'
import { memory } from '../../src/storage/memory.ts'
import { contents, openVault, readingOf, request } from '../support/archive.ts'
import { scratch } from '../support/holdfast.ts'
import { backupFolder, plantOdd, without } from '../support/odd-tree.ts'

/** Followed, each link gives what the name gave: further names of one file are links in a zip. */
const digest = (folder: string): string =>
  execFileSync(
    'bash',
    [
      '-c',
      `find . -type f -o -type l | LC_ALL=C sort | grep -av utf-8 | while read -r f; do echo "$f $(stat -Lc %a "$f") $(sha256sum < "$f")"; done`,
    ],
    { cwd: folder, encoding: 'utf8' },
  )

/** Programs have their own mind about names that are no UTF-8 or hold control characters. */
function plantPlain(root: string): void {
  mkdirSync(root)
  plantOdd(root)
  execFileSync('bash', ['-c', String.raw`rm -- *$'\t' *utf-8* 'only a hole' holes`], { cwd: root })
}

const PROGRAMS: Record<string, string[]> = {
  unzip: ['unzip', '-q', '-K'],
  bsdtar: ['bsdtar', '-xpf'],
}

for (const [program, command] of Object.entries(PROGRAMS)) {
  test(
    `${program} unpacks a zip backup to what was backed up, further names of one file as links`,
    { skip: without(program) },
    async (t) => {
      const dir = scratch(t, 'zip')
      const [root, target] = [join(dir, 'source'), join(dir, 'out')]
      mkdirSync(target)
      plantPlain(root)
      const vault = await openVault(local({ path: join(dir, 'vault') }), { compression: { type: 'zip' } })
      const { backup } = await backupFolder(vault, root)
      const archive = join(dir, 'vault/job/2024-03-15_14-30-45_full.zip')
      const env = { ...process.env, LC_ALL: 'C.UTF-8' }
      execFileSync(command[0] ?? '', [...command.slice(1), archive], { cwd: target, stdio: 'ignore', env })
      assert.equal(digest(join(target, root.slice(1))), digest(root))
      assert.match(digest(root), /same as large/)
      // Holdfast itself makes them names of one file again.
      let links = 0
      for await (const entry of vault.entries(backup.id)) if (entry.hardlink !== undefined) links += 1
      assert.equal(links, 2)
    },
  )
}

test('a dump as zip holds every file, further names of one file as links', { skip: without('unzip') }, async (t) => {
  const dir = scratch(t, 'zipdump')
  const [root, target] = [join(dir, 'source'), join(dir, 'out')]
  mkdirSync(target)
  plantPlain(root)
  const vault = await openVault(memory())
  const { backup } = await backupFolder(vault, root)
  const archive = join(dir, 'dump.zip')
  writeFileSync(archive, await collect(exportArchive(vault.open(backup.id), 'zip')))
  execFileSync('unzip', ['-q', '-K', archive], { cwd: target, stdio: 'ignore' })
  assert.equal(digest(join(target, root.slice(1))), digest(root))
})

const small = (path: string, bytes: Uint8Array): SourceEntry => ({
  path,
  kind: 'file',
  mode: 0o600,
  mtime: { s: 1_500_000_000, ns: 0 },
  size: bytes.length,
  open: () => readerOfBytes(bytes),
})

test(
  'more than 65,535 entries, and members of unknown size, are read by unzip and Python',
  { skip: without('unzip', 'python3'), timeout: 120_000 },
  async (t) => {
    const dir = scratch(t, 'zip64')
    const count = 66_000
    function* entries(): Generator<SourceEntry> {
      for (let n = 0; n < count; n += 1) yield small(`f${String(n).padStart(5, '0')}`, Buffer.from(String(n)))
      yield { ...small('streamed', Buffer.alloc(3_000_000, 'content ')), sizeUnknown: true, size: 0 }
      yield small('zeros', Buffer.alloc(2_000_000))
    }
    const vault = await openVault(local({ path: dir }), { compression: { type: 'zip' } })
    const { backup } = await vault.backup(request({}, { reading: readingOf(entries()) }))
    const archive = join(dir, 'job/2024-03-15_14-30-45_full.zip')
    assert.equal(spawnSync('unzip', ['-tqq', archive]).status, 0)
    const script = `import sys,zipfile
z=zipfile.ZipFile(sys.argv[1]); assert z.testzip() is None
print(len(z.namelist()), len(z.read('streamed')), z.read('f65999').decode(), z.getinfo('f00007').date_time[0])`
    assert.equal(
      execFileSync('python3', ['-c', script, archive], { encoding: 'utf8' }).trim(),
      `${count + 2} 3000000 65999 2017`,
    )
    const back = await contents(vault, backup.id, { want: ({ path }) => ['streamed', 'f00000'].includes(path) })
    assert.equal(back['streamed']?.length, 3_000_000)
    assert.equal(back['f00000'], '0')
  },
)
