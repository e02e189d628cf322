import type { FileHandle } from 'node:fs/promises'
import type { Bytes } from '../base/bytes.ts'

/** Two buffers of this size: one fills while the other is written. */
const BUFFER = 1024 * 1024
/** From this size on a chunk is written from where it is: the producer waits, but nothing is copied. */
const DIRECT = 256 * 1024
/** After so many bytes the disk is told to begin: else the flush at the end would wait for all of them. */
const FLUSH_EVERY = 16 * 1024 * 1024

export interface FileWriter {
  write(chunk: Bytes): Promise<void>
  /** Writes the rest. */
  end(): Promise<void>
  /** Resolves when nothing of this writer uses the file any more; never rejects. */
  settle(): Promise<void>
}

/**
 * Gathers small chunks into large writes. These are copied, so the producer may use their memory again; the disk works
 * while the next megabyte arrives. A failed write shows at the next call.
 */
export function fileWriter(file: FileHandle, onBytes: (bytes: number) => void): FileWriter {
  let filling: Buffer = Buffer.allocUnsafeSlow(64 * 1024)
  let idle: Buffer | undefined
  let filled = 0
  let length = 0
  let pending: Promise<void> = Promise.resolve()
  let flushed = 0
  let flushing: Promise<void> | undefined
  /** The system tells of a failed flush once: what it told here the last one does not hear. */
  let failure: { error: unknown } | undefined

  /** In the background, one at a time. */
  function beginFlush(): void {
    if (flushing !== undefined || length - flushed < FLUSH_EVERY) return
    flushed = length
    flushing = file.datasync().then(
      () => void (flushing = undefined),
      (error: unknown) => {
        flushing = undefined
        failure = { error }
      },
    )
  }

  async function flush(): Promise<void> {
    await pending
    if (failure !== undefined) throw failure.error
    beginFlush()
    const full = filling
    const count = filled
    pending = writeAll(file, full.subarray(0, count), length)
    // The rejection is met at the next await of `pending`.
    pending.catch(() => undefined)
    length += count
    filling = idle ?? Buffer.allocUnsafeSlow(BUFFER)
    idle = full.length === BUFFER ? full : undefined
    filled = 0
  }

  /** Small objects never pay for two megabytes. */
  function grow(): void {
    const larger = Buffer.allocUnsafeSlow(Math.min(BUFFER, filling.length * 4))
    larger.set(filling.subarray(0, filled))
    filling = larger
  }

  return {
    async write(chunk) {
      if (chunk.length >= DIRECT) {
        if (filled > 0) await flush()
        await pending
        if (failure !== undefined) throw failure.error
        beginFlush()
        await writeAll(file, chunk, length)
        length += chunk.length
        onBytes(chunk.length)
        return
      }
      for (let at = 0; at < chunk.length;) {
        if (filled === filling.length) {
          if (filling.length < BUFFER) grow()
          else await flush()
        }
        const count = Math.min(filling.length - filled, chunk.length - at)
        filling.set(chunk.subarray(at, at + count), filled)
        filled += count
        at += count
      }
      onBytes(chunk.length)
    },
    async end() {
      if (filled > 0) await flush()
      await pending
      await flushing
      if (failure !== undefined) throw failure.error
    },
    async settle() {
      await pending.catch(() => undefined)
      await flushing
    },
  }
}

export async function writeAll(file: FileHandle, bytes: Bytes, position: number): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, at, bytes.length - at, position + at)
    at += bytesWritten
  }
}
