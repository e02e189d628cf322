/** The snapshot before, walked beside the source: what has not changed is taken over without being read. */
import { textOf } from '../base/bytes.ts'
import { isAppError } from '../base/errors.ts'
import type { Entry, Timestamp } from '../model/entry.ts'
import type { Cancel } from '../model/vault.ts'
import { goTime, parseGoTime } from './go-time.ts'
import { ID_LENGTH } from './ids.ts'
import type { TreeNode } from './node.ts'
import { walkTree } from './read.ts'
import { readBlob, readTree, type IndexedRepository } from './repository.ts'
import type { Snapshot } from './snapshot.ts'
import { compareNames, parseTree } from './tree.ts'

const BEGINNING = '{"nodes":['
const END = ']}\n'
const FILE = ',"content":['
const FOLDER = ',"content":null,"subtree":"'
const OTHER = ',"content":null}'
const ID_TEXT = 2 * ID_LENGTH
/** `"ID",` */
const ID_STEP = ID_TEXT + 3

/**
 * A folder of the snapshot before. Mostly nothing in it has changed: then the text of each item is what we would write
 * now, and comparing text costs a fraction of taking it apart. From the first item that differs on it is taken apart.
 */
export class Before {
  /** Undefined when it could not be read. */
  subtree: string | undefined
  readonly #text: string
  #at: number
  #passed = 0
  #nodes: TreeNode[] | undefined
  /** Items that the source no longer has. */
  gone: TreeNode[] = []
  /** What is in it was found under another name: see Previous.relative. */
  isMoved = false

  constructor(subtree: string | undefined, text: string) {
    this.subtree = subtree
    this.#text = text
    this.#at = text.startsWith(BEGINNING) ? BEGINNING.length : -1
  }

  /** Every item was the same, and no other is left. */
  get isSame(): boolean {
    return this.subtree !== undefined && this.#nodes === undefined && this.#text.startsWith(END, this.#at)
  }

  /** The JSON of the next item and the ids of its content, if it is a file that begins with `head`. */
  file(head: string): { json: string; ids: string[] } | undefined {
    const at = this.#begins(head, FILE)
    if (at === -1) return undefined
    const end = this.#text.indexOf(']', at)
    if (end === -1 || this.#text.charCodeAt(end + 1) !== 0x7d) return undefined
    const ids: string[] = []
    for (let id = at + 1; id < end; id += ID_STEP) ids.push(this.#text.slice(id, id + ID_TEXT))
    return { json: this.#text.slice(this.#at, end + 2), ids }
  }

  /** Its tree, if the next item is a folder that begins with `head`. */
  folder(head: string): string | undefined {
    const at = this.#begins(head, FOLDER)
    if (at === -1 || !this.#text.startsWith('"}', at + ID_TEXT)) return undefined
    const subtree = this.#text.slice(at, at + ID_TEXT)
    this.pass(at + ID_TEXT + 2)
    return subtree
  }

  other(head: string): boolean {
    const at = this.#begins(head, OTHER)
    if (at !== -1) this.pass(at)
    return at !== -1
  }

  /** Goes on behind an item that ends there. */
  pass(end: number): void {
    this.#passed += 1
    this.#at = this.#text.charCodeAt(end) === 0x2c ? end + 1 : end
  }

  passFile(json: string): void {
    this.pass(this.#at + json.length)
  }

  #begins(head: string, then: string): number {
    if (this.#nodes !== undefined || this.#at === -1 || !this.#text.startsWith(head, this.#at)) return -1
    const at = this.#at + head.length
    return this.#text.startsWith(then, at) ? at + then.length : -1
  }

  /** The item of that name. Items come in the same order here and there. */
  seek(name: string): TreeNode | undefined {
    const nodes = this.#parsed()
    for (;;) {
      const node = nodes[this.#passed]
      if (node === undefined) return undefined
      const order = node.name === name ? 0 : compareNames(node.name, name)
      if (order > 0) return undefined
      this.#passed += 1
      if (order === 0) return node
      this.gone.push(node)
    }
  }

  /** What the source no longer has. */
  end(): TreeNode[] {
    if (this.isMoved) return []
    if (!this.isSame) this.gone.push(...this.#parsed().slice(this.#passed))
    return this.gone
  }

  #parsed(): TreeNode[] {
    if (this.#nodes !== undefined) return this.#nodes
    try {
      return (this.#nodes = this.#text === '' ? [] : parseTree(this.#text, 'a tree of the snapshot before'))
    } catch (error) {
      if (!isAppError(error, 'backup.damaged')) throw error
      this.subtree = undefined
      return (this.#nodes = [])
    }
  }
}

export class Previous {
  readonly #repository: IndexedRepository
  readonly #cancel: Cancel

  constructor(repository: IndexedRepository, cancel: Cancel) {
    this.#repository = repository
    this.#cancel = cancel
  }

  /** One that cannot be read is as if it had been empty: its files are read anew. */
  async folder(subtree: string | undefined): Promise<Before | undefined> {
    if (subtree === undefined) return undefined
    try {
      return new Before(subtree, textOf(await readBlob(this.#repository, 'tree', subtree, this.#cancel)))
    } catch (error) {
      if (!isAppError(error, 'backup.damaged')) throw error
      return new Before(undefined, '')
    }
  }

  /**
   * The tree of a root of the source in a snapshot that names it otherwise: restic stores `backup folder` as `folder`, and
   * `backup .` as what is in it, without the folders above. `path`: of the root, in the snapshot's paths too.
   */
  async relative({ tree, paths }: Pick<Snapshot, 'tree' | 'paths'>, path: string): Promise<string | undefined> {
    if (!paths.includes(`/${path}`)) return undefined
    try {
      const nodes = await readTree(this.#repository, tree, this.#cancel)
      if (nodes.some(({ name }) => name === path.split('/', 1)[0])) return undefined
      const found = nodes.find(({ name }) => name === path.slice(path.lastIndexOf('/') + 1))
      return found === undefined ? (paths.length === 1 ? tree : undefined) : found.subtree
    } catch (error) {
      if (!isAppError(error, 'backup.damaged')) throw error
      return undefined
    }
  }

  /** The number of files that the source no longer has. */
  async filesGone(nodes: readonly TreeNode[]): Promise<number> {
    let files = 0
    for (const node of nodes) {
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
      this.hasAll(before.content)
    )
  }

  hasAll(ids: readonly string[]): boolean {
    for (const id of ids) if (!this.#repository.index.has('data', id)) return false
    return true
  }
}

function isSame(before: string, now: Timestamp | undefined): boolean {
  if (now === undefined) return false
  if (goTime(now) === before) return true
  // Written in another zone.
  const time = parseGoTime(before)
  return time !== undefined && time.s === now.s && time.ns === now.ns
}
