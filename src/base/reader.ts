import { EMPTY, type Bytes } from './bytes.ts'

/**
 * Pulls bytes into memory that the caller owns. `read` fills some of `into` and gives the count, 0 at the end, never 0
 * before it. A reader of local files answers at once, without a promise: that keeps a hundred thousand small files
 * cheap. `close` may be called at any time, more than once, and ends whatever feeds the reader.
 */
export interface ByteReader {
  /** The number of bytes to come, where it is known at opening and differs from what the entry says. */
  readonly size?: number
  read(into: Uint8Array): number | Promise<number>
  close(): void | Promise<void>
}

export function readerOfBytes(bytes: Bytes): ByteReader {
  let rest = bytes
  return {
    read(into) {
      const count = Math.min(into.length, rest.length)
      into.set(count === rest.length ? rest : rest.subarray(0, count))
      rest = rest.subarray(count)
      return count
    },
    close() {
      rest = EMPTY
    },
  }
}

export function readerOfStream(stream: AsyncIterable<Bytes>): ByteReader {
  const iterator = stream[Symbol.asyncIterator]()
  let rest: Bytes = EMPTY
  let ended = false
  return {
    async read(into) {
      while (rest.length === 0 && !ended) {
        const next = await iterator.next()
        if (next.done) ended = true
        else rest = next.value
      }
      const count = Math.min(into.length, rest.length)
      into.set(rest.subarray(0, count))
      rest = rest.subarray(count)
      return count
    },
    async close() {
      if (!ended) await iterator.return?.()
      ended = true
      rest = EMPTY
    },
  }
}

/** Fills `into` as far as the reader goes; gives the count, less than asked for only at the end. */
export async function readFully(reader: ByteReader, into: Uint8Array): Promise<number> {
  let filled = 0
  while (filled < into.length) {
    const got = reader.read(into.subarray(filled))
    const count = typeof got === 'number' ? got : await got
    if (count === 0) break
    filled += count
  }
  return filled
}

/** The reader's bytes as a stream of fresh chunks; closes the reader at the end. */
export async function* streamOfReader(reader: ByteReader, chunkSize = 256 * 1024): AsyncGenerator<Uint8Array> {
  try {
    for (;;) {
      const chunk = Buffer.allocUnsafe(chunkSize)
      const count = await reader.read(chunk)
      if (count === 0) return
      yield chunk.subarray(0, count)
    }
  } finally {
    await reader.close()
  }
}
