/** The loop over a source's entries: what is unchanged is carried over, the rest is stored. */
import { isAppError } from '../base/errors.ts'
import { displayPath } from '../base/paths.ts'
import type { ByteReader } from '../base/reader.ts'
import { throwIfAborted } from '../base/streams.ts'
import type { SourceEntry, Timestamp } from '../model/entry.ts'
import type { BackupRequest } from '../model/vault.ts'
import type { BackupReport } from './backup-report.ts'
import type { BlockWriter } from './block-writer.ts'
import { contentHash, isStored, SMALL, type ContainerWriter } from './container.ts'
import type { ArchiveContext, StoredManifest } from './context.ts'
import { entryLine, storedLength, type ContentPlace, type IndexEntry } from './index-format.ts'
import type { IndexWriter } from './index-io.ts'
import type { ManifestStats } from './manifest.ts'
import { contentTable, type ContentTable, type PreviousCursor, type PreviousEntry } from './previous.ts'
import { withKnownSize } from './spool.ts'

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
/** Moves are paired in memory, so not without bound; more of them are recorded as deleted and new. */
const MAX_PAIRS = 100_000

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

  readonly #context: ArchiveContext
  readonly #parent: StoredManifest | undefined
  #table: ContentTable | undefined
  readonly #deletedLines: string[] = []
  #deletedPaths: string[] = []
  readonly #deletedByHash = new Map<string, string>()
  readonly #reused: [hash: string, path: string][] = []

  constructor(context: ArchiveContext, parent: StoredManifest | undefined) {
    this.#context = context
    this.#parent = parent
  }

  async all(request: BackupRequest, target: StoreTarget): Promise<void> {
    const { cursor, index, report } = target
    for await (const entry of request.reading.entries()) {
      throwIfAborted(request.signal)
      const sought = cursor?.seek(entry.path)
      const previous = sought instanceof Promise ? await sought : sought
      const line =
        entry.open === undefined
          ? await this.#member(entry, previous, target)
          : await this.#file(entry, previous, target, request)
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
    const moved = this.#reused.flatMap(([hash, path]): [string, string][] => {
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
  #member(entry: SourceEntry, previous: PreviousEntry | undefined, target: StoreTarget): string | Promise<string> {
    const line = entryLine(entry)
    if (line === previous?.line) return line
    const written = target.container.member(entry)
    return written === undefined ? line : written.then(() => line)
  }

  async #file(
    entry: SourceEntry,
    previous: PreviousEntry | undefined,
    target: StoreTarget,
    request: BackupRequest,
  ): Promise<string | undefined> {
    target.report.file(entry.path)
    const old = previous?.entry
    if (old?.content !== undefined && isUnchanged(old, entry)) {
      this.stats.filesUnmodified += 1
      this.stats.bytes += old.size
      this.#use(old.content, old.size)
      target.report.read(old.size)
      return (previous as PreviousEntry).line
    }
    const stored = await this.#content(entry, old, target, request)
    if (stored === undefined) return undefined
    if (old === undefined) this.stats.filesNew += 1
    else this.stats.filesChanged += 1
    this.stats.bytes += stored.size
    return entryLine({
      ...entry,
      size: stored.size,
      content: stored.content,
      ...(stored.size !== entry.size && { listedSize: entry.size }),
    })
  }

  /** Stores the content or finds it in the chain; undefined when it could not be read, which has been reported. */
  async #content(
    entry: SourceEntry,
    old: IndexEntry | undefined,
    target: StoreTarget,
    request: BackupRequest,
  ): Promise<{ size: number; content: ContentPlace } | undefined> {
    let reader: ByteReader | undefined
    try {
      reader = await open(entry)
      if (entry.sizeUnknown === true) reader = await withKnownSize(reader)
      const size = reader.size ?? entry.size
      if (size > SMALL && entry.extents === undefined && (await this.#mayKnow(old, size))) {
        const known = await this.#knownLarge(entry, old, reader, target)
        if (known !== undefined) return known
        await reader.close()
        reader = await open(entry)
      }
      const table = await this.#chainContent()
      const known = (hash: string, bytes: number): ContentPlace | undefined =>
        sameAs(old, hash, bytes) ?? table?.find(hash, bytes)
      const result = await target.container.file(entry, counted(reader, target.report), known)
      if (!isStored(result)) return this.#reuse(entry, old, result, size)
      this.stats.bytesAdded += result.size
      const content = { ...result.place, payload: target.payload }
      this.#use(content, result.size)
      return { size: result.size, content }
    } catch (error) {
      if (!isAppError(error, 'source.not-found', 'source.denied', 'source.failed')) throw error
      this.stats.warnings += 1
      const code = error.code === 'source.not-found' ? 'vanished' : 'unreadable'
      request.onProgress?.({ type: 'warning', code, message: error.message, path: displayPath(entry.path) })
      return undefined
    } finally {
      await reader?.close()
    }
  }

  /** Nothing has to be read for what is empty. */
  #use(content: ContentPlace, size: number): void {
    if (storedLength(content, size) > 0) this.used.add(content.payload)
  }

  async #mayKnow(old: IndexEntry | undefined, size: number): Promise<boolean> {
    if (this.#parent === undefined) return false
    return old?.size === size || ((await this.#chainContent())?.hasLarge(size) ?? false)
  }

  /** Reads a large file once to see whether the chain has it; reading twice is cheaper than storing twice. */
  async #knownLarge(
    entry: SourceEntry,
    old: IndexEntry | undefined,
    reader: ByteReader,
    target: StoreTarget,
  ): Promise<{ size: number; content: ContentPlace } | undefined> {
    const hash = contentHash()
    const chunk = Buffer.allocUnsafe(1024 * 1024)
    let size = 0
    for (let got = await reader.read(chunk); got > 0; got = await reader.read(chunk)) {
      hash.update(chunk.subarray(0, got))
      size += got
      target.report.tick()
    }
    const digest = hash.digest()
    const place = sameAs(old, digest, size) ?? (await this.#chainContent())?.find(digest, size)
    return place && this.#reuse(entry, old, place, size)
  }

  #reuse(
    entry: SourceEntry,
    old: IndexEntry | undefined,
    content: ContentPlace,
    size: number,
  ): { size: number; content: ContentPlace } {
    if (old === undefined && this.#reused.length < MAX_PAIRS) this.#reused.push([content.hash, entry.path])
    this.#use(content, size)
    return { size, content }
  }

  /** The chain's content, read when the first file needs it. */
  async #chainContent(): Promise<ContentTable | undefined> {
    if (this.#parent === undefined) return undefined
    this.#table ??= await contentTable(this.#context, this.#parent)
    return this.#table
  }
}

async function open(entry: SourceEntry): Promise<ByteReader> {
  const opened = entry.open?.()
  if (opened === undefined) throw new Error(`${entry.path} has no content`)
  return opened instanceof Promise ? await opened : opened
}

function counted(reader: ByteReader, report: BackupReport): ByteReader {
  return {
    ...(reader.size !== undefined && { size: reader.size }),
    close: () => reader.close(),
    read(into) {
      const got = reader.read(into)
      if (typeof got === 'number') {
        report.read(got)
        report.tick()
        return got
      }
      return got.then((count) => {
        report.read(count)
        report.tick()
        return count
      })
    },
  }
}

function sameAs(old: IndexEntry | undefined, hash: string, size: number): ContentPlace | undefined {
  return old?.content?.hash === hash && old.size === size && old.content.extents === undefined ? old.content : undefined
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
