/** One pack as it was read: its name, its header, and each of its blobs. What a thread does; shares the index alone. */
import { createHash } from 'node:crypto'
import type { BlobIndex } from './blob-index.ts'
import { opens } from './blob.ts'
import { SEAL_OVERHEAD, unseal, type SealKey } from './crypto.ts'
import { headerRange, parseHeader } from './pack-header.ts'

export interface PackTask {
  id: string
  /** Its entries in the index. */
  entries: Uint32Array
  /** Open each blob; else the bytes are compared with the name alone. */
  blobs: boolean
}

export interface PackVerdict {
  /** Undefined when nothing is wrong. */
  problem: string | undefined
  /** Entries of blobs that cannot be opened. */
  bad: number[]
}

/** Gives bytes that are used before the next ones are asked for; undefined when they are not there. */
export type ReadRange = (start: number, length: number) => Uint8Array | undefined

/** What is read at once stays in the processor's cache for all that is done with it. */
const WINDOW = 1024 * 1024
const OTHER_BYTES = 'has other bytes than were written'

/** Undefined when not all of it can be read. */
export function examinePack(
  key: SealKey,
  index: BlobIndex,
  { read, size }: { read: ReadRange; size: number },
  task: PackTask,
): PackVerdict | undefined {
  const blobs = task.blobs ? placed(index, task.entries) : []
  const sum = createHash('sha256')
  const bad: number[] = []
  let next = 0
  for (let start = 0; start < size;) {
    const inWindow: PlacedBlob[] = []
    let end = start
    for (let blob = blobs[next]; blob !== undefined; blob = blobs[next]) {
      if (end > start && blob.offset + blob.length - start > WINDOW) break
      next += 1
      // No pack of anybody has blobs that overlap, or reach past its end.
      if (blob.offset < end || blob.offset + blob.length > size) bad.push(blob.entry)
      else {
        inWindow.push(blob)
        end = blob.offset + blob.length
      }
    }
    if (blobs[next] === undefined) end = Math.max(end, Math.min(size, start + WINDOW))
    const bytes = read(start, end - start)
    if (bytes === undefined) return undefined
    sum.update(bytes)
    for (const { entry, offset, length } of inWindow)
      if (!opensAt(key, index, entry, bytes.subarray(offset - start, offset - start + length))) bad.push(entry)
    start = end
  }
  const whole = sum.digest('hex') === task.id
  if (!whole || !task.blobs) return { problem: whole ? undefined : OTHER_BYTES, bad }
  if (bad.length > 0) return { problem: `holds ${bad.length} blobs that are not what they were`, bad }
  return headerProblem(key, index, { read, size }, task.entries)
}

interface PlacedBlob {
  entry: number
  offset: number
  length: number
}

/** In the order in which they lie there. */
function placed(index: BlobIndex, entries: Uint32Array): PlacedBlob[] {
  const blobs = Array.from(entries, (entry): PlacedBlob => {
    const { offset, length } = index.place(entry)
    return { entry, offset, length }
  })
  return blobs.sort((a, b) => a.offset - b.offset)
}

function opensAt(key: SealKey, index: BlobIndex, entry: number, sealed: Uint8Array): boolean {
  const { length, uncompressedLength } = index.place(entry)
  const compressed = uncompressedLength > 0
  const contentLength = compressed ? uncompressedLength : length - SEAL_OVERHEAD
  return opens(key, sealed, { id: Buffer.from(index.idOf(entry), 'hex'), contentLength, compressed })
}

function headerProblem(
  key: SealKey,
  index: BlobIndex,
  { read, size }: { read: ReadRange; size: number },
  entries: Uint32Array,
): PackVerdict | undefined {
  const unreadable: PackVerdict = { problem: 'has a header that cannot be read', bad: [] }
  if (size < 4) return unreadable
  const tail = read(size - 4, 4)
  const range = tail && headerRange(tail, size)
  if (range === undefined) return tail && unreadable
  const sealed = read(range.start, range.end - range.start)
  if (sealed === undefined) return undefined
  const plain = unseal(key, sealed)
  const listed = plain && parseHeader(plain)
  if (listed === undefined) return unreadable
  const known = new Map([...entries].map((entry) => [index.place(entry).offset, entry]))
  const same = listed.every(({ offset, id, length }) => {
    const entry = known.get(offset)
    return entry !== undefined && index.idOf(entry) === id && index.place(entry).length === length
  })
  const problem = same && listed.length === known.size ? undefined : 'has a header that differs from the index'
  return { problem, bad: [] }
}
