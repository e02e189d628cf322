/**
 * The threads of a backup, and what the main thread does itself as long as there is little to do. Content comes in, ids
 * come out; packs go to the pack store. What is on its way is bounded in number and so in bytes. docs/engine.md.
 */
import { randomInt } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { AppError } from '../base/errors.ts'
import type { Bytes } from '../base/bytes.ts'
import type { LaneReply, LaneRequest, LaneStart } from './lane-worker.ts'
import { Lane, type FileBatch, type FileResults } from './lane.ts'
import type { PackStore } from './pack-store.ts'
import {
  closePack,
  joinPacks,
  MAX_CHUNK,
  PACK_SIZE,
  packRoom,
  type OpenPack,
  type WriterCounts,
  type WriterSettings,
} from './pack-writer.ts'

/** Below this much content, threads cost more than they save. */
const INLINE_BYTES = 4 * 1024 * 1024
const INLINE_FILES = 400
/** Packs on their way to the storage while each thread fills one. */
const SPARE_PACKS = 1
/** Chunks that wait while each thread works on one. */
const SPARE_CHUNKS = 1
/** Tasks that wait at one thread. */
const MOST_TASKS = 2
const MOST_THREADS = 8

const WORKER = new URL(`./lane-worker${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url)

interface Thread {
  worker: Worker
  tasks: number
}

interface Task {
  thread: Thread
  chunk?: number
  resolve: (reply: LaneReply) => void
  reject: (error: unknown) => void
}

export interface LanesOptions {
  threads?: number
}

export class Lanes {
  readonly counts: WriterCounts = { blobs: 0, bytes: 0, packed: 0 }
  readonly #settings: WriterSettings
  readonly #store: PackStore
  readonly #width: number
  #own: Lane | undefined
  #seen = { bytes: 0, files: 0 }
  #threads: Thread[] = []
  readonly #tasks = new Map<number, Task>()
  #nextTask = 0
  readonly #chunks: SharedArrayBuffer[] = []
  #freeChunks: number[] = []
  /** Where threads make packs, and whether each is in use: lane-worker.ts. */
  #packs: Uint8Array[] = []
  #states: Int32Array = new Int32Array(0)
  #waiting: (() => void)[] = []
  readonly #ended = new Map<Thread, (reply: LaneReply & { kind: 'end' }) => void>()
  readonly #rests: OpenPack[] = []

  constructor(settings: WriterSettings, store: PackStore, { threads }: LanesOptions = {}) {
    this.#settings = settings
    this.#store = store
    this.#width = threads ?? Math.min(availableParallelism(), MOST_THREADS)
    store.onFailure(() => this.#wake())
  }

  /** Resolves when all of the batch is read and what is new of it lies in a pack. May be called while others run. */
  async files(batch: FileBatch, bytes: number): Promise<FileResults> {
    if (this.#inline(bytes, batch.paths.length)) return this.#ownLane().files(batch)
    const thread = await this.#thread()
    const reply = await this.#run(thread, (task) => ({ kind: 'files', task, batch }))
    if (reply.kind !== 'files') throw new AppError('internal.bug', 'a thread gave the wrong answer')
    return reply.results
  }

  /** The bytes may be used again once `taken` resolves; the id comes later. */
  async chunk(content: Bytes): Promise<{ id: Promise<string> }> {
    if (this.#inline(content.length, 0))
      return { id: Promise.resolve(this.#ownLane().writer.store(content).toString('hex')) }
    const thread = await this.#thread(true)
    const chunk = this.#freeChunks.pop() as number
    new Uint8Array(this.#chunks[chunk] as SharedArrayBuffer).set(content)
    const reply = this.#run(thread, (task) => ({ kind: 'chunk', task, chunk, length: content.length }), chunk)
    const id = reply.then((done) => {
      if (done.kind !== 'chunk') throw new AppError('internal.bug', 'a thread gave the wrong answer')
      return done.id
    })
    // Whoever asks for it meets the failure; so does the store.
    id.catch(() => undefined)
    return { id }
  }

  /** No more comes: what is left in each thread becomes as few packs as it can. */
  async end(): Promise<void> {
    await Promise.all(this.#threads.map(async (thread) => this.#endThread(thread)))
    const own = this.#own?.writer
    if (own !== undefined) {
      const rest = own.rest()
      if (rest !== undefined) this.#rests.push(rest)
      this.#count(own.counts)
    }
    let joined: OpenPack | undefined
    for (const rest of this.#rests.sort((a, b) => b.length - a.length)) {
      const both = joined && joinPacks(joined, rest, this.#settings.packSize)
      if (joined !== undefined && both === undefined) this.#put(joined)
      joined = both ?? rest
    }
    if (joined !== undefined) this.#put(joined)
    this.#rests.length = 0
  }

  async close(): Promise<void> {
    const threads = this.#threads
    this.#threads = []
    await Promise.all(threads.map(async ({ worker }) => worker.terminate()))
  }

  #put(pack: OpenPack): void {
    this.#store.put(closePack(this.#settings.key, pack), 'data', () => undefined)
  }

  #count({ blobs, bytes, packed }: WriterCounts): void {
    this.counts.blobs += blobs
    this.counts.bytes += bytes
    this.counts.packed += packed
  }

  #inline(bytes: number, files: number): boolean {
    this.#seen.bytes += bytes
    this.#seen.files += files
    return this.#threads.length === 0 && this.#seen.bytes < INLINE_BYTES && this.#seen.files < INLINE_FILES
  }

  #ownLane(): Lane {
    return (this.#own ??= new Lane(this.#settings, this.#store.memory('data')))
  }

  /** One that has room for a task, and for a chunk a place to lie in. Chosen at random, so that sizes of packs tell nothing of the order of chunks. */
  async #thread(withChunk = false): Promise<Thread> {
    if (this.#threads.length === 0) this.#start()
    for (;;) {
      this.#store.check()
      const free = this.#threads.filter(({ tasks }) => tasks < MOST_TASKS)
      if (free.length > 0 && (!withChunk || this.#freeChunks.length > 0)) {
        const least = Math.min(...free.map(({ tasks }) => tasks))
        const idle = free.filter(({ tasks }) => tasks === least)
        return idle[idle.length === 1 ? 0 : randomInt(idle.length)] as Thread
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
  }

  #wake(): void {
    for (const go of this.#waiting.splice(0)) go()
  }

  #start(): void {
    for (let n = 0; n < this.#width + SPARE_CHUNKS; n += 1) {
      this.#chunks.push(new SharedArrayBuffer(MAX_CHUNK))
      this.#freeChunks.push(n)
    }
    const room = packRoom(this.#settings.packSize ?? PACK_SIZE)
    const packs = Array.from({ length: this.#width + SPARE_PACKS }, () => new SharedArrayBuffer(room))
    const states = new SharedArrayBuffer(4 * (packs.length + 1))
    this.#packs = packs.map((memory) => new Uint8Array(memory))
    this.#states = new Int32Array(states)
    for (let n = 0; n < this.#width; n += 1) this.#threads.push(this.#newThread(packs, states))
  }

  #newThread(packs: SharedArrayBuffer[], states: SharedArrayBuffer): Thread {
    const { key, index, level, verify, packSize = PACK_SIZE } = this.#settings
    const start: LaneStart = {
      key: key.raw,
      index: index.memory,
      level,
      verify,
      packSize,
      packs,
      states,
      chunks: this.#chunks,
    }
    const worker = new Worker(WORKER, {
      workerData: start,
      resourceLimits: { maxYoungGenerationSizeMb: 4, maxOldGenerationSizeMb: 128 },
    })
    const thread: Thread = { worker, tasks: 0 }
    worker.on('message', (reply: LaneReply) => this.#onReply(thread, reply))
    worker.on('error', (error) =>
      this.#fail(new AppError('run.failed', 'a thread of the engine failed', { cause: error })),
    )
    worker.on('exit', () => {
      if (this.#threads.includes(thread)) this.#fail(new AppError('internal.bug', 'a thread of the engine ended'))
    })
    return thread
  }

  #fail(error: unknown): void {
    this.#store.fail(error)
    for (const { reject } of this.#tasks.values()) reject(error)
    this.#tasks.clear()
  }

  async #run(thread: Thread, request: (task: number) => LaneRequest, chunk?: number): Promise<LaneReply> {
    const number = this.#nextTask++
    thread.tasks += 1
    return new Promise((resolve, reject) => {
      this.#tasks.set(number, { thread, resolve, reject, ...(chunk !== undefined && { chunk }) })
      thread.worker.postMessage(request(number))
    })
  }

  #onReply(thread: Thread, reply: LaneReply): void {
    if (reply.kind === 'failed')
      return this.#fail(new AppError('run.failed', `a thread of the engine failed: ${String(reply.error)}`))
    if (reply.kind === 'pack') {
      const { slot, pack } = reply
      const memory = this.#packs[slot] as Uint8Array
      this.#store.put({ ...pack, memory }, 'data', () => release(this.#states, slot))
      return
    }
    if (reply.kind === 'end') return this.#ended.get(thread)?.(reply)
    const task = this.#tasks.get(reply.task)
    this.#tasks.delete(reply.task)
    thread.tasks -= 1
    if (task?.chunk !== undefined) this.#freeChunks.push(task.chunk)
    task?.resolve(reply)
    this.#wake()
  }

  async #endThread(thread: Thread): Promise<void> {
    const reply = await new Promise<(LaneReply & { kind: 'end' }) | undefined>((resolve) => {
      this.#ended.set(thread, resolve)
      this.#store.onFailure(() => resolve(undefined))
      thread.worker.postMessage({ kind: 'end' } satisfies LaneRequest)
    })
    this.#store.check()
    if (reply === undefined) return
    this.#count(reply.counts)
    if (reply.rest !== undefined) this.#rests.push({ ...reply.rest, memory: this.#packs[reply.slot] as Uint8Array })
  }
}

function release(states: Int32Array, slot: number): void {
  const releases = states.length - 1
  Atomics.store(states, slot, 0)
  Atomics.add(states, releases, 1)
  Atomics.notify(states, releases)
}
