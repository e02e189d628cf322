/** All packs that are wanted, each read once; examined by threads when there is much to read. */
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { AppError, isAppError } from '../base/errors.ts'
import { throwIfAborted } from '../base/streams.ts'
import type { Cancel } from '../model/vault.ts'
import type { ExamineReply, ExamineRequest, ExamineStart } from './examine-worker.ts'
import { examinePack, type PackTask, type PackVerdict, type ReadRange } from './examine-pack.ts'
import { keyOfFile } from './ids.ts'
import { inParallel, type IndexedRepository } from './repository.ts'

/** Below this threads cost more than they save. */
const INLINE_BYTES = 32 * 1024 * 1024
const MOST_THREADS = 8
/** A pack has 16 MiB and at most one chunk more; a larger one is of trees of huge folders. */
const USUAL = 27 * 1024 * 1024

const LIMITS = { maxYoungGenerationSizeMb: 4, maxOldGenerationSizeMb: 128 }
const WORKER = new URL(`./examine-worker${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url)

export interface PackToRead {
  number: number
  size: number
}

export interface ExamineOptions extends Cancel {
  blobs: boolean
  onPack: (number: number, verdict: PackVerdict, bytes: number) => void
}

export async function examinePacks(
  repository: IndexedRepository,
  packs: readonly PackToRead[],
  options: ExamineOptions,
): Promise<void> {
  const entries = entriesOf(repository, packs)
  const total = packs.reduce((sum, { size }) => sum + size, 0)
  const width = total < INLINE_BYTES ? 1 : Math.min(availableParallelism(), MOST_THREADS)
  const start: ExamineStart = { key: repository.key.raw, index: repository.index.memory }
  const readers = Array.from({ length: width }, (): Reader => ({
    worker: total < INLINE_BYTES ? undefined : new Worker(WORKER, { workerData: start, resourceLimits: LIMITS }),
    memory: undefined,
  }))
  const largest = packs.reduce((most, { size }) => Math.max(most, size), 1)
  const free = [...readers]
  try {
    await inParallel(packs, width, async ({ number, size }) => {
      throwIfAborted(options.signal)
      const reader = free.pop() as Reader
      try {
        const task = {
          id: repository.packs.id(number),
          entries: entries.get(number) ?? new Uint32Array(0),
          blobs: options.blobs,
        }
        const verdict =
          (await examineFile(repository, reader, task, size)) ??
          (await readAndExamine(repository, reader, task, Math.max(size, Math.min(USUAL, largest)), options))
        options.onPack(number, verdict, size)
      } finally {
        free.push(reader)
      }
    })
  } finally {
    await Promise.all(readers.map(async ({ worker }) => worker?.terminate()))
  }
}

interface Reader {
  worker: Worker | undefined
  memory: SharedArrayBuffer | undefined
}

/** Read by the thread itself, where it can. Undefined when it cannot, or not all of it. */
async function examineFile(
  { storage }: IndexedRepository,
  { worker }: Reader,
  task: PackTask,
  length: number,
): Promise<PackVerdict | undefined> {
  if (worker === undefined || storage.fileOf === undefined) return undefined
  return ask(worker, { path: storage.fileOf(keyOfFile('data', task.id)), length, task })
}

async function readAndExamine(
  { storage, key, index }: IndexedRepository,
  reader: Reader,
  task: PackTask,
  size: number,
  { signal }: Cancel,
): Promise<PackVerdict> {
  if (reader.memory === undefined || reader.memory.byteLength < size) reader.memory = new SharedArrayBuffer(size)
  const { memory, worker } = reader
  const into = new Uint8Array(memory)
  let length = 0
  try {
    for await (const chunk of storage.get(keyOfFile('data', task.id), signal ? { signal } : {})) {
      if (length + chunk.length > into.length)
        return { problem: 'is longer than it was listed', bad: [...task.entries] }
      into.set(chunk, length)
      length += chunk.length
    }
  } catch (error) {
    if (!isAppError(error, 'storage.not-found', 'storage.truncated')) throw error
    return { problem: error.message, bad: [...task.entries] }
  }
  const read: ReadRange = (start, count) => into.subarray(start, start + count)
  const verdict =
    worker === undefined
      ? examinePack(key, index, { read, size: length }, task)
      : await ask(worker, { memory, length, task })
  if (verdict === undefined) throw new AppError('internal.bug', 'a checking thread gave no verdict')
  return verdict
}

async function ask(worker: Worker, request: ExamineRequest): Promise<PackVerdict | undefined> {
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void =>
      reject(new AppError('internal.bug', 'a checking thread failed', { cause: error }))
    worker.once('error', fail)
    worker.once('message', (reply: ExamineReply) => {
      worker.off('error', fail)
      if ('error' in reply) fail(new Error(reply.error))
      else resolve(reply.verdict)
    })
    worker.postMessage(request)
  })
}

function entriesOf({ index, packs: table }: IndexedRepository, packs: readonly PackToRead[]): Map<number, Uint32Array> {
  const counts = new Uint32Array(table.count)
  for (let entry = 0; entry < index.count; entry += 1) {
    const { pack } = index.place(entry)
    if (pack < counts.length) counts[pack] = (counts[pack] as number) + 1
  }
  const found = new Map(packs.map(({ number }) => [number, new Uint32Array(counts[number] as number)]))
  counts.fill(0)
  for (let entry = 0; entry < index.count; entry += 1) {
    const { pack } = index.place(entry)
    const list = found.get(pack)
    if (list === undefined) continue
    list[counts[pack] as number] = entry
    counts[pack] = (counts[pack] as number) + 1
  }
  return found
}
