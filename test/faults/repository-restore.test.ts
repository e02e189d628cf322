/** Restores of repositories to a folder, whose threads write past the target: many files, damage, and sudden ends. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { lstatSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { systemClock, type Clock } from '../../src/base/clock.ts'
import { isAppError } from '../../src/base/errors.ts'
import { collect } from '../../src/base/streams.ts'
import type { Warning } from '../../src/model/progress.ts'
import type { RestoreOutcome } from '../../src/model/source.ts'
import type { Storage } from '../../src/model/storage.ts'
import type { Vault } from '../../src/model/vault.ts'
import { createRepository } from '../../src/repository/repository.ts'
import { vaultOf } from '../../src/repository/vault.ts'
import { filesTarget } from '../../src/sources/files/target.ts'
import { local } from '../../src/storage/local.ts'
import { memory } from '../../src/storage/memory.ts'
import { faulty } from '../../src/testing/faulty-storage.ts'
import { request, secret, type Tree } from '../support/archive.ts'
import { scratch } from '../support/file-tree.ts'

const clock: Clock = { ...systemClock, sleep: async () => undefined }
const MIB = 1024 * 1024

/** Small files enough for threads, some contents several times, files of several chunks, one mostly zeros. */
function manyFiles(): Tree {
  const tree: Tree = {}
  for (let n = 0; n < 900; n += 1) {
    tree[`part${n % 7}/`] = ''
    tree[`part${n % 7}/file${n}`] = n % 10 === 0 ? `the same ${n % 50}` : randomBytes(20 + (n % 40) * 100)
  }
  tree['large'] = randomBytes(6 * MIB)
  tree['zeros'] = Buffer.concat([randomBytes(5000), Buffer.alloc(5 * MIB), randomBytes(5000), Buffer.alloc(MIB)])
  tree['empty'] = ''
  return tree
}

interface Scene {
  tree: Tree
  id: string
  open(storage: Storage): Vault
  copy(storage: Storage): Promise<Storage>
}

const scene = (async (): Promise<Scene> => {
  const first = memory()
  const repository = await createRepository(first, secret('password'), { now: new Date(), p: 1 })
  const open = (storage: Storage): Vault =>
    vaultOf({ ...repository, storage }, { settings: { name: 'vault' }, clock, program: 'holdfast test' })
  const tree = manyFiles()
  const { backup } = await open(first).backup(request(tree, { type: 'auto', time: new Date() }))
  return {
    tree,
    id: backup.id,
    open,
    async copy(storage) {
      for await (const { key } of first.list('')) await storage.put(key, await collect(first.get(key)))
      return storage
    },
  }
})()

async function restore(
  vault: Vault,
  id: string,
  root: string,
  options: { signal?: AbortSignal; sparse?: boolean; onEntry?: () => void } = {},
): Promise<RestoreOutcome & { warnings: Warning[] }> {
  const { signal, sparse, onEntry } = options
  const warnings: Warning[] = []
  const entries = vault.open(id, { transient: true, ...(signal && { signal }) })
  const target = filesTarget({ root, ownership: false, ...(sparse !== undefined && { sparse }) })
  const outcome = await target.write(entries, {
    onWarning: (warning) => warnings.push(warning),
    ...(signal && { signal }),
    ...(onEntry && { onEntry }),
  })
  return { ...outcome, warnings }
}

/** What is below a folder; each file is whole, and none but those of the backup is there. */
function wholeFiles(root: string, tree: Tree): string[] {
  const found: string[] = []
  for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name).slice(root.length + 1)
    const wanted = tree[path]
    assert.ok(wanted !== undefined, `${path} is left over`)
    assert.ok(readFileSync(join(root, path)).equals(Buffer.from(wanted as string)), `${path} is not what it was`)
    found.push(path)
  }
  return found
}

const fileCount = (tree: Tree): number => Object.keys(tree).filter((path) => !path.endsWith('/')).length

for (const [name, storageOf] of [
  ['a folder, read by threads', (t: TestContext) => local({ path: scratch(t) })],
  ['a storage that gives streams', () => memory()],
] as const)
  test(`everything comes back from ${name}`, async (t) => {
    const { tree, id, open, copy } = await scene
    const root = join(scratch(t), 'out')
    const { files, bytes } = await restore(open(await copy(storageOf(t))), id, root, { sparse: true })
    assert.equal(wholeFiles(root, tree).length, fileCount(tree))
    assert.equal(files, fileCount(tree))
    const sizes = Object.values(tree).map((content) => Buffer.from(content as string).length)
    assert.equal(
      bytes,
      sizes.reduce((a, b) => a + b),
    )
    const zeros = statSync(join(root, 'zeros'))
    assert.ok(zeros.blocks * 512 < 2 * MIB, `zeros take ${zeros.blocks * 512} bytes`)
    const file = lstatSync(join(root, 'part1/file1'))
    assert.deepEqual([file.mode & 0o777, Math.floor(file.mtimeMs)], [0o644, 1_700_000_000_000])
  })

test('what came wrong once is read again', async (t) => {
  const { tree, id, open, copy } = await scene
  const storage = faulty(await copy(memory()))
  for (const how of ['flip', 'truncate'] as const)
    storage.add({ on: 'get', key: /^data\//, how, bytes: 5000, after: 2, times: 1 })
  const root = join(scratch(t), 'out')
  await restore(open(storage), id, root)
  assert.equal(storage.faults, 2)
  assert.equal(wholeFiles(root, tree).length, fileCount(tree))
})

test('damage costs the files that it touches, and leaves nothing of them', async (t) => {
  const { tree, id, open, copy } = await scene
  const storage = await copy(local({ path: scratch(t) }))
  let largest = { key: '', size: 0 }
  for await (const object of storage.list('data/')) if (object.size > largest.size) largest = object
  const bytes = Buffer.from(await collect(storage.get(largest.key)))
  for (const at of [1000, bytes.length >> 1]) bytes[at] = (bytes[at] as number) ^ 1
  await storage.put(largest.key, bytes)
  const root = join(scratch(t), 'out')
  const lost: string[] = []
  await assert.rejects(
    async () => {
      const vault = open(storage)
      await filesTarget({ root, ownership: false }).write(vault.open(id), {
        onWarning: ({ path }) => lost.push(path ?? ''),
      })
    },
    (error) => isAppError(error, 'backup.damaged'),
  )
  assert.ok(lost.length > 0)
  const there = wholeFiles(root, tree)
  assert.equal(there.length + lost.length, fileCount(tree))
  for (const path of lost) assert.ok(!there.includes(path), path)
})

test('a storage that goes away ends the restore with its own error, and leaves whole files only', async (t) => {
  const { tree, id, open, copy } = await scene
  const storage = faulty(await copy(memory()))
  // The trees and the first ranges are there.
  storage.add({ on: 'get', key: /^data\//, how: 'cut', bytes: 100_000, after: 3 })
  const root = join(scratch(t), 'out')
  await assert.rejects(restore(open(storage), id, root), (error) => isAppError(error, 'storage.unreachable'))
  assert.ok(storage.faults > 0)
  assert.ok(wholeFiles(root, tree).length < fileCount(tree))
})

test('a cancelled restore leaves whole files only', async (t) => {
  const { tree, id, open, copy } = await scene
  const vault = open(await copy(local({ path: scratch(t) })))
  for (const after of [1, 40, 300]) {
    const root = join(scratch(t), 'out')
    const cancel = new AbortController()
    let seen = 0
    const onEntry = (): void => {
      seen += 1
      if (seen === after) cancel.abort()
    }
    await assert.rejects(restore(vault, id, root, { signal: cancel.signal, onEntry }), (error) =>
      isAppError(error, 'run.cancelled'),
    )
    wholeFiles(root, tree)
  }
})
