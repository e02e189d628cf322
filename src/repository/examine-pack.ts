/** One pack as it was read: its name, its header, and each of its blobs. What a thread does; shares the index alone. */
import { hash } from 'node:crypto'
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

export function examinePack(key: SealKey, index: BlobIndex, bytes: Uint8Array, task: PackTask): PackVerdict {
  const { entries, blobs } = task
  const whole = hash('sha256', bytes, 'hex') === task.id
  if (!blobs) return { problem: whole ? undefined : 'has other bytes than were written', bad: [] }
  const bad: number[] = []
  for (const entry of entries) {
    const { offset, length, uncompressedLength } = index.place(entry)
    const compressed = uncompressedLength > 0
    const contentLength = compressed ? uncompressedLength : length - SEAL_OVERHEAD
    const id = Buffer.from(index.idOf(entry), 'hex')
    if (!opens(key, bytes.subarray(offset, offset + length), { id, contentLength, compressed })) bad.push(entry)
  }
  if (!whole) return { problem: 'has other bytes than were written', bad }
  if (bad.length > 0) return { problem: `holds ${bad.length} blobs that are not what they were`, bad }
  return { problem: headerProblem(key, index, bytes, entries), bad }
}

function headerProblem(key: SealKey, index: BlobIndex, bytes: Uint8Array, entries: Uint32Array): string | undefined {
  const range = headerRange(bytes.subarray(-4), bytes.length)
  const plain = range && unseal(key, bytes.subarray(range.start, range.end))
  const listed = plain && parseHeader(plain)
  if (listed === undefined) return 'has a header that cannot be read'
  const known = new Map([...entries].map((entry) => [index.place(entry).offset, entry]))
  const same = listed.every(({ offset, id, length }) => {
    const entry = known.get(offset)
    return entry !== undefined && index.idOf(entry) === id && index.place(entry).length === length
  })
  return same && listed.length === known.size ? undefined : 'has a header that differs from the index'
}
