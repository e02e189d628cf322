/** One thread of the codec pool: takes a block in shared memory, gives fresh bytes. */
import { parentPort } from 'node:worker_threads'
import { runCodec, type CodecTask } from './codec.ts'

export interface WorkerRequest {
  id: number
  task: CodecTask
  input: Uint8Array
}

export type WorkerReply = { id: number; output: Uint8Array<ArrayBuffer> } | { id: number; error: string }

const port = parentPort
if (port === null) throw new Error('this file runs as a worker thread')

port.on('message', ({ id, task, input }: WorkerRequest) => {
  try {
    const output = runCodec(task, input)
    // What was moved here is of no more use; the collector of a thread that makes little garbage would come too late.
    if (input.buffer instanceof ArrayBuffer) input.buffer.transfer(0)
    port.postMessage({ id, output } satisfies WorkerReply, [output.buffer])
  } catch (error) {
    port.postMessage({ id, error: error instanceof Error ? error.message : String(error) } satisfies WorkerReply)
  }
})
