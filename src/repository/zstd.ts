/** zstd frames as restic writes them: no checksum, the content's size in the header. */
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import type { Bytes } from '../base/bytes.ts'

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
