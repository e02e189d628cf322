/** The snapshot before, walked beside the source: what has not changed is taken over without being read. */
import { isAppError } from '../base/errors.ts'
import type { Entry, Timestamp } from '../model/entry.ts'
import type { Cancel } from '../model/vault.ts'
import { goTime, parseGoTime } from './go-time.ts'
import type { TreeNode } from './node.ts'
import { walkTree } from './read.ts'
import { readTree, type IndexedRepository } from './repository.ts'
import type { Folder } from './tree-writer.ts'
import { compareNames } from './tree.ts'

export class Previous {
  readonly #repository: IndexedRepository
  readonly #cancel: Cancel

  constructor(repository: IndexedRepository, cancel: Cancel) {
    this.#repository = repository
    this.#cancel = cancel
  }

  /** Of a folder of the snapshot before. One that cannot be read is as if it had been empty: its files are read anew. */
  async folder(node: TreeNode | undefined): Promise<Folder['before']> {
    if (node?.type !== 'dir') return undefined
    return this.tree(node.subtree)
  }

  async tree(subtree: string | undefined): Promise<Folder['before']> {
    if (subtree === undefined) return undefined
    try {
      return { subtree, nodes: await readTree(this.#repository, subtree, this.#cancel), next: 0 }
    } catch (error) {
      if (!isAppError(error, 'backup.damaged')) throw error
      return { subtree: undefined, nodes: [], next: 0 }
    }
  }

  seek(before: Folder['before'], name: string): TreeNode | undefined {
    if (before === undefined) return undefined
    for (;;) {
      const node = before.nodes[before.next]
      if (node === undefined) return undefined
      const order = node.name === name ? 0 : compareNames(node.name, name)
      if (order > 0) return undefined
      before.next += 1
      if (order === 0) return node
      this.#gone.push(node)
    }
  }

  /** Items that the source no longer has, until they are counted. */
  #gone: TreeNode[] = []

  /** The number of files that are gone, up to the end of this folder. */
  async rest(before: Folder['before']): Promise<number> {
    if (before !== undefined) {
      this.#gone.push(...before.nodes.slice(before.next))
      before.next = before.nodes.length
    }
    let files = 0
    for (const node of this.#gone.splice(0)) {
      if (node.type === 'file') files += 1
      if (node.subtree === undefined) continue
      const walk = walkTree(this.#repository, node.subtree, { ...this.#cancel, onUnreadable: () => undefined })
      for await (const { node: below } of walk) if (below.type === 'file') files += 1
    }
    return files
  }

  /** As restic judges; and all that it consists of must be in the repository, so that what was lost is stored again. */
  isUnchanged(before: TreeNode, now: Entry): boolean {
    return (
      before.type === 'file' &&
      before.content !== null &&
      Number(before.size ?? 0) === now.size &&
      now.inode !== undefined &&
      Number(before.inode ?? 0) === now.inode &&
      isSame(before.mtime, now.mtime) &&
      isSame(before.ctime, now.ctime) &&
      before.content.every((id) => this.#repository.index.has('data', id))
    )
  }
}

function isSame(before: string, now: Timestamp | undefined): boolean {
  if (now === undefined) return false
  if (goTime(now) === before) return true
  // Written in another zone.
  const time = parseGoTime(before)
  return time !== undefined && time.s === now.s && time.ns === now.ns
}
