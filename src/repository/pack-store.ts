/**
 * Puts finished packs into the storage, and lists them in index files: often enough that a backup which is interrupted
 * need not send again what it has sent.
 */
import type { Clock } from '../base/clock.ts'
import type { Cancel } from '../model/vault.ts'
import { keyOfFile, type BlobType } from './ids.ts'
import { encodeIndex, type IndexedPack } from './index-file.ts'
import { parseHeader } from './pack-header.ts'
import { closePack, type FullPack, type PackMemory, type PackWriter } from './pack-writer.ts'
import { damaged } from './parse.ts'
import type { IndexedRepository } from './repository.ts'
import { storeUnpacked } from './unpacked.ts'

/** As restic: at most so many blobs to a file, none listed later than this. */
const FULL_INDEX_BLOBS = 50_000
const FLUSH_MS = 5 * 60_000
/** Packs on their way at one time. */
const MOST_UPLOADS = 6
/** Memories of packs that wait to be used again. */
const MOST_SPARE = 2
/** How long the end of a backup that came to nothing may take. */
const KEEP_MS = 10_000

export interface PackStoreOptions extends Cancel {
  clock: Clock
  onBytes?: (bytes: number) => void
  /** Nothing is written before it resolves. */
  allowed: Promise<void>
  /** Called before each write: throws when we may no longer write. */
  assertAllowed: () => void
}

export class PackStore {
  /** Ids of the index files that were written. */
  readonly indexFiles: string[] = []
  readonly #repository: IndexedRepository
  #options: PackStoreOptions
  readonly #uploads = new Set<Promise<void>>()
  readonly #spare: Uint8Array[] = []
  #failure: { error: unknown } | undefined
  #onFailure: (() => void)[] = []
  /** Packs that are stored and in no index file yet. */
  #unlisted: { id: string; header: Uint8Array }[] = []
  #blobs = 0
  #flushed: number
  #flushing: Promise<void> = Promise.resolve()

  constructor(repository: IndexedRepository, options: PackStoreOptions) {
    this.#repository = repository
    this.#options = options
    this.#flushed = options.clock.monotonic()
    options.allowed.catch((error: unknown) => this.fail(error))
  }

  /** `release` is called when the memory of the pack is not needed any more. */
  put(pack: FullPack, type: BlobType, release: () => void): void {
    const upload = this.#put(pack, type)
      .then(release)
      .catch((error: unknown) => this.fail(error))
      .finally(() => this.#uploads.delete(upload))
    this.#uploads.add(upload)
  }

  /** Memory for packs that are made on this thread; each is used again once it is stored. */
  memory(type: BlobType): PackMemory {
    return {
      take: (size) => {
        const at = this.#spare.findIndex(({ length }) => length >= size)
        return at === -1 ? Buffer.allocUnsafeSlow(size) : (this.#spare.splice(at, 1)[0] as Uint8Array)
      },
      full: (pack) => this.put(pack, type, () => this.#keepSpare(pack.memory)),
    }
  }

  #keepSpare(memory: Uint8Array): void {
    if (this.#spare.length < MOST_SPARE) this.#spare.push(memory)
  }

  /** Resolves when another pack may come. */
  async room(most = MOST_UPLOADS): Promise<void> {
    while (this.#uploads.size >= most) await Promise.race(this.#uploads)
    this.check()
  }

  get crowded(): boolean {
    return this.#uploads.size >= MOST_UPLOADS
  }

  check(): void {
    if (this.#failure !== undefined) throw this.#failure.error
  }

  /** Whoever waits for something else hears of it too. */
  fail(error: unknown): void {
    if (this.#failure !== undefined) return
    this.#failure = { error }
    for (const tell of this.#onFailure.splice(0)) tell()
  }

  onFailure(tell: () => void): void {
    this.#onFailure.push(tell)
  }

  /** Everything is stored and listed. */
  async end(): Promise<void> {
    await this.settle()
    this.check()
    this.#flush()
    await this.#flushing
    this.check()
  }

  /** What a writer has left, as a pack of its own. */
  rest(writer: PackWriter): void {
    const rest = writer.rest()
    if (rest !== undefined) this.put(closePack(this.#repository.key, rest), writer.type, () => undefined)
  }

  /** After a cancellation or a failure: lists what has been stored, so that the next backup need not send it again. Never rejects. */
  async keep(): Promise<void> {
    await this.settle()
    this.#failure = undefined
    this.#options = { ...this.#options, signal: AbortSignal.timeout(KEEP_MS) }
    this.#flush()
    await this.#flushing
  }

  /** Nothing is on its way any more. */
  async settle(): Promise<void> {
    while (this.#uploads.size > 0) await Promise.all(this.#uploads)
    await this.#flushing
  }

  async #put({ id, memory, size, header, entries }: FullPack, type: BlobType): Promise<void> {
    const { storage, packs, index } = this.#repository
    const { signal, onBytes, allowed, assertAllowed, clock } = this.#options
    await allowed
    assertAllowed()
    await storage.put(keyOfFile('data', id), memory.subarray(0, size), {
      ...(signal && { signal }),
      ...(onBytes && { onBytes }),
      ...(type === 'tree' && { storageClass: 'warm' }),
    })
    const blobs = parseHeader(header)
    if (blobs === undefined) throw damaged(`pack ${id}`, 'the header that was made for it makes no sense')
    const pack = packs.number(id)
    for (const [n, blob] of blobs.entries()) index.settle(entries[n] as number, { ...blob, pack })
    this.#unlisted.push({ id, header })
    this.#blobs += blobs.length
    if (this.#blobs >= FULL_INDEX_BLOBS || clock.monotonic() - this.#flushed > FLUSH_MS) this.#flush()
  }

  #flush(): void {
    const listed = this.#unlisted.splice(0)
    this.#blobs = 0
    this.#flushed = this.#options.clock.monotonic()
    if (listed.length === 0) return
    this.#flushing = this.#flushing.then(async () => this.#list(listed)).catch((error: unknown) => this.fail(error))
  }

  async #list(packs: readonly { id: string; header: Uint8Array }[]): Promise<void> {
    const { storage, key, config } = this.#repository
    this.check()
    this.#options.assertAllowed()
    const json = encodeIndex(listed(packs))
    this.indexFiles.push(await storeUnpacked(storage, key, config.version, 'index', json, this.#options))
  }
}

function* listed(packs: readonly { id: string; header: Uint8Array }[]): Generator<IndexedPack> {
  for (const { id, header } of packs) yield { id, blobs: parseHeader(header) ?? [] }
}
