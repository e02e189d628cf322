/** What to do with each pack: a plan that only reads. docs/formats/repository.md, docs/engine.md. */
import type { OnProgress } from '../model/progress.ts'
import type { Cancel } from '../model/vault.ts'
import { PENDING } from './blob-index.ts'
import { SEAL_OVERHEAD } from './crypto.ts'
import type { BlobType } from './ids.ts'
import { entryLength } from './pack-header.ts'
import { inParallel, listFiles, readTree, type IndexedRepository } from './repository.ts'

export interface PruneLimits {
  /** The share of the repository that may stay unused, 0 to 1. */
  maxUnused?: number
  /** Bytes of packs that may be written anew in one run. */
  maxRepackBytes?: number
}

export interface PackPlan {
  /** Numbers of packs that nothing needs. */
  remove: number[]
  /** Numbers of packs whose used blobs are to be moved to new ones. */
  repack: number[]
  /** Ids of packs that no index names. */
  orphans: { id: string; size: number; modified: Date }[]
  /** By entry of the index: this copy of the blob is the one that is kept. */
  kept: Uint8Array
  bytes: { used: number; unused: number; orphans: number; removed: number; repacked: number; stays: number }
}

/** restic's default. */
const MAX_UNUSED = 0.05
/** Fully used packs that are smaller are put together, if there are enough of them. */
const SMALL_PACK = 0.8 * 4 * 1024 * 1024
const ENOUGH_SMALL = 10

/** Marks what the trees reach, by entry of the index; rejects when something is missing. */
export async function markUsed(
  repository: IndexedRepository,
  trees: readonly string[],
  cancel: Cancel = {},
): Promise<{ used: Uint8Array; missing: string[] }> {
  const { index } = repository
  const used = new Uint8Array(index.count)
  const missing = new Set<string>()
  let level = trees
  const mark = (type: BlobType, id: string): boolean => {
    const entry = index.find(type, id)
    if (entry === -1 || index.place(entry).pack === PENDING) missing.add(`${type} ${id}`)
    else if (used[entry] === 0) {
      used[entry] = 1
      return true
    }
    return false
  }
  level = trees.filter((id) => mark('tree', id))
  while (level.length > 0) {
    const next: string[] = []
    await inParallel(level, 4, async (id) => {
      for (const { content, subtree, type, name } of await readTree(repository, id, cancel)) {
        if ((type === 'file' && content === null) || (type === 'dir' && subtree === undefined))
          missing.add(`what is in ${name} of tree ${id}`)
        for (const blob of content ?? []) mark('data', blob)
        if (subtree !== undefined && mark('tree', subtree)) next.push(subtree)
      }
    })
    level = next
  }
  return { used, missing: [...missing] }
}

interface PackFacts {
  used: number
  unused: number
  size: number
  hasTree: boolean
  hasData: boolean
}

export async function planPacks(
  repository: IndexedRepository,
  used: Uint8Array,
  limits: PruneLimits,
  { signal }: Cancel & { onProgress?: OnProgress } = {},
): Promise<PackPlan> {
  const { index, packs, storage } = repository
  const kept = chooseCopies(repository, used)
  const facts: PackFacts[] = Array.from({ length: packs.count }, () => ({
    used: 0,
    unused: 0,
    size: SEAL_OVERHEAD + 4,
    hasTree: false,
    hasData: false,
  }))
  for (let entry = 0; entry < index.count; entry += 1) {
    const { pack, length, uncompressedLength } = index.place(entry)
    const one = facts[pack]
    if (one === undefined) continue
    one.size += length + entryLength(uncompressedLength)
    if (kept[entry] === 1) one.used += length
    else one.unused += length
    if (index.typeOf(entry) === 'tree') one.hasTree = true
    else one.hasData = true
  }
  const plan: PackPlan = {
    remove: [],
    repack: [],
    orphans: [],
    kept,
    bytes: { used: 0, unused: 0, orphans: 0, removed: 0, repacked: 0, stays: 0 },
  }
  const stored = new Set<number>()
  const known = new Map(facts.map((_, number) => [packs.id(number), number]))
  for await (const { id, size, modified } of listFiles(storage, 'data', signal ? { signal } : {})) {
    const number = known.get(id)
    if (number !== undefined) stored.add(number)
    else {
      plan.orphans.push({ id, size, modified })
      plan.bytes.orphans += size
    }
  }
  decide(plan, facts, stored, limits)
  return plan
}

/** Of a blob that lies in several packs one copy is kept: where all else is used too, if there is such a pack. */
function chooseCopies({ index, packs }: IndexedRepository, used: Uint8Array): Uint8Array {
  const kept = Uint8Array.from(used)
  const whole = new Uint8Array(packs.count).fill(1)
  const firstOf = (entry: number): number => index.find(index.typeOf(entry), index.idOf(entry))
  const copies = new Map<number, number[]>()
  for (let entry = 0; entry < index.count; entry += 1) {
    const first = firstOf(entry)
    if (used[first] !== 1) whole[index.place(entry).pack] = 0
    else if (first !== entry) copies.set(first, [...(copies.get(first) ?? [first]), entry])
  }
  for (const [first, entries] of copies) {
    const best = entries.find((entry) => whole[index.place(entry).pack] === 1) ?? first
    kept[first] = 0
    kept[best] = 1
  }
  return kept
}

function decide(plan: PackPlan, facts: readonly PackFacts[], stored: ReadonlySet<number>, limits: PruneLimits): void {
  const { bytes } = plan
  const { maxUnused = MAX_UNUSED, maxRepackBytes = Infinity } = limits
  const partly: number[] = []
  const small: number[] = []
  for (const [number, { used, unused, size, hasTree, hasData }] of facts.entries()) {
    bytes.used += used
    bytes.unused += unused
    if (used === 0) {
      plan.remove.push(number)
      if (stored.has(number)) bytes.removed += size
    } else if (unused > 0 || (hasTree && hasData)) partly.push(number)
    else if (size < SMALL_PACK) small.push(number)
  }
  // Trees are always put together, so that walks stay quick; then what wins most for the bytes that have to be moved.
  const gain = (number: number): number => {
    const { used, unused, hasTree } = facts[number] as PackFacts
    return hasTree ? Infinity : unused / Math.max(1, used)
  }
  partly.sort((a, b) => gain(b) - gain(a) || a - b)
  const removable = bytes.unused - plan.remove.reduce((sum, number) => sum + (facts[number] as PackFacts).unused, 0)
  const allowed = maxUnused >= 1 ? Infinity : (maxUnused / (1 - maxUnused)) * bytes.used
  let left = removable
  for (const number of partly) {
    const { unused, size, hasTree } = facts[number] as PackFacts
    const wanted = (hasTree || left > allowed) && bytes.repacked + size <= maxRepackBytes
    if (!wanted) continue
    plan.repack.push(number)
    bytes.repacked += size
    bytes.removed += unused
    left -= unused
  }
  bytes.stays = left
  if (small.length < ENOUGH_SMALL) return
  for (const number of small) {
    const { size } = facts[number] as PackFacts
    if (bytes.repacked + size > maxRepackBytes) break
    plan.repack.push(number)
    bytes.repacked += size
  }
}
