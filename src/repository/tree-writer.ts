/**
 * Folders in the making. Entries come in path order; what is in a file comes later, from a thread. A folder is written
 * when the walk has left it and nothing in it is awaited; its parent then gets its id.
 */
import type { PackWriter } from './pack-writer.ts'
import type { Before } from './previous.ts'
import { encodeNode, type TreeNode } from './node.ts'
import { encodeTree } from './tree.ts'

export interface Folder {
  /** With a `/` behind it; '' for the root. */
  readonly prefix: string
  /** Of the folder itself; undefined for the root. */
  readonly node: TreeNode | undefined
  readonly parent: Folder | undefined
  /** The same folder in the snapshot before. */
  readonly before: Before | undefined
  /** Its number among the items of its parent. */
  readonly place: number
  /** JSON of each item; undefined while it is awaited; '' for one that is left out. */
  readonly items: (string | undefined)[]
  awaited: number
  left: boolean
  /** A folder in it is not what it was. */
  differs: boolean
}

export type FolderChange = 'new' | 'changed' | 'unmodified'

export class TreeWriter {
  readonly root: Folder
  /** Id of the tree of the root, when it is written. */
  tree: string | undefined
  readonly #writer: PackWriter
  readonly #onFolder: (change: FolderChange) => void

  constructor(writer: PackWriter, before: Before | undefined, onFolder: (change: FolderChange) => void) {
    this.#writer = writer
    this.#onFolder = onFolder
    this.root = newFolder('', undefined, undefined, before)
  }

  /** A folder in the one that is open; it takes items until it is left. */
  enter(parent: Folder, node: TreeNode, before: Before | undefined): Folder {
    return newFolder(`${parent.prefix}${node.name}/`, node, parent, before)
  }

  add(folder: Folder, node: TreeNode): void {
    folder.items.push(encodeNode(node))
  }

  /** An item whose JSON is known. */
  addText(folder: Folder, json: string): void {
    folder.items.push(json)
  }

  /** The place of an item that comes later by `fill`. */
  reserve(folder: Folder): number {
    folder.awaited += 1
    return folder.items.push(undefined) - 1
  }

  /** Undefined: it is left out. */
  fill(folder: Folder, place: number, node: TreeNode | undefined): void {
    folder.items[place] = node === undefined ? '' : encodeNode(node)
    folder.awaited -= 1
    this.#end(folder)
  }

  /** No more items come. */
  leave(folder: Folder): void {
    folder.left = true
    this.#end(folder)
  }

  #end(folder: Folder): void {
    if (!folder.left || folder.awaited > 0) return
    const { node, parent, place, before } = folder
    const id =
      before?.subtree !== undefined && before.isSame && !folder.differs
        ? before.subtree
        : this.#writer.store(encodeTree(folder.items.filter((item) => item !== ''))).toString('hex')
    if (parent === undefined || node === undefined) {
      this.tree = id
      return
    }
    this.#onFolder(before === undefined ? 'new' : before.subtree === id ? 'unmodified' : 'changed')
    if (before?.subtree !== id) parent.differs = true
    this.fill(parent, place, { ...node, subtree: id })
  }
}

function newFolder(
  prefix: string,
  node: TreeNode | undefined,
  parent: Folder | undefined,
  before: Before | undefined,
): Folder {
  const place = parent === undefined ? 0 : parent.items.push(undefined) - 1
  if (parent !== undefined) parent.awaited += 1
  return { prefix, node, parent, before, place, items: [], awaited: 0, left: false, differs: false }
}
