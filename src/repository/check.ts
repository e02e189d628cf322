/** Whether what is stored is what was written: packs by name and size, by their bytes, and every blob by itself. */
import { isAppError, type AppError } from '../base/errors.ts'
import { displayPath } from '../base/paths.ts'
import type { CheckOptions, CheckResult, Damage } from '../model/vault.ts'
import { examinePacks } from './examine-packs.ts'
import { keyOfFile } from './ids.ts'
import { entryLength } from './pack-header.ts'
import { markUsed } from './pack-plan.ts'
import { SEAL_OVERHEAD } from './crypto.ts'
import { walkTree } from './read.ts'
import { listFiles, type IndexedRepository } from './repository.ts'
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
  const findings: Findings = { examined: new Set(), badBlobs: new Set() }
  const marking = usedPacks(repository, snapshots, result, options)
  // Of a whole vault all packs are read, by threads, while trees are read here.
  const checking = options.wholeVault === true ? Promise.resolve(new Set<number>()) : marking
  const packs = checking.then((used) => checkPacks(repository, used, depth, result, options, findings))
  await Promise.allSettled([marking, packs])
  await marking
  const bad = await packs
  if (bad.size > 0) await tellPaths(repository, snapshots, bad, findings, result, options)
  result.ok = result.damage.length === 0
  return result
}

/** Packs that were read blob by blob, and ids of the blobs that cannot be opened. */
interface Findings {
  examined: Set<number>
  badBlobs: Set<string>
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
  const packs = await packsOfWhole(repository, snapshots, options)
  if (packs !== undefined) return packs
  return packsOfDamaged(repository, snapshots, result, options)
}

/** Each tree is read once, however many snapshots have it; undefined when something is missing or cannot be read. */
async function packsOfWhole(
  repository: IndexedRepository,
  snapshots: readonly StoredSnapshot[],
  options: CheckOptions,
): Promise<Set<number> | undefined> {
  const { index } = repository
  try {
    const trees = snapshots.map(({ snapshot }) => snapshot.tree)
    const { used, missing } = await markUsed(repository, trees, cancelOf(options))
    if (missing.length > 0) return undefined
    const packs = new Set<number>()
    for (const [entry, isUsed] of used.entries()) if (isUsed === 1) packs.add(index.place(entry).pack)
    return packs
  } catch (error) {
    if (isAppError(error, 'backup.damaged')) return undefined
    throw error
  }
}

async function packsOfDamaged(
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
  { examined, badBlobs }: Findings,
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
  await examinePacks(
    repository,
    read.map((number) => ({ number, size: expected[number] as number })),
    {
      ...cancelOf(options),
      blobs: depth === 'blobs',
      onPack(number, { problem, bad: broken }, bytes) {
        result.checked.bytes += bytes
        if (problem !== undefined) bad.set(number, problem)
        if (depth === 'blobs') examined.add(number)
        for (const entry of broken) badBlobs.add(index.idOf(entry))
        const counters = {
          filesDone: result.checked.objects,
          bytesDone: result.checked.bytes,
          bytesStored: 0,
          current: packs.id(number),
        }
        options.onProgress?.({ type: 'progress', stage: 'check', counters })
      },
    },
  )
  return bad
}

/** One damage for each bad pack, with the snapshots and files that it touches. */
async function tellPaths(
  repository: IndexedRepository,
  snapshots: readonly StoredSnapshot[],
  bad: ReadonlyMap<number, string>,
  { examined, badBlobs }: Findings,
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
    const damage = hits.get(pack)
    // Of a pack that was read blob by blob it is known which are lost.
    if (damage === undefined || (examined.has(pack) && !badBlobs.has(blob))) return
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
