/** Ranges of packs on their way into files: read here, opened and written by threads. What is on its way is bounded. */
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { AppError, isAppError } from '../base/errors.ts'
import type { Cancel } from '../model/vault.ts'
import { keyOfFile } from './ids.ts'
import type { IndexedRepository } from './repository.ts'
import { RangeFiles } from './range-files.ts'
import { RANGE, RANGE_ROOM } from './restore-plan.ts'
import { putRange, type RangedBlob, type UseFailure } from './restore-work.ts'
import type { RestoreReply, RestoreStart, RestoreTask } from './restore-worker.ts'

const MOST_THREADS = 4
/** Ranges that are read while each thread works on one. */
const AHEAD = 3

const LIMITS = { maxYoungGenerationSizeMb: 4, maxOldGenerationSizeMb: 128 }
const WORKER = new URL(`./restore-worker${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url)

/** One of those that may be at work at once, with its memory once it needs some. */
export interface Slot {
  memory: SharedArrayBuffer | undefined
}

interface Thread {
  worker: Worker
  /** Answers come in the order of tasks. */
  waiting: { resolve: (failures: UseFailure[] | undefined) => void; reject: (error: unknown) => void }[]
  failure: AppError | undefined
}

export class RestoreThreads {
  readonly #repository: IndexedRepository
  readonly #cancel: Cancel
  readonly #threads: Thread[] = []
  readonly #files = new RangeFiles()
  readonly #free: Slot[] = []
  #slots = 0
  #most = 1
  readonly #wanting: ((slot: Slot) => void)[] = []

  constructor(repository: IndexedRepository, cancel: Cancel) {
    this.#repository = repository
    this.#cancel = cancel
  }

  /** Until then the work is done on this thread. */
  start(): void {
    if (this.#threads.length > 0) return
    const { key, index } = this.#repository
    const workerData: RestoreStart = { key: key.raw, index: index.memory }
    const width = Math.min(availableParallelism(), MOST_THREADS)
    this.#most = width + AHEAD
    for (let n = 0; n < width; n += 1) {
      const thread: Thread = {
        worker: new Worker(WORKER, { workerData, resourceLimits: LIMITS }),
        waiting: [],
        failure: undefined,
      }
      const fail = (cause: unknown): void => {
        thread.failure ??= new AppError('run.failed', 'a thread of the restore failed', { cause })
        for (const { reject } of thread.waiting.splice(0)) reject(thread.failure)
      }
      thread.worker.on('error', fail)
      thread.worker.on('exit', () => fail(undefined))
      thread.worker.on('message', (reply: RestoreReply) => {
        const first = thread.waiting.shift()
        if ('error' in reply)
          first?.reject(new AppError('internal.bug', `a thread of the restore failed: ${reply.error}`))
        else first?.resolve(reply.failures)
      })
      this.#threads.push(thread)
    }
  }

  /** The most that one range should have. */
  get range(): number {
    return this.#repository.storage.fileOf === undefined ? RANGE.remote : RANGE.local
  }

  /** Leave to work on a range; waits when enough are on their way. */
  async take(): Promise<Slot> {
    const free = this.#free.pop()
    if (free !== undefined) return free
    if (this.#slots < this.#most) {
      this.#slots += 1
      return { memory: undefined }
    }
    return new Promise((resolve) => this.#wanting.push(resolve))
  }

  giveBack(slot: Slot): void {
    const next = this.#wanting.shift()
    if (next === undefined) this.#free.push(slot)
    else next(slot)
  }

  /** Reads a range, and has its blobs put where they go. Undefined when it is missing or cut. */
  async put(
    slot: Slot,
    { pack, start, end }: { pack: number; start: number; end: number },
    blobs: RangedBlob[],
  ): Promise<UseFailure[] | undefined> {
    const { storage, packs } = this.#repository
    const pathOf = storage.fileOf
    const file = keyOfFile('data', packs.id(pack))
    const length = end - start
    if (pathOf !== undefined) return this.#run({ source: { path: pathOf(file), start, length }, blobs })
    const memory = (slot.memory ??= new SharedArrayBuffer(RANGE_ROOM))
    if (!(await this.#read(new Uint8Array(memory, 0, length), file, { start, end }))) return undefined
    return this.#run({ source: { memory, length }, blobs })
  }

  async #read(into: Uint8Array, file: string, range: { start: number; end: number }): Promise<boolean> {
    const { storage } = this.#repository
    const { signal } = this.#cancel
    let length = 0
    try {
      for await (const chunk of storage.get(file, { range, ...(signal && { signal }) })) {
        if (length + chunk.length > into.length) return false
        into.set(chunk, length)
        length += chunk.length
      }
    } catch (error) {
      if (isAppError(error, 'storage.not-found', 'storage.truncated')) return false
      throw error
    }
    return length === into.length
  }

  async #run(task: RestoreTask): Promise<UseFailure[] | undefined> {
    const { key, index } = this.#repository
    const [first, ...others] = this.#threads
    if (first === undefined) {
      const { source, blobs } = task
      const range = 'path' in source ? this.#files.read(source) : new Uint8Array(source.memory, 0, source.length)
      return range && putRange(key, index, range, blobs)
    }
    const least = others.reduce((a, b) => (b.waiting.length < a.waiting.length ? b : a), first)
    if (least.failure !== undefined) throw least.failure
    return new Promise((resolve, reject) => {
      least.waiting.push({ resolve, reject })
      least.worker.postMessage(task)
    })
  }

  async close(): Promise<void> {
    this.#files.close()
    await Promise.all(this.#threads.map(async ({ worker }) => worker.terminate()))
  }
}
