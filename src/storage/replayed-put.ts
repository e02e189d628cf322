import type { Bytes } from '../base/bytes.ts'
import { AppError, isAppError } from '../base/errors.ts'
import { throwIfAborted } from '../base/streams.ts'
import { abortable } from './abortable.ts'
import type { Calls } from './calls.ts'
import { replayable } from './replayable.ts'

export interface ReplayedPut {
  calls: Calls
  tried: string
  signal: AbortSignal | undefined
  onBytes: (bytes: number) => void
  /** Sends the whole body in one request; gives the size that the other side then has. Called again when it fails. */
  send: (body: Bytes | AsyncIterable<Bytes>, signal: AbortSignal) => Promise<number | undefined>
  /**
   * Called when all of it is there: moves it to its place, trying again by itself what can be. False: it was gone, so that
   * the body has to be sent again.
   */
  place?: (length: number) => Promise<boolean>
}

/**
 * For storages that take an object in one request only: a stream is kept on this machine while it is sent, so that it can
 * be sent again. Gives its length once all of it has arrived.
 */
export async function replayedPut(job: ReplayedPut, body: Bytes | AsyncIterable<Bytes>): Promise<number> {
  const { calls, tried, signal, onBytes } = job
  let length = body instanceof Uint8Array ? body.length : 0
  let failure: { error: unknown } | undefined
  let ended = body instanceof Uint8Array
  async function* counted(stream: AsyncIterable<Bytes>): AsyncGenerator<Bytes> {
    try {
      for await (const chunk of stream) {
        length += chunk.length
        onBytes(chunk.length)
        yield chunk
      }
      ended = true
    } catch (error) {
      failure = { error }
      throw error
    }
  }
  const kept = replayable(body instanceof Uint8Array ? body : counted(abortable(body, signal)))
  try {
    await calls.persist(tried, signal, async (each) => {
      let found: number | undefined
      try {
        found = await job.send(kept.open(), each)
      } catch (error) {
        // What the source gave up for is not repeated, and goes up as it is.
        if (failure !== undefined) throw asPermanent(failure.error)
        throw error
      }
      // A server may tell of success before all was sent.
      if (!ended) throw new AppError('storage.failed', `cannot ${tried}: it was said to be stored before its end`)
      if (found !== length)
        throw new AppError('storage.truncated', `cannot ${tried}: ${found ?? 'none'} of ${length} bytes arrived`)
      if (job.place !== undefined && !(await placed(job.place, length)))
        throw new AppError('storage.failed', `cannot ${tried}: it was gone before it was moved`)
    })
    if (body instanceof Uint8Array) onBytes(length)
    return length
  } catch (error) {
    throwIfAborted(signal)
    throw failure?.error ?? error
  } finally {
    await kept.dispose()
  }
}

async function placed(place: NonNullable<ReplayedPut['place']>, length: number): Promise<boolean> {
  try {
    return await place(length)
  } catch (error) {
    // The body need not be sent again for it.
    throw asPermanent(error)
  }
}

/** The same error, not to be repeated. */
export const asPermanent = (error: unknown): AppError =>
  isAppError(error)
    ? new AppError(error.code, error.message, { cause: error, details: { ...error.details, permanent: true } })
    : new AppError('storage.failed', String(error), { cause: error, details: { permanent: true } })
