import { concat, type Bytes } from './bytes.ts'
import { AppError, toAppError } from './errors.ts'

/** A stage of a pipeline: bytes in, bytes out, with back-pressure by the pull of the next stage. */
export type Stage = (input: AsyncIterable<Bytes>) => AsyncIterable<Bytes>

export type ByteStream = AsyncIterable<Bytes>

export async function* streamOf(...chunks: Bytes[]): AsyncGenerator<Bytes> {
  for (const chunk of chunks) yield chunk
}

/** Reads a stream whole; refuses more than `limit` bytes, so that a hostile object cannot fill the memory. */
export async function collect(stream: ByteStream, limit = 256 * 1024 * 1024): Promise<Uint8Array> {
  const parts: Bytes[] = []
  let total = 0
  for await (const chunk of stream) {
    total += chunk.length
    if (total > limit) throw new AppError('storage.failed', `object is larger than the ${limit} bytes expected of it`)
    parts.push(chunk)
  }
  return parts.length === 1 ? (parts[0] as Bytes) : concat(parts)
}

/** Passes bytes through and reports each chunk. */
export function tap(see: (chunk: Bytes) => void): Stage {
  return async function* tapped(input) {
    for await (const chunk of input) {
      see(chunk)
      yield chunk
    }
  }
}

/** Re-cuts a stream into chunks of exactly `size` bytes (the last may be shorter). Chunks are fresh memory. */
export async function* rechunk(input: ByteStream, size: number): AsyncGenerator<Uint8Array> {
  let buffer = Buffer.allocUnsafeSlow(size)
  let filled = 0
  for await (const chunk of input) {
    for (let at = 0; at < chunk.length;) {
      const count = Math.min(size - filled, chunk.length - at)
      buffer.set(chunk.subarray(at, at + count), filled)
      filled += count
      at += count
      if (filled === size) {
        yield buffer
        buffer = Buffer.allocUnsafeSlow(size)
        filled = 0
      }
    }
  }
  if (filled > 0) yield buffer.subarray(0, filled)
}

export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw toAppError(signal.reason, 'run.cancelled')
}
