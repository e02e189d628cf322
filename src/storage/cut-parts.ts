import type { Bytes } from '../base/bytes.ts'
import { AppError } from '../base/errors.ts'
import type { ByteStream } from '../base/streams.ts'
import { abortable } from './abortable.ts'

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

export interface InParts<T> {
  partSize: number
  /** More parts are not taken: bytes that are there already are cut larger. */
  most?: number
  signal: AbortSignal | undefined
  /** All of it fits into one part. */
  whole(bytes: Bytes): Promise<T>
  several(first: Part, rest: AsyncGenerator<Part>): Promise<T>
}

/** In one request if it fits into one part, else in several; the source is given back however that ends. */
export async function storedInParts<T>(body: Bytes | AsyncIterable<Bytes>, how: InParts<T>): Promise<T> {
  const { partSize, most = Infinity, signal } = how
  const parts =
    body instanceof Uint8Array
      ? cutBytes(body, Math.max(partSize, Math.ceil(body.length / most)))
      : cutParts(abortable(body, signal), partSize)
  try {
    const first = await parts.next()
    if (first.done) throw new AppError('internal.bug', 'a stream has at least one part')
    return first.value.last ? await how.whole(first.value.bytes) : await how.several(first.value, parts)
  } finally {
    await parts.return(undefined).catch(() => undefined)
  }
}
