/**
 * Snapshots that need what is lost, made again without it: files of which a part is missing are left out, folders whose tree is
 * missing are empty. What is left is whole, and plain restic reads it. The old ones stay unless they are to go.
 */
import type { Clock } from '../base/clock.ts'
import { isAppError } from '../base/errors.ts'
import { displayPath } from '../base/paths.ts'
import { throwIfAborted } from '../base/streams.ts'
import type { Cancel } from '../model/vault.ts'
import { keyOfFile } from './ids.ts'
import { readNotes } from './notes.ts'
import type { RepositoryLock } from './lock.ts'
import { encodeNode, type TreeNode } from './node.ts'
import { PackStore } from './pack-store.ts'
import { PackWriter } from './pack-writer.ts'
import { readTree, type IndexedRepository } from './repository.ts'
import { encodeSnapshot, type StoredSnapshot } from './snapshot.ts'
import { encodeTree } from './tree.ts'
import { storeUnpacked } from './unpacked.ts'
import { DEFAULT_LEVEL } from './zstd.ts'

/** As deep as a walk goes. */
const MOST_LEVELS = 2200

export interface SnapshotRepair extends Cancel {
  clock: Clock
  lock: RepositoryLock
  /** Remove the old ones, save those with a hold. */
  forget: boolean
  /** Told of each item that is left out, with its snapshot. */
  onLost: (snapshot: string, path: string) => void
}

/** Gives the ids of the new ones, by those of the old. */
export async function repairSnapshots(
  repository: IndexedRepository,
  snapshots: readonly StoredSnapshot[],
  options: SnapshotRepair,
): Promise<Map<string, string>> {
  const { clock, lock, forget, onLost, signal } = options
  const cancel: Cancel = signal ? { signal } : {}
  const { storage, key, config, index } = repository
  const store = new PackStore(repository, {
    clock,
    ...cancel,
    allowed: lock.confirmed,
    assertAllowed: () => lock.assertHeld(),
  })
  const level = config.version === 1 ? undefined : DEFAULT_LEVEL
  const writer = new PackWriter({ key, index, type: 'tree', level, verify: true }, store.memory('tree'))

  /** The id of the folder without what is lost. */
  async function mend(snapshot: string, tree: string, path: string, level: number): Promise<string> {
    throwIfAborted(signal)
    await store.room()
    const nodes = level < MOST_LEVELS ? await treeOf(tree) : undefined
    if (nodes === undefined) onLost(snapshot, displayPath(`/${path}`))
    const kept: TreeNode[] = []
    let same = nodes !== undefined
    for (const node of nodes ?? []) {
      const at = path === '' ? node.name : `${path}/${node.name}`
      if (node.type === 'dir') {
        const subtree = await mend(snapshot, node.subtree ?? '', at, level + 1)
        same &&= subtree === node.subtree
        kept.push({ ...node, subtree })
      } else if (node.type === 'file' && !(node.content ?? ['']).every((id) => index.has('data', id))) {
        onLost(snapshot, displayPath(`/${at}`))
        same = false
      } else kept.push(node)
    }
    return same ? tree : writer.store(encodeTree(kept.map(encodeNode))).toString('hex')
  }

  async function treeOf(id: string): Promise<TreeNode[] | undefined> {
    try {
      return await readTree(repository, id, cancel)
    } catch (error) {
      if (!isAppError(error, 'backup.damaged')) throw error
      return undefined
    }
  }

  const made = new Map<string, string>()
  try {
    const trees = new Map<string, string>()
    for (const { id, snapshot } of snapshots) trees.set(id, await mend(id, snapshot.tree, '', 0))
    store.rest(writer)
    await store.end()
    for (const { id, snapshot } of snapshots) {
      lock.assertHeld()
      const { hold, tags = snapshot.tags } = await readNotes(repository, id, cancel)
      // The counts of the old one are no longer true.
      const { summary: _, parent: __, ...rest } = snapshot
      const tree = trees.get(id) ?? snapshot.tree
      const mended = { ...rest, tree, original: snapshot.original ?? id, ...(tags && { tags }) }
      made.set(id, await storeUnpacked(storage, key, config.version, 'snapshots', encodeSnapshot(mended), cancel))
      if (forget && hold !== true) await storage.remove(keyOfFile('snapshots', id), cancel)
    }
    return made
  } finally {
    await store.settle()
  }
}
