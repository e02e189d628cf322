/**
 * Bytes that come bit by bit, in memory as long as they are few and then in a file. The file has no name any more when the
 * first byte goes into it: nobody else can open it, and however this process ends it is gone.
 */
import { randomBytes } from 'node:crypto'
import { closeSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { concat, EMPTY } from './bytes.ts'
import { AppError, errno } from './errors.ts'

/** A `Uint8Array` is one as it is. */
export interface ReadableBytes {
  readonly length: number
  /** What this gives stays as it is, also after `close`. */
  subarray(from: number, to: number): Uint8Array
  close?(): void
}

export interface HeldBytes extends ReadableBytes {
  /** The memory belongs to these bytes from then on. */
  append(bytes: Uint8Array): void
  close(): void
}

/** Small ones go to the file together. */
const WRITE_BYTES = 1024 * 1024

/** More than `most` bytes are not held in memory. */
export function heldBytes(most: number): HeldBytes {
  let parts: Uint8Array[] = []
  let inParts = 0
  let fd: number | undefined
  let inFile = 0
  let closed = false

  function flush(): void {
    fd ??= openUnnamed()
    const bytes = joined()
    for (let done = 0; done < bytes.length;) done += writeAt(fd, bytes.subarray(done), inFile + done)
    inFile += bytes.length
    parts = []
    inParts = 0
  }

  function joined(): Uint8Array {
    if (parts.length > 1) parts = [concat(parts)]
    return parts[0] ?? EMPTY
  }

  return {
    get length() {
      return inFile + inParts
    },
    append(bytes) {
      parts.push(bytes)
      inParts += bytes.length
      if (inParts > (fd === undefined ? most : WRITE_BYTES)) flush()
    },
    subarray(from, to) {
      if (closed) throw new AppError('internal.bug', 'bytes that were given up are asked for')
      if (fd === undefined) return joined().subarray(from, to)
      if (inParts > 0) flush()
      const bytes = Buffer.allocUnsafeSlow(Math.max(0, Math.min(to, inFile) - from))
      for (let done = 0; done < bytes.length;) {
        const got = readSync(fd, bytes, done, bytes.length - done, from + done)
        if (got === 0) throw new AppError('internal.bug', 'a temporary file is shorter than what was written to it')
        done += got
      }
      return bytes
    },
    close() {
      closed = true
      parts = []
      if (fd !== undefined) closeSync(fd)
      fd = undefined
    },
  }
}

function writeAt(fd: number, bytes: Uint8Array, at: number): number {
  try {
    return writeSync(fd, bytes, 0, bytes.length, at)
  } catch (cause) {
    throw new AppError('source.incomplete', `a long transaction does not fit into ${tmpdir()}: ${errno(cause)}`, {
      cause,
      hint: 'Make room there, or name another folder in TMPDIR.',
    })
  }
}

function openUnnamed(): number {
  const path = join(tmpdir(), `holdfast-${randomBytes(8).toString('hex')}`)
  const fd = openSync(path, 'wx+', 0o600)
  unlinkSync(path)
  return fd
}

/** One after the other. */
export function joinedBytes(all: readonly ReadableBytes[]): ReadableBytes {
  const length = all.reduce((sum, one) => sum + one.length, 0)
  return {
    length,
    subarray(from, to) {
      const found: Uint8Array[] = []
      let start = 0
      for (const one of all) {
        const [first, end] = [Math.max(from - start, 0), Math.min(to - start, one.length)]
        if (first < end) found.push(one.subarray(first, end))
        start += one.length
      }
      return found.length === 1 ? (found[0] as Uint8Array) : concat(found)
    },
    close() {
      for (const one of all) one.close?.()
    },
  }
}

const WINDOW = 1024 * 1024

/** Small ranges that follow each other, without a call to the system for each. */
export function windowOver(bytes: ReadableBytes): (from: number, to: number) => Buffer {
  let window: Buffer = Buffer.alloc(0)
  let start = 0
  return (from, to) => {
    if (from < start || to > start + window.length) {
      const got = bytes.subarray(from, Math.min(bytes.length, Math.max(to, from + WINDOW)))
      window = Buffer.from(got.buffer, got.byteOffset, got.length)
      start = from
    }
    return window.subarray(from - start, to - start)
  }
}
