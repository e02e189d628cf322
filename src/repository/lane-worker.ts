/** One thread of the engine: a lane that takes its work from messages, and hands finished packs over in shared memory. */
import { parentPort, workerData } from 'node:worker_threads'
import { BlobIndex, type IndexMemory } from './blob-index.ts'
import { sealKey } from './crypto.ts'
import { Lane, type FileBatch, type FileResults } from './lane.ts'
import type { FullPack, OpenPack, PackMemory, WriterCounts } from './pack-writer.ts'

export interface LaneStart {
  key: Uint8Array
  index: IndexMemory
  level: number | undefined
  verify: boolean
  packSize: number
  /** Where packs are made. */
  packs: SharedArrayBuffer[]
  /** For each of them 0 when it is free, 1 when it is used; then a count of releases to wait on. */
  states: SharedArrayBuffer
  /** Chunks lie in these. */
  chunks: SharedArrayBuffer[]
}

export type LaneRequest =
  | { kind: 'files'; task: number; batch: FileBatch }
  | { kind: 'chunk'; task: number; chunk: number; length: number }
  /** No more comes. */
  | { kind: 'end' }

type Without<T> = Omit<T, 'memory'>

export type LaneReply =
  | { kind: 'files'; task: number; results: FileResults; bytes: number }
  | { kind: 'chunk'; task: number; id: string }
  | { kind: 'pack'; slot: number; pack: Without<FullPack> }
  | { kind: 'end'; slot: number; rest: Without<OpenPack> | undefined; counts: WriterCounts }
  | { kind: 'failed'; error: unknown }

const port = parentPort
if (port === null) throw new Error('this file runs as a worker thread')
const start = workerData as LaneStart

const states = new Int32Array(start.states)
const RELEASES = start.packs.length
const packs = start.packs.map((memory) => new Uint8Array(memory))
const chunks = start.chunks.map((memory) => new Uint8Array(memory))
let slot = -1

const memory: PackMemory = {
  take() {
    for (;;) {
      const seen = Atomics.load(states, RELEASES)
      slot = packs.findIndex((_, at) => Atomics.compareExchange(states, at, 0, 1) === 0)
      if (slot !== -1) return packs[slot] as Uint8Array
      // The storage is slower than we are.
      Atomics.wait(states, RELEASES, seen)
    }
  },
  full({ memory: _memory, ...pack }) {
    reply({ kind: 'pack', slot, pack })
  },
}

const { level, verify, packSize } = start
const lane = new Lane(
  { key: sealKey(start.key), index: new BlobIndex(start.index), type: 'data', level, verify, packSize },
  memory,
)

function reply(message: LaneReply): void {
  port?.postMessage(message)
}

port.on('message', (request: LaneRequest) => {
  try {
    if (request.kind === 'files') {
      const before = lane.writer.counts.packed
      const results = lane.files(request.batch)
      reply({ kind: 'files', task: request.task, results, bytes: lane.writer.counts.packed - before })
    } else if (request.kind === 'chunk') {
      const content = (chunks[request.chunk] as Uint8Array).subarray(0, request.length)
      reply({ kind: 'chunk', task: request.task, id: lane.writer.store(content).toString('hex') })
    } else {
      const rest = lane.writer.rest()
      if (rest === undefined) return reply({ kind: 'end', slot, rest, counts: lane.writer.counts })
      const { memory: _memory, ...open } = rest
      reply({ kind: 'end', slot, rest: open, counts: lane.writer.counts })
    }
  } catch (error) {
    reply({ kind: 'failed', error: error instanceof Error ? error.message : String(error) })
  }
})
