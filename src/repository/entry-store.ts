/** The loop over a source's entries: what the snapshot before has is carried over, the rest goes to the lanes. */
import { isAppError, type AppError } from '../base/errors.ts'
import { displayPath } from '../base/paths.ts'
import { throwIfAborted } from '../base/streams.ts'
import type { Entry, SourceEntry } from '../model/entry.ts'
import type { BackupRequest } from '../model/vault.ts'
import type { ContentStore } from './content.ts'
import { nodeOfEntry } from './entry-node.ts'
import { FileQueue } from './file-queue.ts'
import type { Lanes } from './lanes.ts'
import { SMALL } from './lane.ts'
import { encodeHead, type TreeNode } from './node.ts'
import type { PackStore } from './pack-store.ts'
import { Previous } from './previous.ts'
import type { Progress } from './progress.ts'
import type { IndexedRepository } from './repository.ts'
import type { Snapshot } from './snapshot.ts'
import type { Folder, TreeWriter } from './tree-writer.ts'

export interface EntryStoreParts {
  repository: IndexedRepository
  trees: TreeWriter
  lanes: Lanes
  content: ContentStore
  store: PackStore
  previous: Previous
  /** The snapshot before. */
  parent: Snapshot | undefined
  progress: Progress
}

export class EntryStore {
  readonly #parts: EntryStoreParts
  readonly #request: BackupRequest
  readonly #queue: FileQueue
  #folder: Folder
  /** Content of files with further names to come, by path. */
  readonly #linked = new Map<string, Promise<string[] | undefined>>()
  /** Files whose ids are awaited. */
  readonly #filling = new Set<Promise<void>>()

  constructor(parts: EntryStoreParts, request: BackupRequest) {
    this.#parts = parts
    this.#request = request
    this.#folder = parts.trees.root
    this.#queue = new FileQueue(parts.lanes)
  }

  async all(): Promise<void> {
    const { store, progress } = this.#parts
    const { signal } = this.#request
    for await (const entry of this.#request.reading.entries()) {
      throwIfAborted(signal)
      store.check()
      const slash = entry.path.lastIndexOf('/')
      const prefix = entry.path.slice(0, slash + 1)
      if (prefix !== this.#folder.prefix) await this.#goTo(prefix)
      const done = this.#entry(entry, entry.path.slice(slash + 1))
      if (done !== undefined) await done
      // Trees are made on this thread.
      if (store.crowded) await store.room()
      progress.tick()
    }
    await this.#queue.end()
    await this.#goTo('')
    await this.#leave()
    while (this.#filling.size > 0) await Promise.all(this.#filling)
    store.check()
  }

  /** Leaves and enters folders until the one of this prefix is open. */
  async #goTo(prefix: string): Promise<void> {
    while (!prefix.startsWith(this.#folder.prefix)) await this.#leave()
    for (let rest = prefix.slice(this.#folder.prefix.length); rest !== '';) {
      // Sources of databases name the streams alone.
      const name = rest.slice(0, rest.indexOf('/'))
      const mtime = { s: Math.floor(this.#request.time.getTime() / 1000), ns: 0 }
      const path = this.#folder.prefix + name
      await this.#enter({ path, kind: 'directory', mode: 0o755, mtime, size: 0 }, name)
      rest = rest.slice(name.length + 1)
    }
  }

  async #leave(): Promise<void> {
    const { trees, previous, progress } = this.#parts
    const folder = this.#folder
    const gone = folder.before?.end() ?? []
    if (gone.length > 0) progress.files.deleted += await previous.filesGone(gone)
    this.#folder = folder.parent ?? folder
    trees.leave(folder)
  }

  async #enter(entry: Entry, name: string): Promise<void> {
    const { trees, previous } = this.#parts
    const node = nodeOfEntry(entry, name)
    const { before } = this.#folder
    let subtree = before?.folder(encodeHead(node)) ?? before?.seek(name)?.subtree
    const { parent } = this.#parts
    if (subtree === undefined && parent !== undefined && this.#request.paths.includes(`/${entry.path}`))
      subtree = await this.#relative(parent, entry.path)
    this.#folder = trees.enter(this.#folder, node, await previous.folder(subtree))
  }

  async #relative(parent: Snapshot, path: string): Promise<string | undefined> {
    const { previous, trees } = this.#parts
    const subtree = await previous.relative(parent, path)
    if (subtree !== undefined && trees.root.before !== undefined) trees.root.before.isMoved = true
    return subtree
  }

  #entry(entry: SourceEntry, name: string): Promise<void> | undefined {
    if (entry.kind === 'directory') return this.#enter(entry, name)
    const { trees, progress, previous } = this.#parts
    const known = this.#folder.before
    const node = nodeOfEntry(entry, name)
    if (entry.kind !== 'file') {
      const head = encodeHead(node)
      if (known?.other(head) !== true) known?.seek(name)
      trees.addText(this.#folder, `${head},"content":null}`)
      return undefined
    }
    progress.file(entry.path)
    if (known !== undefined && entry.inode !== undefined && entry.ctime !== undefined) {
      const same = known.file(encodeHead(node))
      if (same !== undefined && previous.hasAll(same.ids)) {
        known.passFile(same.json)
        trees.addText(this.#folder, same.json)
        this.#unmodified(entry, same.ids)
        return undefined
      }
    }
    const before = known?.seek(name)
    if (before !== undefined && previous.isUnchanged(before, entry)) {
      this.#carryOver(entry, node, before)
      return undefined
    }
    if (before === undefined) progress.files.new += 1
    else progress.files.changed += 1
    const folder = this.#folder
    const place = trees.reserve(folder)
    if (entry.hardlink !== undefined) {
      const first = this.#linked.get(entry.hardlink) ?? Promise.resolve(undefined)
      this.#fill(folder, place, entry, name, first, entry.size)
      return undefined
    }
    const { local } = entry
    if (local === undefined || entry.sizeUnknown === true || entry.size > SMALL)
      return this.#slowly(folder, place, entry, name)
    local.complete()
    return this.#queue.add(entry, local, (ids) => {
      if (ids !== undefined) {
        progress.read(entry.size)
        progress.bytes += entry.size
        trees.fill(folder, place, { ...nodeOfEntry(entry, name), content: ids })
        return
      }
      this.#track(this.#slowly(folder, place, entry, name))
    })
  }

  #carryOver(entry: SourceEntry, node: TreeNode, before: TreeNode): void {
    node.content = before.content
    if (before.size !== undefined) node.size = before.size
    if (entry.xattrs === undefined && before.extended_attributes !== undefined)
      node.extended_attributes = before.extended_attributes
    this.#parts.trees.add(this.#folder, node)
    this.#unmodified(entry, before.content ?? [])
  }

  #unmodified(entry: SourceEntry, ids: string[]): void {
    const { progress } = this.#parts
    progress.files.unmodified += 1
    progress.bytes += entry.size
    progress.read(entry.size)
    if ((entry.links ?? 1) > 1 && entry.hardlink === undefined) this.#linked.set(entry.path, Promise.resolve(ids))
  }

  /** Through the source's own reader. Resolves when it has been read; the item is filled once its ids are there. */
  async #slowly(folder: Folder, place: number, entry: SourceEntry, name: string): Promise<void> {
    const { progress } = this.#parts
    let content: Promise<string[] | undefined> = Promise.resolve(undefined)
    let size = 0
    try {
      const reader = await entry.open?.()
      if (reader === undefined) throw new TypeError(`${entry.path} has no content`)
      try {
        const stored = await this.#parts.content.store(reader, {
          size: entry.size,
          ...(entry.extents && { extents: entry.extents }),
          onBytes: (bytes) => progress.read(bytes),
        })
        size = stored.size
        content = Promise.all(stored.ids)
      } finally {
        await reader.close()
      }
    } catch (error) {
      if (!isAppError(error, 'source.not-found', 'source.denied', 'source.failed')) throw error
      this.#unreadable(error, entry)
    }
    if ((entry.links ?? 1) > 1) this.#linked.set(entry.path, content)
    this.#fill(folder, place, entry, name, content, size)
  }

  #fill(
    folder: Folder,
    place: number,
    entry: SourceEntry,
    name: string,
    content: Promise<string[] | undefined>,
    size: number,
  ): void {
    const { trees, progress } = this.#parts
    this.#track(
      content.then((ids) => {
        if (ids !== undefined) progress.bytes += size
        trees.fill(folder, place, ids === undefined ? undefined : { ...nodeOfEntry(entry, name), size, content: ids })
      }),
    )
  }

  #track(work: Promise<void>): void {
    const filling = work
      .catch((error: unknown) => this.#parts.store.fail(error))
      .finally(() => this.#filling.delete(filling))
    this.#filling.add(filling)
  }

  #unreadable(error: AppError, entry: SourceEntry): void {
    const code = error.code === 'source.not-found' ? 'vanished' : 'unreadable'
    this.#parts.progress.warn(code, error.message, displayPath(entry.path))
  }
}
