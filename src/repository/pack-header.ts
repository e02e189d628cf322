/**
 * A pack: `blob || … || blob || sealed header || uint32 LE length of the sealed header`. An entry of the header:
 *
 *   0  u8      0 data · 1 tree · 2 compressed data · 3 compressed tree
 *   1  u32 LE  length of the sealed blob
 *   5  u32 LE  length of the content (types 2 and 3 only)
 *   5 or 9     SHA-256 of the content, 32 bytes
 *
 * Blobs lie one after the other from offset 0. docs/formats/repository.md §4.
 */
import type { Bytes } from '../base/bytes.ts'
import { SEAL_OVERHEAD } from './crypto.ts'
import { ID_LENGTH, type BlobType } from './ids.ts'

const PLAIN_ENTRY = 5 + ID_LENGTH
const COMPRESSED_ENTRY = 9 + ID_LENGTH
const LENGTH_FIELD = 4
/** restic reads no larger ones. */
export const MAX_HEADER = 16 * 1024 * 1024

export interface PackedBlob {
  id: string
  type: BlobType
  offset: number
  /** Of the sealed blob. */
  length: number
  /** Of the content, where it is compressed; 0 where it is not. */
  uncompressedLength: number
}

export const entryLength = (uncompressedLength: number): number =>
  uncompressedLength > 0 ? COMPRESSED_ENTRY : PLAIN_ENTRY

/** What a pack of these blobs takes. */
export function packSize(blobs: readonly { length: number; uncompressedLength: number }[]): number {
  return blobs.reduce(
    (sum, { length, uncompressedLength }) => sum + length + entryLength(uncompressedLength),
    SEAL_OVERHEAD + LENGTH_FIELD,
  )
}

/** `id`: as hex digits or as bytes. */
export function encodeHeader(
  blobs: readonly (Omit<PackedBlob, 'offset' | 'id'> & { id: string | Uint8Array })[],
): Buffer {
  const size = blobs.reduce((sum, { uncompressedLength }) => sum + entryLength(uncompressedLength), 0)
  const header = Buffer.allocUnsafe(size)
  let at = 0
  for (const { id, type, length, uncompressedLength } of blobs) {
    const compressed = uncompressedLength > 0
    header[at] = (type === 'tree' ? 1 : 0) + (compressed ? 2 : 0)
    header.writeUInt32LE(length, at + 1)
    if (compressed) header.writeUInt32LE(uncompressedLength, at + 5)
    const idStart = at + (compressed ? 9 : 5)
    if (typeof id === 'string') header.write(id, idStart, 'hex')
    else header.set(id, idStart)
    at += entryLength(uncompressedLength)
  }
  return header
}

/** The blobs of a header after it was opened; undefined when it makes no sense. */
export function parseHeader(bytes: Bytes): PackedBlob[] | undefined {
  const header = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  const blobs: PackedBlob[] = []
  let offset = 0
  for (let at = 0; at < header.length;) {
    const kind = header[at] as number
    const size = kind >= 2 ? COMPRESSED_ENTRY : PLAIN_ENTRY
    if (kind > 3 || at + size > header.length) return undefined
    const length = header.readUInt32LE(at + 1)
    if (length < SEAL_OVERHEAD) return undefined
    blobs.push({
      id: header.toString('hex', at + size - ID_LENGTH, at + size),
      type: (kind & 1) === 1 ? 'tree' : 'data',
      offset,
      length,
      uncompressedLength: kind >= 2 ? header.readUInt32LE(at + 5) : 0,
    })
    offset += length
    at += size
  }
  return blobs
}

/** Where the sealed header of a pack of `size` bytes lies, by its last four bytes; undefined when that cannot be. */
export function headerRange(tail: Bytes, size: number): { start: number; end: number } | undefined {
  const length = Buffer.from(tail.buffer, tail.byteOffset, tail.length).readUInt32LE(tail.length - LENGTH_FIELD)
  const end = size - LENGTH_FIELD
  if (length < SEAL_OVERHEAD || length > MAX_HEADER || length > end) return undefined
  return { start: end - length, end }
}
