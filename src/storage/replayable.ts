import { randomBytes } from 'node:crypto'
import { open, rm, type FileHandle } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Bytes } from '../base/bytes.ts'
import { AppError } from '../base/errors.ts'
import { localError } from './local-errors.ts'
import { writeAll } from './local-write.ts'

/** A body that can be read again from the start: what was read so far is kept, the rest still comes from the source. */
export interface Replayable {
  /** One reader at a time. */
  open(): Bytes | AsyncIterable<Bytes>
  dispose(): Promise<void>
}

const CHUNK = 1024 * 1024

/** Bytes need no keeping. A stream is kept in a private temporary file, removed (though still open) from the start. */
export function replayable(body: Bytes | AsyncIterable<Bytes>, folder: string = tmpdir()): Replayable {
  if (body instanceof Uint8Array) return { open: () => body, async dispose() {} }
  const source = body[Symbol.asyncIterator]()
  let file: FileHandle | undefined
  let kept = 0
  let ended = false
  let broken: { error: unknown } | undefined
  let newest: Bytes | undefined
  let pending: Promise<void> | undefined
  /** Goes on while the chunk is already sent; met before its memory is used again, and before anything is read back. */
  let keeping: Promise<void> = Promise.resolve()

  async function keep(chunk: Bytes, at: number): Promise<void> {
    try {
      file ??= await nameless(folder)
      await writeAll(file, chunk, at)
    } catch (error) {
      const { message } = localError(error, `keep a stream in ${folder} until it is stored`)
      throw new AppError('storage.failed', message, { cause: error, details: { permanent: true } })
    }
  }

  /** Takes one more chunk from the source. A reader that gave up may have left its request open: it is shared. */
  async function pull(): Promise<void> {
    try {
      await keeping
      newest = undefined
      const next = await source.next()
      if (next.done) ended = true
      else {
        newest = next.value
        keeping = keep(newest, kept)
        // Met above, or in `readKept`.
        keeping.catch(() => undefined)
        kept += newest.length
      }
    } catch (error) {
      broken = { error }
    } finally {
      pending = undefined
    }
  }

  async function readKept(at: number): Promise<Bytes> {
    // Most often what is wanted is what just came.
    if (newest !== undefined && at === kept - newest.length) return newest
    await keeping
    const chunk = Buffer.allocUnsafeSlow(Math.min(CHUNK, kept - at))
    const { bytesRead } = (await file?.read(chunk, 0, chunk.length, at)) ?? { bytesRead: 0 }
    if (bytesRead === 0) throw new AppError('storage.failed', `the stream kept in ${folder} was cut short`)
    return chunk.subarray(0, bytesRead)
  }

  return {
    async *open() {
      for (let at = 0; ;) {
        if (at < kept) {
          const chunk = await readKept(at)
          at += chunk.length
          yield chunk
        } else if (broken !== undefined) throw broken.error
        else if (ended) return
        else await (pending ??= pull())
      }
    },
    async dispose() {
      if (!ended && broken === undefined) void Promise.resolve(source.return?.()).catch(() => undefined)
      await keeping.catch(() => undefined)
      await file?.close()
      file = undefined
    },
  }
}

async function nameless(folder: string): Promise<FileHandle> {
  const path = join(folder, `.holdfast-${randomBytes(8).toString('hex')}`)
  const file = await open(path, 'wx+', 0o600)
  await rm(path)
  return file
}
