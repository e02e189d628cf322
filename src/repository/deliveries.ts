/**
 * Files that a restore writes past its target: blobs are read by ranges in the order of their packs, opened, checked and
 * written by threads. What waits is bounded by windows of files; what a thread cannot open is read again in every
 * place that has it. docs/engine.md.
 */
import { closeSync, ftruncateSync, unlinkSync } from 'node:fs'
import { AppError, isAppError, toAppError } from '../base/errors.ts'
import { throwIfAborted } from '../base/streams.ts'
import type { LocalPlace } from '../model/entry.ts'
import type { Cancel } from '../model/vault.ts'
import { PENDING } from './blob-index.ts'
import { readBlob, type IndexedRepository } from './repository.ts'
import { contentLength, planRanges, RANGE_ROOM, type Range } from './restore-plan.ts'
import { RestoreThreads, type Slot } from './restore-threads.ts'
import { createFor, putBlob, type BlobUse } from './restore-work.ts'

/** Files, or parts of them, that are planned together. The first ones less, so that the threads have work soon. */
const WINDOW = 4096
const FIRST_WINDOW = 256
/** Of files in several parts, each of which is open from its first part to its last. */
const MOST_OPEN = 128
/** Below this threads cost more than they save. */
const INLINE_BYTES = 4 * 1024 * 1024

/** A file in the making. */
interface Delivery {
  place: LocalPlace
  /** Entries of the index. */
  content: number[]
  size: number
  done: (failure?: unknown) => void
  /** Of a file in parts, once the first of them comes. */
  fd: number
  /** Uses that have not ended. */
  awaited: number
  failure: unknown
}

/** `position` of -1: the whole file. */
interface Use {
  delivery: Delivery
  position: number
}

export class Deliveries implements AsyncDisposable {
  readonly repository: IndexedRepository
  readonly #cancel: Cancel
  readonly #threads: RestoreThreads
  #waiting: Delivery[] = []
  #uses = 0
  #parts = 0
  #bytes = 0
  #window = FIRST_WINDOW
  readonly #running = new Set<Promise<void>>()
  #failure: unknown

  constructor(repository: IndexedRepository, cancel: Cancel) {
    this.repository = repository
    this.#cancel = cancel
    this.#threads = new RestoreThreads(repository, cancel)
  }

  /** So many files are wanted: threads begin to start while other things are waited for. */
  expect(files: number): void {
    if (files >= FIRST_WINDOW) this.#threads.start()
  }

  /** The entries of a content that can be delivered; undefined where only reading it slowly can tell what is wrong. */
  entriesOf(content: readonly string[], size: number): number[] | undefined {
    const { index } = this.repository
    const entries: number[] = []
    let total = 0
    for (const id of content) {
      const entry = index.find('data', id)
      if (entry === -1) return undefined
      const { pack, length } = index.place(entry)
      if (pack === PENDING || length > RANGE_ROOM) return undefined
      total += contentLength(index, entry)
      entries.push(entry)
    }
    return total === size && total > 0 ? entries : undefined
  }

  add(content: number[], size: number, place: LocalPlace, done: (failure?: unknown) => void): void {
    this.#waiting.push({ place, content, size, done, fd: -1, awaited: content.length, failure: undefined })
    this.#uses += content.length
    this.#bytes += size
    if (content.length > 1) this.#parts += 1
    if (this.#uses >= FIRST_WINDOW / 4 || this.#bytes >= INLINE_BYTES) this.#threads.start()
  }

  /** Waits when much is on its way. */
  next(): Promise<void> | undefined {
    return this.#uses >= this.#window || this.#parts >= MOST_OPEN ? this.#flush() : undefined
  }

  /** Everything has been delivered, or told to be impossible. */
  async end(): Promise<void> {
    await this.#flush()
    while (this.#running.size > 0) await Promise.all(this.#running)
    this.#check()
  }

  /** What is on its way ends; what waits fails. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#failure ??= new AppError('run.cancelled', 'cancelled')
    await Promise.allSettled(this.#running)
    for (const delivery of this.#waiting.splice(0)) {
      if (delivery.awaited === 0) continue
      delivery.failure ??= this.#failure
      this.#end(delivery)
    }
    await this.#threads.close()
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure
    throwIfAborted(this.#cancel.signal)
  }

  async #flush(): Promise<void> {
    this.#window = Math.min(WINDOW, this.#window * 4)
    const deliveries = this.#waiting
    this.#waiting = []
    this.#uses = this.#parts = 0
    try {
      for (const wanted of this.#windows(deliveries))
        for (const range of planRanges(this.repository.index, wanted, this.#threads.range)) await this.#send(range)
    } catch (error) {
      this.#failure ??= error
      // What was not sent, or not all of it, is ended by `close`.
      this.#waiting.push(...deliveries)
      throw error
    }
  }

  /** Uses by blob. A file of very many parts goes through several windows. */
  *#windows(deliveries: readonly Delivery[]): Generator<Map<number, Use[]>> {
    const { index } = this.repository
    let wanted = new Map<number, Use[]>()
    let count = 0
    for (const delivery of deliveries) {
      const whole = delivery.content.length === 1
      let position = 0
      for (const entry of delivery.content) {
        const use = { delivery, position: whole ? -1 : position }
        const uses = wanted.get(entry)
        if (uses === undefined) wanted.set(entry, [use])
        else uses.push(use)
        position += contentLength(index, entry)
        count += 1
        if (count < WINDOW) continue
        yield wanted
        wanted = new Map()
        count = 0
      }
    }
    if (count > 0) yield wanted
  }

  async #send(range: Range<Use>): Promise<void> {
    const slot = await this.#threads.take()
    this.#check()
    const run = this.#deliver(slot, range)
      .catch((error: unknown) => void (this.#failure ??= error))
      .finally(() => {
        this.#threads.giveBack(slot)
        this.#running.delete(run)
      })
    this.#running.add(run)
  }

  async #deliver(slot: Slot, range: Range<Use>): Promise<void> {
    const settled = new Set<Use>()
    try {
      const blobs = range.blobs.map(({ entry, at, uses }) => ({ entry, at, uses: this.#opened(uses, settled) }))
      const tasks = blobs.map(({ entry, at, uses }) => ({ entry, at, uses: uses.map(placeOf) }))
      const failures = await this.#threads.put(slot, range, tasks)
      const failed = new Map(failures?.map((failure) => [blobs[failure.blob]?.uses[failure.use], failure.error]))
      for (const { entry, uses } of blobs)
        for (const use of uses) {
          const failure = failed.get(use)
          if (failures === undefined || (failed.has(use) && failure === undefined))
            await this.#again(entry, use, settled)
          else this.#settle(use, settled, failure && Object.assign(new Error(failure.message), { code: failure.code }))
        }
    } catch (error) {
      for (const { uses } of range.blobs) for (const use of uses) this.#settle(use, settled, error)
      throw error
    }
  }

  /** A blob that is damaged where it was read first: from any place that has it. */
  async #again(entry: number, use: Use, settled: Set<Use>): Promise<void> {
    try {
      putBlob(await readBlob(this.repository, 'data', this.repository.index.idOf(entry), this.#cancel), placeOf(use))
      this.#settle(use, settled)
    } catch (error) {
      if (isAppError(error) && !isAppError(error, 'backup.damaged')) throw error
      this.#settle(use, settled, error)
    }
  }

  /** Opens the files of parts; those whose file failed come to nothing. */
  #opened(uses: readonly Use[], settled: Set<Use>): Use[] {
    return uses.filter((use) => {
      const { delivery, position } = use
      if (position !== -1 && delivery.fd === -1 && delivery.failure === undefined) {
        try {
          delivery.fd = createFor(delivery.place.path, delivery.place.mode)
        } catch (error) {
          delivery.failure = error
        }
      }
      if (delivery.failure === undefined) return true
      this.#settle(use, settled)
      return false
    })
  }

  #settle(use: Use, settled: Set<Use>, failure?: unknown): void {
    if (settled.has(use)) return
    settled.add(use)
    const { delivery } = use
    delivery.failure ??= failure
    delivery.awaited -= 1
    if (delivery.awaited === 0) this.#end(delivery)
  }

  #end(delivery: Delivery): void {
    const { fd, place, size, done } = delivery
    delivery.awaited = 0
    if (fd !== -1) {
      try {
        if (place.sparse && delivery.failure === undefined) ftruncateSync(fd, size)
      } catch (error) {
        delivery.failure = error
      }
      closeSync(fd)
      if (delivery.failure !== undefined) unlinkQuietly(place.path)
    }
    try {
      done(delivery.failure)
    } catch (error) {
      this.#failure ??= toAppError(error)
    }
  }
}

function unlinkQuietly(path: string | Buffer): void {
  try {
    unlinkSync(path)
  } catch {
    // It is gone already; the first failure tells.
  }
}

const placeOf = ({ delivery: { place, fd }, position }: Use): BlobUse =>
  position === -1
    ? { path: place.path, mode: place.mode, sparse: place.sparse }
    : { fd, position, sparse: place.sparse }
