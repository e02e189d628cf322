/** Which ranges of packs a restore reads, and what of each goes where. */
import type { BlobIndex } from './blob-index.ts'
import { SEAL_OVERHEAD } from './crypto.ts'

/** Requests grow to this: those over a network should be few, those of files stay in the processor's cache. */
export const RANGE = { remote: 4 * 1024 * 1024, local: 1024 * 1024 }
/** Memory for one range has room for the largest chunk, sealed. */
export const RANGE_ROOM = 8 * 1024 * 1024 + 64 * 1024
/** Bytes that nobody wants are read when that spares a request. */
const GAP = 256 * 1024
/** So that threads share the work of many small files, too. */
const MOST_USES = 192

export interface Range<Use> {
  pack: number
  start: number
  end: number
  blobs: { entry: number; at: number; uses: Use[] }[]
}

/** The bytes that a stored blob holds. */
export function contentLength(index: BlobIndex, entry: number): number {
  const { length, uncompressedLength } = index.place(entry)
  return uncompressedLength > 0 ? uncompressedLength : length - SEAL_OVERHEAD
}

/** In the order in which they lie in their packs. */
export function planRanges<Use>(index: BlobIndex, wanted: ReadonlyMap<number, Use[]>, most: number): Range<Use>[] {
  const places = [...wanted].map(([entry, uses]) => ({ entry, uses, ...index.place(entry) }))
  places.sort((a, b) => a.pack - b.pack || a.offset - b.offset)
  const ranges: Range<Use>[] = []
  let range: Range<Use> | undefined
  let count = 0
  for (const { entry, uses, pack, offset, length } of places) {
    const end = offset + length
    if (
      range === undefined ||
      range.pack !== pack ||
      offset - range.end > GAP ||
      end - range.start > most ||
      count >= MOST_USES
    ) {
      range = { pack, start: offset, end, blobs: [] }
      ranges.push(range)
      count = 0
    }
    range.blobs.push({ entry, at: offset - range.start, uses })
    range.end = Math.max(range.end, end)
    count += uses.length
  }
  return ranges
}
