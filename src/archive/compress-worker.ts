/** One thread of the codec pool: takes a block in shared memory, fills another. */
import { parentPort } from 'node:worker_threads'
import { runCodec, type CodecResult, type CodecTask } from './codec.ts'

export interface WorkerRequest {
  id: number
  task: CodecTask
  /** Numbers of blocks that this thread has been shown. */
  input: number
  length: number
  output: number
  /** Blocks that it has not yet. */
  blocks: { number: number; memory: SharedArrayBuffer }[]
  /** Blocks that will not be used again. */
  dropped: number[]
}

export type WorkerReply = { id: number; result: CodecResult } | { id: number; error: string }

const port = parentPort
if (port === null) throw new Error('this file runs as a worker thread')
const memories = new Map<number, Uint8Array>()

port.on('message', ({ id, task, input, length, output, blocks, dropped }: WorkerRequest) => {
  for (const { number, memory } of blocks) memories.set(number, new Uint8Array(memory))
  for (const number of dropped) memories.delete(number)
  try {
    const [from, into] = [memories.get(input), memories.get(output)]
    if (from === undefined || into === undefined) throw new Error('a block is not known here')
    const room = task.kind === 'expand' ? into.subarray(0, task.size + 1) : into
    port.postMessage({ id, result: runCodec(task, from.subarray(0, length), room) } satisfies WorkerReply)
  } catch (error) {
    port.postMessage({ id, error: error instanceof Error ? error.message : String(error) } satisfies WorkerReply)
  }
})
