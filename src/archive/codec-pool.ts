/**
 * Threads for frames, and the shared memory that they work on. Threads start when the second task arrives while the first
 * is not done: a small backup is compressed in place and costs no thread. Memory is used again and again: what is made
 * anew for each frame costs the system's clearing of it, and wakes the collector.
 */
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { AppError } from '../base/errors.ts'
import { outputSize, runCodec, type CodecResult, type CodecTask } from './codec.ts'
import type { WorkerReply, WorkerRequest } from './compress-worker.ts'

/** Memory that all threads see. */
export interface Block {
  readonly number: number
  readonly memory: Buffer<SharedArrayBuffer>
  /** It may be given to somebody else; more than once does no harm. */
  release(): void
}

export interface CodecPool {
  readonly threads: number
  /** A block of at least that size. What it holds is arbitrary. */
  take(size: number): Block
  /** Works on the first `length` bytes of `input`, and leaves them as they are. The caller releases both blocks. */
  run(task: CodecTask, input: Block, length: number): Promise<CodecResult & { output: Block }>
  close(): Promise<void>
}

interface OwnBlock extends Block {
  used: boolean
}

interface Thread {
  worker: Worker
  load: number
  /** Numbers of the blocks that it has been shown. */
  knows: Set<number>
}

interface Waiting {
  thread: Thread
  resolve: (result: CodecResult) => void
  reject: (error: Error) => void
}

const WORKER = new URL(`./compress-worker${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url)

/** Below this much input in all, starting threads costs more than it saves. */
const INLINE_BYTES = 4 * 1024 * 1024
/** Blocks are made this large at least, so that each can be used for any frame; the system gives pages as they are written to. */
const LEAST = 2.25 * 1024 * 1024
/** Blocks that nobody uses; beyond that the system gets them back. */
const MOST_SPARE = 16

export function codecPool(threads: number = Math.min(availableParallelism(), 8)): CodecPool {
  const pool: Thread[] = []
  const waiting = new Map<number, Waiting>()
  const spare: OwnBlock[] = []
  let nextId = 0
  let nextBlock = 0
  let seen = 0

  function newBlock(size: number): OwnBlock {
    const block: OwnBlock = {
      number: nextBlock++,
      memory: Buffer.from(new SharedArrayBuffer(size)),
      used: true,
      release() {
        if (!block.used) return
        block.used = false
        spare.push(block)
        if (spare.length > MOST_SPARE) spare.shift()
      },
    }
    return block
  }

  function take(size: number): Block {
    const wanted = Math.max(size, LEAST)
    // The one that fits best; a much larger one is kept for what needs it.
    let best: OwnBlock | undefined
    for (const block of spare) {
      const room = block.memory.length
      if (room >= wanted && room <= 4 * wanted && room < (best?.memory.length ?? Infinity)) best = block
    }
    if (best === undefined) return newBlock(wanted)
    spare.splice(spare.indexOf(best), 1)
    best.used = true
    return best
  }

  function start(): Thread {
    const worker = new Worker(WORKER, { resourceLimits: { maxYoungGenerationSizeMb: 4, maxOldGenerationSizeMb: 128 } })
    const thread: Thread = { worker, load: 0, knows: new Set() }
    worker.on('message', (reply: WorkerReply) => {
      const entry = waiting.get(reply.id)
      waiting.delete(reply.id)
      thread.load -= 1
      if (thread.load === 0) worker.unref()
      if (entry === undefined) return
      if ('error' in reply) entry.reject(new Error(reply.error))
      else entry.resolve(reply.result)
    })
    worker.on('error', (error) => failAll(thread, error))
    worker.on('exit', () => failAll(thread, new AppError('internal.bug', 'a compression thread ended')))
    worker.unref()
    pool.push(thread)
    return thread
  }

  function failAll(thread: Thread, cause: unknown): void {
    for (const [id, entry] of waiting) {
      if (entry.thread !== thread) continue
      waiting.delete(id)
      entry.reject(new AppError('internal.bug', 'a compression thread failed', { cause }))
    }
  }

  /** Shows the thread the blocks that it does not know, and has it forget those that are gone. */
  function introduce(thread: Thread, ...blocks: Block[]): Pick<WorkerRequest, 'blocks' | 'dropped'> {
    const dropped: number[] = []
    if (thread.knows.size > 4 * MOST_SPARE) {
      dropped.push(...thread.knows)
      thread.knows.clear()
    }
    const fresh = blocks.filter(({ number }) => !thread.knows.has(number))
    for (const { number } of fresh) thread.knows.add(number)
    const again = new Set(fresh.map(({ number }) => number))
    return {
      blocks: fresh.map(({ number, memory }) => ({ number, memory: memory.buffer })),
      dropped: dropped.filter((number) => !again.has(number)),
    }
  }

  async function inThread(task: CodecTask, input: Block, length: number, output: Block): Promise<CodecResult> {
    let thread = pool.find((candidate) => candidate.load === 0)
    if (thread === undefined && pool.length < threads) thread = start()
    thread ??= pool.reduce((least, candidate) => (candidate.load < least.load ? candidate : least))
    const chosen = thread
    chosen.load += 1
    chosen.worker.ref()
    const id = nextId++
    return new Promise((resolve, reject) => {
      waiting.set(id, { thread: chosen, resolve, reject })
      const known = introduce(chosen, input, output)
      const { number } = input
      chosen.worker.postMessage({
        id,
        task,
        input: number,
        length,
        output: output.number,
        ...known,
      } satisfies WorkerRequest)
    })
  }

  return {
    threads,
    take,
    async run(task, input, length) {
      seen += length
      // After a failure it is not given back: a thread may still write to it.
      const output = take(outputSize(task, length))
      const room = task.kind === 'expand' ? output.memory.subarray(0, task.size + 1) : output.memory
      const result =
        seen < INLINE_BYTES
          ? runCodec(task, input.memory.subarray(0, length), room)
          : await inThread(task, input, length, output)
      return { ...result, output }
    },
    async close() {
      const ending = pool.splice(0)
      for (const { worker } of ending) worker.removeAllListeners('exit')
      await Promise.all(ending.map(async ({ worker }) => worker.terminate()))
    },
  }
}
