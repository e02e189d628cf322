/** What a thread does for a restore: a range of a pack comes in, the blobs in it go into their files. */
import { closeSync, constants, ftruncateSync, openSync, unlinkSync } from 'node:fs'
import { errno } from '../base/errors.ts'
import { writeAt, writeSparselyAt } from '../base/sparse-write.ts'
import type { BlobIndex } from './blob-index.ts'
import { openInPlace } from './blob.ts'
import { SEAL_OVERHEAD, type SealKey } from './crypto.ts'

/** Where a blob goes: the whole of a new file, or a part of one that is open. */
export type BlobUse =
  | { path: string | Uint8Array; mode: number; sparse: boolean }
  | { fd: number; position: number; sparse: boolean }

export interface RangedBlob {
  /** Its number in the index. */
  entry: number
  /** Where it lies in the range. */
  at: number
  uses: BlobUse[]
}

/** A use that came to nothing. */
export interface UseFailure {
  blob: number
  use: number
  /** What the file system said; absent when the blob could not be opened. */
  error?: { code: string | undefined; message: string }
}

const CREATE = constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY | constants.O_NOFOLLOW

export const createFor = (path: string | Uint8Array, mode: number): number =>
  openSync(typeof path === 'string' ? path : Buffer.from(path), CREATE, mode)

export function putRange(
  key: SealKey,
  index: BlobIndex,
  range: Uint8Array,
  blobs: readonly RangedBlob[],
): UseFailure[] {
  const failures: UseFailure[] = []
  for (const [blob, { entry, at, uses }] of blobs.entries()) {
    const { length, uncompressedLength } = index.place(entry)
    const compressed = uncompressedLength > 0
    const content = openInPlace(key, range.subarray(at, at + length), {
      id: Buffer.from(index.idOf(entry), 'hex'),
      contentLength: compressed ? uncompressedLength : length - SEAL_OVERHEAD,
      compressed,
    })
    for (const [use, where] of uses.entries()) {
      if (content === undefined) {
        failures.push({ blob, use })
        continue
      }
      try {
        putBlob(content, where)
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error)
        failures.push({ blob, use, error: { code: errno(error), message } })
      }
    }
  }
  return failures
}

export function putBlob(content: Uint8Array, use: BlobUse): void {
  if ('fd' in use) {
    ;(use.sparse ? writeSparselyAt : writeAt)(use.fd, content, use.position)
    return
  }
  const { path, sparse } = use
  const fd = createFor(path, use.mode)
  try {
    if (sparse) {
      writeSparselyAt(fd, content, 0)
      ftruncateSync(fd, content.length)
    } else writeAt(fd, content, 0)
  } catch (error) {
    unlinkSync(typeof path === 'string' ? path : Buffer.from(path))
    throw error
  } finally {
    closeSync(fd)
  }
}
