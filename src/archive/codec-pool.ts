/**
 * Threads for frames. They start when the second task arrives while the first is not done: a small backup is compressed
 * in place and costs no thread.
 */
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { AppError } from '../base/errors.ts'
import { runCodec, type CodecTask } from './codec.ts'
import type { WorkerReply } from './compress-worker.ts'

export interface CodecPool {
  readonly threads: number
  /** Leaves the input as it is, unless it is `given` away: then its memory is gone afterwards. */
  run(task: CodecTask, input: Uint8Array, given?: boolean): Promise<Uint8Array>
  close(): Promise<void>
}

interface Thread {
  worker: Worker
  load: number
}

interface Waiting {
  thread: Thread
  resolve: (output: Uint8Array) => void
  reject: (error: Error) => void
}

const WORKER = new URL(`./compress-worker${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url)

/** Below this much input in all, starting threads costs more than it saves. */
const INLINE_BYTES = 4 * 1024 * 1024

export function codecPool(threads: number = Math.min(availableParallelism(), 8)): CodecPool {
  const pool: Thread[] = []
  const waiting = new Map<number, Waiting>()
  let nextId = 0
  let seen = 0

  function start(): Thread {
    const worker = new Worker(WORKER, { resourceLimits: { maxYoungGenerationSizeMb: 8, maxOldGenerationSizeMb: 128 } })
    const thread: Thread = { worker, load: 0 }
    worker.on('message', (reply: WorkerReply) => {
      const entry = waiting.get(reply.id)
      waiting.delete(reply.id)
      thread.load -= 1
      if (thread.load === 0) worker.unref()
      if (entry === undefined) return
      if ('error' in reply) entry.reject(new Error(reply.error))
      else entry.resolve(reply.output)
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

  return {
    threads,
    async run(task, input, given = false) {
      seen += input.length
      if (seen < INLINE_BYTES) return runCodec(task, input)
      let thread = pool.find((candidate) => candidate.load === 0)
      if (thread === undefined && pool.length < threads) thread = start()
      thread ??= pool.reduce((least, candidate) => (candidate.load < least.load ? candidate : least))
      const chosen = thread
      chosen.load += 1
      chosen.worker.ref()
      const id = nextId++
      return new Promise((resolve, reject) => {
        waiting.set(id, { thread: chosen, resolve, reject })
        if (input.buffer instanceof SharedArrayBuffer) chosen.worker.postMessage({ id, task, input })
        else {
          // A view drags its whole buffer along, so send a copy of just these bytes, and move it.
          const own = given && input.byteLength === input.buffer.byteLength ? input : Uint8Array.from(input)
          chosen.worker.postMessage({ id, task, input: own }, [own.buffer as ArrayBuffer])
        }
      })
    },
    async close() {
      const ending = pool.splice(0)
      for (const { worker } of ending) worker.removeAllListeners('exit')
      await Promise.all(ending.map(async ({ worker }) => worker.terminate()))
    },
  }
}
