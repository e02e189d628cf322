/** Random edits of a real folder, a dozen backups of random types: every point of the chain restores exactly. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { keysOf, openVault, type VaultOptions } from '../../test/support/archive.ts'
import { scratch } from '../../test/support/holdfast.ts'
import { backupFolder } from '../../test/support/odd-tree.ts'
import type { BackupOutcome, Vault } from '../model/vault.ts'
import { filesTarget } from '../sources/files/index.ts'
import { memory } from '../storage/memory.ts'
import { faulty } from '../testing/faulty-storage.ts'

/** Numbers from a seed, so that a failure can be had again. */
function randomFrom(seed: string): (below: number) => number {
  let count = 0
  return (below) => createHash('sha256').update(`${seed} ${count++}`).digest().readUInt32LE() % below
}

type Random = (below: number) => number

function allPaths(root: string, kind: 'file' | 'folder'): string[] {
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => (kind === 'file' ? entry.isFile() : entry.isDirectory()))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
}

const EDITS: ((root: string, random: Random) => void)[] = [
  function create(root, random) {
    const folders = [root, ...allPaths(root, 'folder')]
    const folder = folders[random(folders.length)] as string
    const size = [0, 1, 500, 70_000, 600_000][random(5)] as number
    const place = join(folder, `n${random(40)}${['', '.x', ' y', '-é'][random(4)]}`)
    if (!existsSync(place)) writeFileSync(place, Buffer.alloc(size, `${random(1000)} `))
  },
  function newFolder(root, random) {
    const folders = [root, ...allPaths(root, 'folder')]
    const place = join(folders[random(folders.length)] as string, `d${random(20)}`, 'in')
    tolerate(() => mkdirSync(place, { recursive: true }))
  },
  (root, random) => withFile(root, random, (file) => writeFileSync(file, `changed ${random(1e9)}`)),
  (root, random) => withFile(root, random, (file) => rmSync(file)),
  (root, random) =>
    withFile(root, random, (file) => tolerate(() => renameSync(file, join(root, `moved${random(50)}`)))),
  (root, random) => withFile(root, random, (file) => utimesSync(file, random(2e9), random(2e9))),
  (root, random) => withFile(root, random, (file) => chmodSync(file, 0o400 + random(0o400))),
  (root, random) => withFile(root, random, (file) => tolerate(() => linkSync(file, join(root, `hard${random(20)}`)))),
  (root, random) => tolerate(() => symlinkSync(`to ${random(100)}`, join(root, `sym${random(10)}`))),
  function fileToFolder(root, random) {
    withFile(root, random, (file) => {
      rmSync(file)
      mkdirSync(file)
      writeFileSync(join(file, 'inside'), `${random(100)}`)
    })
  },
  function folderToFile(root, random) {
    withFolder(root, random, (folder) => {
      rmSync(folder, { recursive: true })
      writeFileSync(folder, 'was a folder')
    })
  },
  (root, random) => withFolder(root, random, (folder) => rmSync(folder, { recursive: true })),
  (root, random) =>
    withFolder(root, random, (folder) => tolerate(() => renameSync(folder, join(root, `movedDir${random(20)}`)))),
]

function withFile(root: string, random: Random, work: (file: string) => void): void {
  const found = allPaths(root, 'file')
  if (found.length > 0) work(found[random(found.length)] as string)
}

function withFolder(root: string, random: Random, work: (folder: string) => void): void {
  const found = allPaths(root, 'folder')
  if (found.length > 0) work(found[random(found.length)] as string)
}

/** Some edits meet a name that is taken: then there is nothing to do. */
function tolerate(work: () => void): void {
  try {
    work()
  } catch (error) {
    assert.ok(error instanceof Error && 'code' in error, String(error))
  }
}

/** All that a restore must bring back; hard links by the names that share an inode. */
function picture(root: string): Record<string, unknown> {
  const inodes = new Map<bigint, string[]>()
  const found: Record<string, unknown> = {}
  for (const name of (readdirSync(root, { recursive: true }) as string[]).sort()) {
    const path = join(root, name)
    const stat = lstatSync(path, { bigint: true })
    const kind = stat.isFile() ? 'file' : stat.isDirectory() ? 'folder' : 'link'
    if (kind === 'file') inodes.set(stat.ino, [...(inodes.get(stat.ino) ?? []), name])
    found[name] = {
      kind,
      mode: Number(stat.mode & 0o7777n),
      mtime: stat.mtimeNs / 1000n,
      content: kind === 'file' ? readFileSync(path).toString('base64').slice(0, 4000) : undefined,
      sum: kind === 'file' ? createHash('sha256').update(readFileSync(path)).digest('hex') : undefined,
      target: kind === 'link' ? readlinkSync(path) : undefined,
    }
  }
  found['names of one inode'] = [...inodes.values()].filter((names) => names.length > 1)
  return found
}

const take = async (
  vault: Vault,
  root: string,
  type: 'full' | 'incremental' | 'differential',
  minute: number,
): Promise<BackupOutcome> =>
  backupFolder(vault, root, { type, time: new Date(Date.UTC(2024, 2, 15, 1, minute)) }, (warning) =>
    assert.fail(warning.message),
  )

const FORMS: Record<string, VaultOptions> = {
  'tar, zstd': {},
  'tar, gzip, many parts': { compression: { type: 'gzip' }, partSize: 50_000 },
  zip: { compression: { type: 'zip' } },
  'tar, brotli': { compression: { type: 'brotli', level: 1 } },
}

for (const [form, options] of Object.entries(FORMS)) {
  test(`every point of a random chain restores exactly, by the payloads that it needs alone (${form})`, async (t) => {
    const seed = process.env['HOLDFAST_TEST_SEED'] ?? randomBytes(4).toString('hex')
    t.diagnostic(`HOLDFAST_TEST_SEED=${seed}`)
    const random = randomFrom(seed)
    const dir = scratch(t, 'chain')
    const root = join(dir, 'source')
    mkdirSync(root)
    for (let n = 0; n < 25; n += 1) EDITS[random(2)]?.(root, random)
    const storage = faulty(memory())
    const vault = await openVault(storage, options)
    const points: { made: BackupOutcome; wanted: Record<string, unknown> }[] = []
    for (let n = 0; n < 12; n += 1) {
      const type = n === 0 ? 'full' : (['incremental', 'incremental', 'differential', 'full'] as const)[random(12) % 4]
      points.push({ made: await take(vault, root, type ?? 'full', n), wanted: picture(root) })
      for (let edits = random(12); edits > 0; edits -= 1) EDITS[random(EDITS.length)]?.(root, random)
    }
    for (const [n, { made, wanted }] of points.entries()) {
      const { id, needs } = made.backup
      storage.calls.length = 0
      const target = join(dir, `point${n}`)
      await filesTarget({ root: target, strip: root.slice(1) }).write(vault.open(id), {
        onWarning: ({ message }) => assert.fail(message),
      })
      assert.deepEqual(picture(target), wanted, `point ${n}, ${id}, seed ${seed}`)
      const touched = storage.calls.filter((call) => /^get .*\.(?:tar|zip)/.test(call))
      const mine = await payloadsOf(vault, touched)
      for (const owner of mine) assert.ok(owner === id || needs.includes(owner), `${id} read ${owner} without need`)
      for (const needed of needs) assert.ok(mine.has(needed), `${id} says it needs ${needed}, but did not read it`)
      assert.equal((await vault.verify(id, 'V2')).ok, true)
      rmSync(target, { recursive: true })
    }
    assert.deepEqual(
      (await vault.backups()).map(({ id, broken }) => [id, broken]),
      points.map(({ made }) => [made.backup.id, undefined]),
    )
    assert.equal((await vault.check({ readData: true })).ok, true)
    assert.deepEqual(await keysOf(storage, '.holdfast/'), [])
  })
}

/** Which backups the read payloads belong to: times are in the names, and in the ids. */
async function payloadsOf(vault: Vault, calls: readonly string[]): Promise<Set<string>> {
  const backups = await vault.backups()
  return new Set(
    calls.map((call) => {
      const stamp = /(\d{4}-\d\d-\d\d)_(\d\d-\d\d-\d\d)/.exec(call)
      const found = backups.find(({ id }) => id.includes(`${stamp?.[1]}T${stamp?.[2]}`))
      assert.ok(found, call)
      return found.id
    }),
  )
}
