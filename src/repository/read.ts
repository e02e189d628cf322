/** The entries of a snapshot in path order, and their content. */
import { hash } from 'node:crypto'
import type { AppError } from '../base/errors.ts'
import { isAppError } from '../base/errors.ts'
import { displayPath, isUnder } from '../base/paths.ts'
import { throwIfAborted } from '../base/streams.ts'
import type { Entry, RestoredEntry } from '../model/entry.ts'
import type { Cancel, EntrySelection, OpenOptions } from '../model/vault.ts'
import type { Deliveries } from './deliveries.ts'
import { entryOfNode } from './entry-node.ts'
import type { TreeNode } from './node.ts'
import { damaged } from './parse.ts'
import { readBlob, readTree, type IndexedRepository } from './repository.ts'

export interface WalkedNode {
  path: string
  node: TreeNode
}

export interface WalkOptions extends Cancel {
  /** Only this path, what leads to it, and what is below it. */
  under?: string
  /** With it, a folder whose tree cannot be read is told and passed over. */
  onUnreadable?: (error: AppError, path: string) => void
}

/** Deeper than a path can be long: such a tree holds itself, or means harm. */
const MOST_LEVELS = 2200

/** Every node in the order of comparePaths, folders before what is in them. */
export async function* walkTree(
  repository: IndexedRepository,
  tree: string,
  options: WalkOptions = {},
): AsyncGenerator<WalkedNode> {
  const { under, onUnreadable, signal } = options
  const frames: { prefix: string; nodes: TreeNode[]; next: number }[] = []
  const enter = async (id: string, path: string): Promise<void> => {
    if (frames.length >= MOST_LEVELS) throw damaged(`the folder ${displayPath(path)}`, 'it is deeper than any can be')
    try {
      const nodes = await readTree(repository, id, signal ? { signal } : {})
      frames.push({ prefix: path === '' ? '' : `${path}/`, nodes, next: 0 })
    } catch (error) {
      if (onUnreadable === undefined || !isAppError(error)) throw error
      onUnreadable(error, path)
    }
  }
  await enter(tree, '')
  for (let frame = frames.at(-1); frame !== undefined; frame = frames.at(-1)) {
    throwIfAborted(signal)
    const node = frame.nodes[frame.next]
    if (node === undefined) {
      frames.pop()
      continue
    }
    frame.next += 1
    const path = frame.prefix + node.name
    if (under !== undefined && !isUnder(path, under) && !isUnder(under, path)) continue
    yield { path, node }
    if (node.type !== 'dir') continue
    if (node.subtree !== undefined) await enter(node.subtree, path)
    else if (onUnreadable === undefined) throw damaged(`the folder ${displayPath(path)}`, 'it has no tree')
    else onUnreadable(damaged(`the folder ${displayPath(path)}`, 'it has no tree'), path)
  }
}

interface Wanted {
  entry: Entry
  content: string[]
}

/** `withFolders`: what leads to a wanted entry comes too. */
async function* wanted(
  repository: IndexedRepository,
  tree: string,
  { want, under, signal }: EntrySelection,
  options: { withFolders: boolean; onUnreadable?: (error: AppError, path: string) => void },
): AsyncGenerator<Wanted> {
  /** Paths of first names of inodes, with their content. */
  const first = new Map<string, { path: string; content: string }>()
  let pending: Entry[] = []
  const { withFolders, onUnreadable } = options
  const walking = {
    ...(under !== undefined && { under }),
    ...(signal && { signal }),
    ...(onUnreadable && { onUnreadable }),
  }
  for await (const { path, node } of walkTree(repository, tree, walking)) {
    const entry = entryOfNode(node, path)
    if (entry === undefined) continue
    pending = pending.filter((folder) => path.startsWith(`${folder.path}/`))
    if ((under !== undefined && !isUnder(path, under)) || (want !== undefined && !want(entry))) {
      if (withFolders && entry.kind === 'directory') pending.push(entry)
      continue
    }
    for (const folder of pending) yield { entry: folder, content: [] }
    pending = []
    const content = node.content ?? []
    if (entry.kind === 'file') {
      entry.digest = digestOf(content)
      link(entry, first)
    }
    yield { entry, content }
  }
}

/** A further name of an inode becomes a hard link to the first one that is given. */
function link(entry: Entry, first: Map<string, { path: string; content: string }>): void {
  if (entry.links === undefined || entry.inode === undefined) return
  const inode = `${entry.device ?? 0}:${entry.inode}`
  const known = first.get(inode)
  const content = entry.digest ?? ''
  if (known === undefined) first.set(inode, { path: entry.path, content })
  else if (known.content === content) entry.hardlink = known.path
}

const digestOf = (content: readonly string[]): string =>
  content.length === 1 ? (content[0] as string) : hash('sha256', content.join(''), 'hex')

export async function* readEntries(
  repository: IndexedRepository,
  tree: string,
  selection: EntrySelection,
): AsyncGenerator<Entry> {
  for await (const { entry } of wanted(repository, tree, selection, { withFolders: false })) yield entry
}

/** An entry whose blobs no index knows is told before it is given; what turns out to be damaged rejects as it is read. */
export async function* openEntries(
  deliveries: Deliveries,
  tree: string,
  options: OpenOptions,
): AsyncGenerator<RestoredEntry> {
  const { repository } = deliveries
  const { onUnreadable, signal } = options
  const cancel = signal ? { signal } : {}
  const told = onUnreadable && ((error: AppError, path: string): void => onUnreadable(error, displayPath(path)))
  for await (const { entry, content } of wanted(repository, tree, options, {
    withFolders: true,
    ...(told && { onUnreadable: told }),
  })) {
    if (entry.kind !== 'file' || entry.hardlink !== undefined) {
      yield entry
      continue
    }
    const missing = content.find((id) => !repository.index.has('data', id))
    if (missing !== undefined) {
      const error = damaged(displayPath(entry.path), `its blob ${missing.slice(0, 8)} is in no index`)
      if (told === undefined) throw error
      told(error, entry.path)
      continue
    }
    const given: RestoredEntry = { ...entry, open: () => contentOf(repository, content, cancel) }
    const entries = deliveries.entriesOf(content, entry.size)
    if (entries !== undefined) given.deliver = (place, done) => deliveries.add(entries, entry.size, place, done)
    yield given
    const busy = deliveries.next()
    if (busy !== undefined) await busy
  }
  await deliveries.end()
}

/** One blob ahead of the consumer. */
async function* contentOf(
  repository: IndexedRepository,
  content: readonly string[],
  cancel: Cancel,
): AsyncGenerator<Uint8Array> {
  const read = (at: number): Promise<Buffer> | undefined => {
    const id = content[at]
    if (id === undefined) return undefined
    const blob = readBlob(repository, 'data', id, cancel)
    // Met at the await below.
    blob.catch(() => undefined)
    return blob
  }
  let next = read(0)
  for (let at = 1; next !== undefined; at += 1) {
    const blob: Buffer = await next
    next = read(at)
    yield blob
  }
}
