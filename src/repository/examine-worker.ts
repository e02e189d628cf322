/** A thread that examines packs which lie in shared memory. */
import { parentPort, workerData } from 'node:worker_threads'
import { BlobIndex, type IndexMemory } from './blob-index.ts'
import { sealKey } from './crypto.ts'
import { examinePack, type PackTask, type PackVerdict } from './examine-pack.ts'

export interface ExamineStart {
  key: Uint8Array
  index: IndexMemory
}

export interface ExamineRequest {
  memory: SharedArrayBuffer
  length: number
  task: PackTask
}

export type ExamineReply = { verdict: PackVerdict } | { error: string }

const port = parentPort
if (port === null) throw new Error('this file runs as a worker thread')
const start = workerData as ExamineStart
const key = sealKey(start.key)
const index = new BlobIndex(start.index)

port.on('message', ({ memory, length, task }: ExamineRequest) => {
  try {
    const verdict = examinePack(key, index, new Uint8Array(memory, 0, length), task)
    port.postMessage({ verdict } satisfies ExamineReply)
  } catch (error) {
    port.postMessage({ error: error instanceof Error ? error.message : String(error) } satisfies ExamineReply)
  }
})
