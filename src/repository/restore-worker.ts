/** A thread of a restore: ranges of packs lie in shared memory, or are read here. */
import { parentPort, workerData } from 'node:worker_threads'
import { BlobIndex, type IndexMemory } from './blob-index.ts'
import { sealKey } from './crypto.ts'
import { RangeFiles } from './range-files.ts'
import { putRange, type RangedBlob, type UseFailure } from './restore-work.ts'

export interface RestoreStart {
  key: Uint8Array
  index: IndexMemory
}

/** A range that was read, or one of a file to read. */
export type RangeSource =
  | { memory: SharedArrayBuffer; length: number }
  | { path: string; start: number; length: number }

export interface RestoreTask {
  source: RangeSource
  blobs: RangedBlob[]
}

/** `failures` is absent when the range could not be read. */
export type RestoreReply = { failures?: UseFailure[] } | { error: string }

const port = parentPort
if (port === null) throw new Error('this file runs as a worker thread')
const start = workerData as RestoreStart
const key = sealKey(start.key)
const index = new BlobIndex(start.index)
const files = new RangeFiles()

port.on('message', ({ source, blobs }: RestoreTask) => {
  try {
    const range = 'path' in source ? files.read(source) : new Uint8Array(source.memory, 0, source.length)
    const failures = range && putRange(key, index, range, blobs)
    port.postMessage({ ...(failures && { failures }) } satisfies RestoreReply)
  } catch (error) {
    port.postMessage({ error: error instanceof Error ? error.message : String(error) } satisfies RestoreReply)
  }
})
