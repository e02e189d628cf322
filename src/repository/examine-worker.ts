/** A thread that examines packs which lie in shared memory, or in files. */
import { parentPort, workerData } from 'node:worker_threads'
import { BlobIndex, type IndexMemory } from './blob-index.ts'
import { sealKey } from './crypto.ts'
import { RangeFiles } from './range-files.ts'
import { examinePack, type PackTask, type PackVerdict, type ReadRange } from './examine-pack.ts'

export interface ExamineStart {
  key: Uint8Array
  index: IndexMemory
}

/** Packs that were read, or are to be. */
export type ExamineRequest = { task: PackTask } & (
  | { memory: SharedArrayBuffer; length: number }
  | { path: string; length: number }
)

/** `verdict` is absent when the file could not be read whole. */
export type ExamineReply = { verdict?: PackVerdict } | { error: string }

const port = parentPort
if (port === null) throw new Error('this file runs as a worker thread')
const start = workerData as ExamineStart
const key = sealKey(start.key)
const index = new BlobIndex(start.index)

const files = new RangeFiles()

port.on('message', (request: ExamineRequest) => {
  const { length, task } = request
  try {
    const read: ReadRange =
      'path' in request
        ? (start, size) => files.read({ path: request.path, start, length: size })
        : (start, size) => new Uint8Array(request.memory, start, size)
    const verdict = examinePack(key, index, { read, size: length }, task)
    port.postMessage({ ...(verdict && { verdict }) } satisfies ExamineReply)
  } catch (error) {
    port.postMessage({ error: error instanceof Error ? error.message : String(error) } satisfies ExamineReply)
  }
})
