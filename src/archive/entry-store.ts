/** The loop over a source's entries: what is unchanged is carried over, the rest is stored. */
import { throwIfAborted } from '../base/streams.ts'
import type { SourceEntry, Timestamp } from '../model/entry.ts'
import type { BackupRequest } from '../model/vault.ts'
import type { BackupReport } from './backup-report.ts'
import type { BlockWriter } from './block-writer.ts'
import type { ContainerWriter, MaybePromise } from './container.ts'
import { ContentStore } from './content-store.ts'
import type { ArchiveContext, StoredManifest } from './context.ts'
import { entryLine, payloadOfSame, storedLength, type IndexEntry, type StoredContent } from './index-format.ts'
import type { IndexWriter } from './index-io.ts'
import type { ManifestStats } from './manifest.ts'
import { MAX_PAIRS, type PreviousCursor, type PreviousEntry } from './previous.ts'

export interface StoreTarget {
  cursor: PreviousCursor | undefined
  container: ContainerWriter
  blocks: BlockWriter
  index: IndexWriter
  /** Position of the payload in hand. */
  payload: number
  report: BackupReport
}

const LIST_LINE = 1000

export class EntryStore {
  readonly stats: ManifestStats = {
    files: 0,
    directories: 0,
    others: 0,
    bytes: 0,
    filesNew: 0,
    filesChanged: 0,
    filesUnmodified: 0,
    filesDeleted: 0,
    filesMoved: 0,
    bytesAdded: 0,
    warnings: 0,
  }
  /** Positions of the payloads that hold content of this backup. */
  readonly used = new Set<number>()
  entries = 0

  readonly #content: ContentStore
  readonly #deletedLines: string[] = []
  #deletedPaths: string[] = []
  readonly #deletedByHash = new Map<string, string>()

  constructor(context: ArchiveContext, parent: StoredManifest | undefined) {
    this.#content = new ContentStore(context, parent, this.stats, this.used)
  }

  async all(request: BackupRequest, target: StoreTarget): Promise<void> {
    const { cursor, index, report } = target
    for await (const entry of request.reading.entries()) {
      throwIfAborted(request.signal)
      const sought = cursor?.seek(entry.path)
      const previous = sought instanceof Promise ? await sought : sought
      const made =
        entry.open === undefined ? this.#member(entry, previous, target) : this.#file(entry, previous, target, request)
      const line = made instanceof Promise ? await made : made
      if (line === undefined) continue
      const full = index.line(line)
      if (full !== undefined) await full
      this.entries += 1
      this.#count(entry)
      report.tick()
    }
    await cursor?.finish()
  }

  /** Called for each entry of the parent that the source no longer has. */
  deleted(entry: IndexEntry): void {
    if (entry.kind === 'file') this.stats.filesDeleted += 1
    if (entry.content !== undefined && this.#deletedByHash.size < MAX_PAIRS)
      this.#deletedByHash.set(entry.content.hash, entry.path)
    this.#deletedPaths.push(entry.path)
    if (this.#deletedPaths.length >= LIST_LINE) this.#flushDeleted()
  }

  /** What comes after the entries: moves, deletions, facts, the frame table, the end mark. */
  async finish(index: IndexWriter, blocks: BlockWriter, request: BackupRequest): Promise<void> {
    const moved = this.#content.reused.flatMap(([hash, path]): [string, string][] => {
      const from = this.#deletedByHash.get(hash)
      return from === undefined ? [] : [[from, path]]
    })
    this.stats.filesMoved = moved.length
    this.#flushDeleted()
    for (const line of this.#deletedLines) await index.line(line)
    for (const some of slices(moved)) await index.line(JSON.stringify({ moved: some }))
    for (const some of slices(blocks.takeFrames())) await index.line(JSON.stringify({ frames: some }))
    const facts = request.reading.facts?.()
    if (facts !== undefined) await index.line(JSON.stringify({ facts }))
    await index.line(JSON.stringify({ end: true, entries: this.entries }))
  }

  #flushDeleted(): void {
    if (this.#deletedPaths.length > 0) this.#deletedLines.push(JSON.stringify({ deleted: this.#deletedPaths }))
    this.#deletedPaths = []
  }

  #count(entry: SourceEntry): void {
    if (entry.kind === 'file') this.stats.files += 1
    else if (entry.kind === 'directory') this.stats.directories += 1
    else this.stats.others += 1
  }

  /** Folders, links and the like: only those that differ go into the container of an incremental backup. */
  #member(entry: SourceEntry, previous: PreviousEntry | undefined, target: StoreTarget): MaybePromise<string> {
    const line = entryLine(entry)
    if (line === previous?.line) return line
    const written = target.container.member(entry)
    return written === undefined ? line : written.then(() => line)
  }

  #file(
    entry: SourceEntry,
    previous: PreviousEntry | undefined,
    target: StoreTarget,
    request: BackupRequest,
  ): MaybePromise<string | undefined> {
    target.report.file(entry.path)
    if (previous !== undefined) {
      const payload = payloadOfSame(previous.line, entry)
      if (payload !== undefined) return this.#carriedOver(previous.line, payload, entry.size, entry.size, target)
    }
    const old = previous?.entry
    if (previous !== undefined && old?.content !== undefined && isUnchanged(old, entry)) {
      const { content, size } = old
      return this.#carriedOver(previous.line, content.payload, size, storedLength(content, size), target)
    }
    const stored = this.#content.store(entry, old, target, request)
    return stored instanceof Promise
      ? stored.then((content) => this.#storedLine(entry, old, content))
      : this.#storedLine(entry, old, stored)
  }

  #carriedOver(line: string, payload: number, size: number, stored: number, target: StoreTarget): string {
    this.stats.filesUnmodified += 1
    this.stats.bytes += size
    if (stored > 0) this.used.add(payload)
    target.report.read(size)
    return line
  }

  #storedLine(entry: SourceEntry, old: IndexEntry | undefined, stored: StoredContent | undefined): string | undefined {
    if (stored === undefined) return undefined
    if (old === undefined) this.stats.filesNew += 1
    else this.stats.filesChanged += 1
    this.stats.bytes += stored.size
    return entryLine(entry, stored)
  }
}

/** As restic judges: size, modification and change time, and inode, all of them known. */
function isUnchanged(old: IndexEntry, now: SourceEntry): boolean {
  return (
    old.kind === 'file' &&
    (old.listedSize ?? old.size) === now.size &&
    old.inode !== undefined &&
    old.inode === now.inode &&
    same(old.mtime, now.mtime) &&
    same(old.ctime, now.ctime)
  )
}

const same = (a: Timestamp | undefined, b: Timestamp | undefined): boolean =>
  a !== undefined && b !== undefined && a.s === b.s && a.ns === b.ns

function* slices<T>(items: readonly T[]): Generator<T[]> {
  for (let at = 0; at < items.length; at += LIST_LINE) yield items.slice(at, at + LIST_LINE)
}
