/** The content of one file: stored, unless the chain has it. */
import { isAppError } from '../base/errors.ts'
import { displayPath } from '../base/paths.ts'
import type { ByteReader } from '../base/reader.ts'
import type { SourceEntry } from '../model/entry.ts'
import type { BackupRequest } from '../model/vault.ts'
import type { BackupReport } from './backup-report.ts'
import { contentHash, isStored, SMALL, type ContainerWriter, type MaybePromise, type StoredFile } from './container.ts'
import type { ArchiveContext, StoredManifest } from './context.ts'
import { storedLength, type ContentPlace, type IndexEntry, type StoredContent } from './index-format.ts'
import type { ManifestStats } from './manifest.ts'
import { contentTable, MAX_PAIRS, type ContentTable } from './previous.ts'
import { withKnownSize } from './spool.ts'

export interface ContentTarget {
  container: ContainerWriter
  /** Position of the payload in hand. */
  payload: number
  report: BackupReport
}

export class ContentStore {
  /** New paths of content that the chain had. */
  readonly reused: [hash: string, path: string][] = []
  readonly #context: ArchiveContext
  readonly #parent: StoredManifest | undefined
  readonly #stats: ManifestStats
  readonly #used: Set<number>
  #table: ContentTable | undefined

  /** Adds to `stats`, and to `used` the position of each payload that holds what it was given. */
  constructor(context: ArchiveContext, parent: StoredManifest | undefined, stats: ManifestStats, used: Set<number>) {
    this.#context = context
    this.#parent = parent
    this.#stats = stats
    this.#used = used
  }

  /**
   * Undefined when it could not be read, which has been reported. A hundred thousand small files must not wait for a
   * promise each, so what can be had at once is stored at once.
   */
  store(
    entry: SourceEntry,
    old: IndexEntry | undefined,
    target: ContentTarget,
    request: BackupRequest,
  ): MaybePromise<StoredContent | undefined> {
    const table = this.#table
    if (entry.sizeUnknown === true || entry.size > SMALL || (this.#parent !== undefined && table === undefined))
      return this.#slowly(entry, old, target, request, undefined)
    let opened: MaybePromise<ByteReader>
    try {
      opened = open(entry)
    } catch (error) {
      return this.#unreadable(error, entry, request)
    }
    if (opened instanceof Promise || opened.size !== undefined) return this.#slowly(entry, old, target, request, opened)
    const reader = opened
    let result: MaybePromise<StoredFile | ContentPlace>
    try {
      result = target.container.file(entry, reader, (hash, size) => knownPlace(hash, size, old, table))
    } catch (error) {
      return afterwards(reader.close(), () => this.#unreadable(error, entry, request))
    }
    if (result instanceof Promise) return this.#finish(result, reader, entry, old, target, request)
    const stored = this.#account(result, entry, old, target)
    return afterwards(reader.close(), () => stored)
  }

  async #finish(
    storing: Promise<StoredFile | ContentPlace>,
    reader: ByteReader,
    entry: SourceEntry,
    old: IndexEntry | undefined,
    target: ContentTarget,
    request: BackupRequest,
  ): Promise<StoredContent | undefined> {
    try {
      return this.#account(await storing, entry, old, target)
    } catch (error) {
      return this.#unreadable(error, entry, request)
    } finally {
      await reader.close()
    }
  }

  async #slowly(
    entry: SourceEntry,
    old: IndexEntry | undefined,
    target: ContentTarget,
    request: BackupRequest,
    opened: MaybePromise<ByteReader> | undefined,
  ): Promise<StoredContent | undefined> {
    let reader: ByteReader | undefined
    try {
      reader = await (opened ?? open(entry))
      const spooled = entry.sizeUnknown === true ? await withKnownSize(reader) : undefined
      reader = spooled ?? reader
      const size = reader.size ?? entry.size
      if (size > SMALL && entry.extents === undefined && (await this.#mayKnow(old, size))) {
        const known = await this.#knownLarge(old, reader, target)
        if (known !== undefined) return this.#reuse(entry, old, known.place, known.size)
        if (spooled === undefined) {
          await reader.close()
          reader = await open(entry)
        } else spooled.rewind()
      }
      const table = await this.#chainContent()
      const result = await target.container.file(entry, counted(reader, target.report), (hash, bytes) =>
        knownPlace(hash, bytes, old, table),
      )
      return isStored(result) ? this.#isNew(result, target) : this.#reuse(entry, old, result, size)
    } catch (error) {
      return this.#unreadable(error, entry, request)
    } finally {
      await reader?.close()
    }
  }

  #account(
    result: StoredFile | ContentPlace,
    entry: SourceEntry,
    old: IndexEntry | undefined,
    target: ContentTarget,
  ): StoredContent {
    const stored = isStored(result) ? this.#isNew(result, target) : this.#reuse(entry, old, result, entry.size)
    target.report.read(stored.size)
    return stored
  }

  #isNew({ size, place }: StoredFile, { payload }: ContentTarget): StoredContent {
    this.#stats.bytesAdded += size
    return this.#use({ ...place, payload }, size)
  }

  #reuse(entry: SourceEntry, old: IndexEntry | undefined, content: ContentPlace, size: number): StoredContent {
    if (old === undefined && this.reused.length < MAX_PAIRS) this.reused.push([content.hash, entry.path])
    return this.#use(content, size)
  }

  /** Nothing has to be read for what is empty. */
  #use(content: ContentPlace, size: number): StoredContent {
    if (storedLength(content, size) > 0) this.#used.add(content.payload)
    return { size, content }
  }

  #unreadable(error: unknown, entry: SourceEntry, request: BackupRequest): undefined {
    if (!isAppError(error, 'source.not-found', 'source.denied', 'source.failed')) throw error
    this.#stats.warnings += 1
    const code = error.code === 'source.not-found' ? 'vanished' : 'unreadable'
    request.onProgress?.({ type: 'warning', code, message: error.message, path: displayPath(entry.path) })
    return undefined
  }

  async #mayKnow(old: IndexEntry | undefined, size: number): Promise<boolean> {
    if (this.#parent === undefined) return false
    return old?.size === size || ((await this.#chainContent())?.hasLarge(size) ?? false)
  }

  /** Reads a large file once to see whether the chain has it; reading twice is cheaper than storing twice. */
  async #knownLarge(
    old: IndexEntry | undefined,
    reader: ByteReader,
    target: ContentTarget,
  ): Promise<{ size: number; place: ContentPlace } | undefined> {
    const hash = contentHash()
    const chunk = Buffer.allocUnsafe(1024 * 1024)
    let size = 0
    for (let got = await reader.read(chunk); got > 0; got = await reader.read(chunk)) {
      hash.update(chunk.subarray(0, got))
      size += got
      target.report.tick()
    }
    const place = knownPlace(hash.digest(), size, old, await this.#chainContent())
    return place && { size, place }
  }

  /** The chain's content, read when the first file needs it. */
  async #chainContent(): Promise<ContentTable | undefined> {
    if (this.#parent === undefined) return undefined
    this.#table ??= await contentTable(this.#context, this.#parent)
    return this.#table
  }
}

function open(entry: SourceEntry): MaybePromise<ByteReader> {
  const opened = entry.open?.()
  if (opened === undefined) throw new Error(`${entry.path} has no content`)
  return opened
}

const afterwards = <T>(closing: void | Promise<void>, then: () => T): MaybePromise<T> =>
  closing instanceof Promise ? closing.then(then) : then()

function knownPlace(
  hash: string,
  size: number,
  old: IndexEntry | undefined,
  table: ContentTable | undefined,
): ContentPlace | undefined {
  return sameAs(old, hash, size) ?? table?.find(hash, size)
}

function sameAs(old: IndexEntry | undefined, hash: string, size: number): ContentPlace | undefined {
  return old?.content?.hash === hash && old.size === size && old.content.extents === undefined ? old.content : undefined
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
