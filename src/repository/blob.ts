/** A sealed blob as it lies in a pack. docs/formats/repository.md §4. */
import { hash } from 'node:crypto'
import type { Bytes } from '../base/bytes.ts'
import { zstdExpander } from '../base/zstd-frames.ts'
import { unseal, unsealInto, type SealKey } from './crypto.ts'
import { idOf, type BlobType } from './ids.ts'
import { damaged } from './parse.ts'
import { expandTo } from './zstd.ts'

/** Largest content of one blob: a chunk has at most 8 MiB, a tree of a huge folder much more. */
const MAX_BLOB = 2 ** 31

/** A blob that was opened; `packed`: as it lay in the seal, `content` itself where it was not compressed. */
export interface OpenedBlob {
  packed: Buffer
  content: Buffer
}

/** Opens a sealed blob as it came from a pack: decrypted, expanded, compared with its id. */
export function openBlob(
  key: SealKey,
  sealed: Uint8Array,
  { type, id, uncompressedLength }: { type: BlobType; id: string; uncompressedLength: number },
): OpenedBlob {
  const what = `${type} blob ${id.slice(0, 8)}`
  const packed = unseal(key, sealed)
  if (packed === undefined) throw damaged(what, 'its sum is wrong')
  if (uncompressedLength > MAX_BLOB) throw damaged(what, 'it claims to be larger than any')
  const content = uncompressedLength === 0 ? packed : expandTo(uncompressedLength, packed)
  if (content === undefined) throw damaged(what, 'it cannot be expanded')
  if (idOf(content) !== id) throw damaged(what, 'its content is not that of its id')
  return { packed, content }
}

export const decodeBlob = (...blob: Parameters<typeof openBlob>): Buffer => openBlob(...blob).content

const expand = zstdExpander()
const memories = new Map<string, Uint8Array>()

/** Memory of this thread for one purpose, `packed` for what is sealed next or was opened; what it held before is gone. */
export function memoryFor(purpose: 'packed' | 'expanded', size: number): Uint8Array {
  const known = memories.get(purpose)
  if (known !== undefined && known.length >= size) return known
  const memory = Buffer.allocUnsafeSlow(Math.max(size, 640 * 1024))
  memories.set(purpose, memory)
  return memory
}

export interface BlobFacts {
  id: Bytes
  contentLength: number
  compressed: boolean
}

/** Its content: decrypted, expanded, hashed. In memory of this thread that the next call uses again; undefined if a bit is wrong. */
export function openInPlace(
  key: SealKey,
  sealed: Bytes,
  { id, contentLength, compressed }: BlobFacts,
): Uint8Array | undefined {
  if (contentLength > MAX_BLOB) return undefined
  const opened = memoryFor('packed', sealed.length)
  let size = unsealInto(key, sealed, opened)
  if (size === -1) return undefined
  let content = opened.subarray(0, size)
  if (compressed) {
    // A byte more, so that a frame which holds more shows.
    const expanded = memoryFor('expanded', contentLength + 1)
    try {
      size = expand(content, expanded)
    } catch {
      return undefined
    }
    content = expanded.subarray(0, size)
  }
  return size === contentLength && hash('sha256', content, 'buffer').equals(id) ? content : undefined
}

/** Whether it opens, as for a restore. */
export const opens = (key: SealKey, sealed: Bytes, facts: BlobFacts): boolean =>
  openInPlace(key, sealed, facts) !== undefined
