/** zstd frames as restic writes them: no checksum, the content's size in the header. */
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import type { Bytes } from '../base/bytes.ts'
import { zstdExpander } from '../base/zstd-frames.ts'

/** Gives the size that restic's default gives. */
export const DEFAULT_LEVEL = 2

export function compress(bytes: Bytes, level = DEFAULT_LEVEL): Buffer {
  return zstdCompressSync(bytes, {
    params: { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_checksumFlag]: 0 },
  })
}

/** At most `limit` bytes; undefined when the frame is wrong or holds more. */
export function decompress(bytes: Bytes, limit: number): Buffer | undefined {
  try {
    return zstdDecompressSync(bytes, { maxOutputLength: Math.max(1, limit) })
  } catch {
    return undefined
  }
}

const expand = zstdExpander()
/** What is larger is rare, and memory for it is taken as it comes. */
const MOST_AT_ONCE = 64 * 1024 * 1024

/** Exactly `length` bytes; undefined when the frame is wrong or holds fewer or more. */
export function expandTo(length: number, bytes: Bytes): Buffer | undefined {
  if (length > MOST_AT_ONCE) {
    const content = decompress(bytes, length)
    return content?.length === length ? content : undefined
  }
  try {
    // A byte more, so that more shows.
    const content = Buffer.allocUnsafeSlow(length + 1)
    return expand(bytes, content) === length ? content.subarray(0, length) : undefined
  } catch {
    return undefined
  }
}
