/** Whether what is stored is what was written: packs by name and size, by their bytes, and every blob by itself. */
import { createHash } from 'node:crypto'
import { isAppError, type AppError } from '../base/errors.ts'
import { displayPath } from '../base/paths.ts'
import { throwIfAborted } from '../base/streams.ts'
import type { CheckOptions, CheckResult, Damage } from '../model/vault.ts'
import { keyOfFile } from './ids.ts'
import { entryLength } from './pack-header.ts'
import { SEAL_OVERHEAD } from './crypto.ts'
import { walkTree } from './read.ts'
import { inParallel, listFiles, readBlob, type IndexedRepository } from './repository.ts'
import type { StoredSnapshot } from './snapshot.ts'

const PATHS_SHOWN = 20

/** `packs`: sizes only, or their bytes too. `blobs`: every blob of the snapshots is opened. */
export type Depth = 'sizes' | 'packs' | 'blobs'

export async function examine(
  repository: IndexedRepository,
  snapshots: readonly StoredSnapshot[],
  depth: Depth,
  options: CheckOptions & { wholeVault?: boolean } = {},
): Promise<CheckResult> {
  const result: CheckResult = {
    ok: true,
    checked: { backups: snapshots.length, objects: 0, bytes: 0 },
    damage: [],
    notes: [],
  }
  const used = await usedPacks(repository, snapshots, result, options)
  const bad = await checkPacks(repository, used, depth, result, options)
  const badBlobs = depth === 'blobs' ? await checkBlobs(repository, snapshots, bad, result, options) : new Set<string>()
  if (bad.size > 0 || badBlobs.size > 0) await tellPaths(repository, snapshots, bad, badBlobs, result, options)
  result.ok = result.damage.length === 0
  return result
}

const named = (key: string, problem: string, backups: string[] = [], paths: string[] = []): Damage => ({
  key,
  problem,
  backups,
  paths,
  pathCount: paths.length,
})

const cancelOf = ({ signal }: CheckOptions): { signal?: AbortSignal } => (signal ? { signal } : {})

/** Numbers of the packs that hold something of the snapshots; what no index knows is damage at once. */
async function usedPacks(
  repository: IndexedRepository,
  snapshots: readonly StoredSnapshot[],
  result: CheckResult,
  options: CheckOptions,
): Promise<Set<number>> {
  const { index } = repository
  const packs = new Set<number>()
  for (const { id, snapshot } of snapshots) {
    const lost: string[] = []
    const note = (type: 'data' | 'tree', blob: string, path: string): void => {
      const entry = index.find(type, blob)
      if (entry === -1) lost.push(displayPath(`/${path}`))
      else packs.add(index.place(entry).pack)
    }
    note('tree', snapshot.tree, '')
    const onUnreadable = (error: AppError, path: string): void => {
      if (!lost.includes(displayPath(`/${path}`)))
        result.damage.push(named(`snapshots/${id}`, error.message, [id], [displayPath(`/${path}`)]))
    }
    for await (const { path, node } of walkTree(repository, snapshot.tree, { ...cancelOf(options), onUnreadable })) {
      if (node.subtree !== undefined) note('tree', node.subtree, path)
      for (const blob of node.content ?? []) note('data', blob, path)
      if (node.type === 'file' && node.content === null) lost.push(displayPath(`/${path}`))
    }
    const paths = [...new Set(lost)]
    if (paths.length > 0)
      result.damage.push({
        ...named(`snapshots/${id}`, 'needs blobs that no index names', [id], paths.slice(0, PATHS_SHOWN)),
        pathCount: paths.length,
      })
  }
  return packs
}

/** Gives the numbers of bad packs, with what is wrong with each. */
async function checkPacks(
  repository: IndexedRepository,
  used: ReadonlySet<number>,
  depth: Depth,
  result: CheckResult,
  options: CheckOptions & { wholeVault?: boolean },
): Promise<Map<number, string>> {
  const { packs, storage, index } = repository
  const expected = new Float64Array(packs.count).fill(SEAL_OVERHEAD + 4)
  for (let entry = 0; entry < index.count; entry += 1) {
    const { pack, length, uncompressedLength } = index.place(entry)
    expected[pack] = (expected[pack] ?? 0) + length + entryLength(uncompressedLength)
  }
  const sizes = new Map<string, number>()
  for await (const { id, size } of listFiles(storage, 'data', cancelOf(options))) sizes.set(id, size)
  const wanted = options.wholeVault === true ? Array.from({ length: packs.count }, (_, number) => number) : [...used]
  const bad = new Map<number, string>()
  for (const number of wanted) {
    const size = sizes.get(packs.id(number))
    if (size === undefined) bad.set(number, 'is missing')
    else if (size !== expected[number]) bad.set(number, `has ${size} bytes instead of ${expected[number] ?? 0}`)
    result.checked.objects += 1
  }
  if (options.wholeVault === true) {
    const known = new Set(wanted.map((number) => packs.id(number)))
    const orphans = [...sizes.keys()].filter((id) => !known.has(id)).length
    if (orphans > 0) result.notes.push(`${orphans} packs are in no index: left by interrupted runs, harmless`)
  }
  if (depth === 'sizes') return bad
  const share = options.readDataShare ?? 1
  const read = wanted.filter((number) => !bad.has(number) && Math.random() < share)
  await inParallel(read, 2, async (number) => {
    throwIfAborted(options.signal)
    const sum = createHash('sha256')
    try {
      for await (const chunk of storage.get(keyOfFile('data', packs.id(number)), cancelOf(options))) {
        sum.update(chunk)
        result.checked.bytes += chunk.length
      }
      if (sum.digest('hex') !== packs.id(number)) bad.set(number, 'has other bytes than were written')
    } catch (error) {
      if (!isAppError(error, 'storage.not-found', 'storage.truncated')) throw error
      bad.set(number, error.message)
    }
    const { objects, bytes } = result.checked
    const counters = { filesDone: objects, bytesDone: bytes, bytesStored: 0, current: packs.id(number) }
    options.onProgress?.({ type: 'progress', stage: 'check', counters })
  })
  return bad
}

/** Ids of data blobs that do not open, in packs that seem whole. Each is read once. */
async function checkBlobs(
  repository: IndexedRepository,
  snapshots: readonly StoredSnapshot[],
  bad: ReadonlyMap<number, string>,
  result: CheckResult,
  options: CheckOptions,
): Promise<Set<string>> {
  const { index } = repository
  const seen = new Uint8Array(index.count)
  const broken = new Set<string>()
  for (const { snapshot } of snapshots) {
    const walk = walkTree(repository, snapshot.tree, { ...cancelOf(options), onUnreadable: () => undefined })
    for await (const { node } of walk) {
      for (const blob of node.content ?? []) {
        const entry = index.find('data', blob)
        if (entry === -1 || seen[entry] === 1 || bad.has(index.place(entry).pack)) continue
        seen[entry] = 1
        try {
          result.checked.bytes += (await readBlob(repository, 'data', blob, cancelOf(options))).length
        } catch (error) {
          if (!isAppError(error, 'backup.damaged')) throw error
          broken.add(blob)
        }
      }
    }
  }
  return broken
}

/** One damage for each bad pack, with the snapshots and files that it touches. */
async function tellPaths(
  repository: IndexedRepository,
  snapshots: readonly StoredSnapshot[],
  bad: ReadonlyMap<number, string>,
  badBlobs: ReadonlySet<string>,
  result: CheckResult,
  options: CheckOptions,
): Promise<void> {
  const { index, packs } = repository
  const hits = new Map<number, Damage>()
  for (const [number, problem] of bad) hits.set(number, named(keyOfFile('data', packs.id(number)), problem))
  const hit = (type: 'data' | 'tree', blob: string, snapshot: string, path: string): void => {
    const entry = index.find(type, blob)
    if (entry === -1) return
    const { pack } = index.place(entry)
    if (badBlobs.has(blob) && !hits.has(pack))
      hits.set(pack, named(keyOfFile('data', packs.id(pack)), 'holds a blob that is not what it was'))
    const damage = hits.get(pack)
    if (damage === undefined || (!bad.has(pack) && !badBlobs.has(blob))) return
    if (!damage.backups.includes(snapshot)) damage.backups.push(snapshot)
    const shown = displayPath(`/${path}`)
    if (damage.paths.includes(shown)) return
    damage.pathCount += 1
    if (damage.paths.length < PATHS_SHOWN) damage.paths.push(shown)
  }
  for (const { id, snapshot } of snapshots) {
    hit('tree', snapshot.tree, id, '')
    const walk = walkTree(repository, snapshot.tree, { ...cancelOf(options), onUnreadable: () => undefined })
    for await (const { path, node } of walk) {
      if (node.subtree !== undefined) hit('tree', node.subtree, id, path)
      for (const blob of node.content ?? []) hit('data', blob, id, path)
    }
  }
  result.damage.push(...hits.values())
}
