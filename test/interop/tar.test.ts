/** Full archives are ordinary files: GNU tar and bsdtar unpack them to what was backed up, through ordinary tools. */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { exportArchive } from '../../src/archive/export.ts'
import { padding, sparseMap, tarHeader } from '../../src/archive/tar.ts'
import { collect } from '../../src/base/streams.ts'
import { local } from '../../src/storage/local.ts'
import { backupSeries, contents, openVault, readingOf, request, type VaultOptions } from '../support/archive.ts'
import { scratch } from '../support/holdfast.ts'
import { backupFolder, essenceOf, plantOdd, without, type Keeps } from '../support/odd-tree.ts'
import { memory } from '../../src/storage/memory.ts'

const ZLIB = `python3 -c 'import sys,zlib; sys.stdout.buffer.write(zlib.decompress(sys.stdin.buffer.read()))'`
const FORMS: Record<string, { options: VaultOptions; expand: string; tool: string; check?: string }> = {
  zstd: { options: {}, expand: 'zstd -dc', tool: 'zstd', check: 'zstd -tq' },
  gzip: { options: { compression: { type: 'gzip', level: 9 } }, expand: 'gzip -dc', tool: 'gzip', check: 'gzip -t' },
  brotli: { options: { compression: { type: 'brotli' } }, expand: 'brotli -dc', tool: 'brotli' },
  deflate: { options: { compression: { type: 'deflate' } }, expand: ZLIB, tool: 'python3' },
  none: { options: { compression: { type: 'none' } }, expand: 'cat', tool: 'cat' },
}

const TARS: Record<string, { command: string; keeps: Keeps }> = {
  tar: { command: `tar --xattrs --xattrs-include='*' --numeric-owner -xpf -`, keeps: { oldFractions: false } },
  // It writes the holes of sparse files, but not exactly where they were.
  bsdtar: { command: 'bsdtar --numeric-owner -xpf -', keeps: { holes: false, oldFractions: false } },
}

/** GNU tar finds 1965 unlikely. */
const HARMLESS = /implausibly old time stamp/

const shell = (command: string, cwd: string): { status: number | null; stderr: string } =>
  spawnSync('bash', ['-o', 'pipefail', '-c', command], { cwd, encoding: 'utf8', maxBuffer: 1e9 })

for (const [form, { options, expand, tool, check }] of Object.entries(FORMS)) {
  for (const [tar, { command, keeps }] of Object.entries(TARS)) {
    for (const partSize of [undefined, 20_000]) {
      const parts = partSize === undefined ? 'one part' : 'many parts joined by cat'
      test(
        `${tar} unpacks tar with ${form}, ${parts}, to what was backed up`,
        { skip: without(tar, tool) },
        async (t) => {
          const dir = scratch(t, 'tar')
          const [root, target] = [join(dir, 'source'), join(dir, 'out')]
          mkdirSync(root)
          mkdirSync(target)
          plantOdd(root)
          const vault = await openVault(local({ path: join(dir, 'vault') }), {
            ...options,
            ...(partSize && { partSize }),
          })
          await backupFolder(vault, root)
          const archive = `${join(dir, 'vault', 'job')}/2024-03-15_14-30-45_full.tar*`
          const { status, stderr } = shell(`cat ${archive} | ${expand} | ${command}`, target)
          assert.equal(status, 0, stderr)
          assert.deepEqual(
            stderr.split('\n').filter((line) => line && !HARMLESS.test(line)),
            [],
          )
          assert.deepEqual(await essenceOf(join(target, root.slice(1)), keeps), await essenceOf(root, keeps))
          if (check !== undefined) assert.equal(shell(`cat ${archive} | ${check}`, dir).status, 0)
        },
      )
    }
  }
}

test('what a dump gives as tar unpacks to the tree', { skip: without('tar') }, async (t) => {
  const dir = scratch(t, 'dump')
  const [root, target] = [join(dir, 'source'), join(dir, 'out')]
  mkdirSync(root)
  mkdirSync(target)
  plantOdd(root)
  const vault = await openVault(memory())
  const { backup } = await backupFolder(vault, root)
  const input = await collect(exportArchive(vault.open(backup.id), 'tar'))
  execFileSync('tar', ['--xattrs', '--xattrs-include=*', '--numeric-owner', '-xpf', '-'], { cwd: target, input })
  const keeps = { holes: false, oldFractions: false }
  assert.deepEqual(await essenceOf(join(target, root.slice(1)), keeps), await essenceOf(root, keeps))
})

test(
  'a file whose reading fails half-way, or that shrinks, leaves a tar that unpacks for all others',
  { skip: without('tar') },
  async (t) => {
    const dir = scratch(t, 'torn')
    const vault = await openVault(local({ path: join(dir, 'vault') }), { compression: { type: 'none' } })
    const { entriesOf, failingReader } = await import('../support/archive.ts')
    const { AppError } = await import('../../src/base/errors.ts')
    const { readerOfBytes } = await import('../../src/base/reader.ts')
    const part = Buffer.alloc(700_000, 'part ')
    const entries = entriesOf({
      a: 'first',
      bad: Buffer.alloc(1),
      gone: Buffer.alloc(1),
      shrunk: Buffer.alloc(1),
      z: 'last',
    }).map((entry) => {
      if (entry.path === 'bad')
        return { ...entry, size: 900_000, open: () => failingReader(part, new AppError('source.failed', 'disk')) }
      if (entry.path === 'gone')
        return {
          ...entry,
          size: 100,
          open: () => failingReader(Buffer.from('x'), new AppError('source.not-found', 'gone')),
        }
      return entry.path === 'shrunk' ? { ...entry, size: 900_000, open: () => readerOfBytes(part) } : entry
    })
    const warnings: string[] = []
    const { backup } = await vault.backup(
      request(
        {},
        { reading: readingOf(entries), onProgress: (event) => event.type === 'warning' && warnings.push(event.code) },
      ),
    )
    assert.deepEqual(warnings, ['unreadable', 'vanished'])
    assert.equal(backup.warnings, 2)
    assert.deepEqual(await contents(vault, backup.id), { a: 'first', shrunk: part.toString(), z: 'last' })
    assert.equal((await vault.verify(backup.id, 'V2')).ok, true)
    const { status, stderr } = shell(`tar -xOf ${join(dir, 'vault/job/*.tar')} a z`, dir)
    assert.equal(`${status} ${stderr}`, '0 ')
  },
)

test(
  'headers of files of 8 GiB and more, and of sparse ones, have the sizes that tar reads',
  { skip: without('tar') },
  () => {
    const entry = {
      path: 'big',
      kind: 'file' as const,
      mode: 0o644,
      mtime: { s: 0, ns: 0 },
      size: 0,
      uid: 3_000_000,
      gid: 1,
    }
    for (const size of [2 ** 33 - 1, 2 ** 33, 5 * 2 ** 40]) {
      const header = tarHeader({ ...entry, size }, size)
      const { stdout } = spawnSync('tar', ['--numeric-owner', '-tvf', '-'], { input: header, encoding: 'utf8' })
      assert.match(stdout, new RegExp(`3000000/1 +${size} `))
    }
    const extents: [number, number][] = [
      [2 ** 35, 512],
      [2 ** 40 - 512, 512],
    ]
    const map = sparseMap(extents, 2 ** 40)
    assert.equal(map.length % 512, 0)
    const content = Buffer.alloc(1024, 'x')
    const input = Buffer.concat([
      tarHeader({ ...entry, size: 2 ** 40 }, map.length + 1024, map),
      map,
      content,
      Buffer.alloc(padding(1024) + 1024),
    ])
    const { stdout, status } = spawnSync('tar', ['-tvf', '-'], { input, encoding: 'utf8' })
    assert.equal(status, 0)
    assert.match(stdout, / 1099511627776 .* big/)
  },
)

test(
  'the parts of a chain unpacked in order hold what its last backup holds',
  { skip: without('tar', 'zstd') },
  async (t) => {
    const dir = scratch(t, 'steps')
    const make = backupSeries(await openVault(local({ path: join(dir, 'vault') })))
    await make({ a: 'first', b: 'second' })
    await make({ a: 'changed', b: 'second' }, { type: 'incremental' })
    await make({ a: 'changed', b: 'second', c: 'third' }, { type: 'incremental' })
    const { status } = shell(
      `for f in ../vault/job/*.tar.zst; do zstd -dcq $f | tar -xf - || exit 1; done`,
      mkdirs(dir, 'out'),
    )
    assert.equal(status, 0)
    const { listing } = await import('../support/file-tree.ts')
    assert.deepEqual(listing(join(dir, 'out')), { a: 'changed', b: 'second', c: 'third' })
  },
)

function mkdirs(...parts: string[]): string {
  const dir = join(...parts)
  mkdirSync(dir, { recursive: true })
  return dir
}
