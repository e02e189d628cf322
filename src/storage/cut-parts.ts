import type { Bytes } from '../../base/bytes.ts'
import type { ByteStream } from '../../base/streams.ts'

export interface Part {
  bytes: Bytes
  last: boolean
  /** Gives the memory back for a later part. */
  release(): void
}

/** The first buffer begins this small, so that small objects cost little. */
const FIRST = 256 * 1024

/**
 * Cuts a stream into parts of exactly `size` bytes, the last shorter; an empty stream is one empty part. Memory is
 * reused: there are never more buffers than parts not yet released, and one more. Chunks are copied.
 */
export async function* cutParts(stream: ByteStream, size: number): AsyncGenerator<Part> {
  const idle: Buffer[] = []
  let buffer: Buffer = Buffer.allocUnsafeSlow(Math.min(FIRST, size))
  let filled = 0

  function part(last: boolean): Part {
    const used = buffer
    return { bytes: used.subarray(0, filled), last, release: () => void idle.push(used) }
  }

  for await (const chunk of stream) {
    for (let at = 0; at < chunk.length;) {
      if (filled === size) {
        yield part(false)
        buffer = idle.pop() ?? Buffer.allocUnsafeSlow(size)
        filled = 0
      }
      if (filled === buffer.length) {
        const larger = Buffer.allocUnsafeSlow(Math.min(size, buffer.length * 4))
        larger.set(buffer)
        buffer = larger
      }
      const count = Math.min(buffer.length - filled, chunk.length - at)
      buffer.set(chunk.subarray(at, at + count), filled)
      filled += count
      at += count
    }
  }
  yield part(true)
}

/** The same for bytes that are there already: no copies. */
export async function* cutBytes(bytes: Bytes, size: number): AsyncGenerator<Part> {
  for (let at = 0; at === 0 || at < bytes.length; at += size)
    yield { bytes: bytes.subarray(at, at + size), last: at + size >= bytes.length, release: () => undefined }
}
