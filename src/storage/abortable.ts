import { toAppError } from '../base/errors.ts'
import type { ByteStream } from '../base/streams.ts'
import type { Bytes } from '../base/bytes.ts'

/** The same stream, which rejects with `run.cancelled` on abort even while its source hangs; the source is closed. */
export async function* abortable(stream: ByteStream, signal: AbortSignal | undefined): AsyncGenerator<Bytes> {
  if (signal === undefined) {
    yield* stream
    return
  }
  const iterator = stream[Symbol.asyncIterator]()
  let ended = false
  try {
    for (;;) {
      const next = await raceAbort(iterator.next(), signal)
      ended = next.done === true
      if (next.done) return
      yield next.value
    }
  } finally {
    // Not awaited: a source that hangs in next() would hang here too.
    if (!ended) void Promise.resolve(iterator.return?.()).catch(() => undefined)
  }
}

/** Waits for the promise or for the abort, whichever comes first. */
export async function raceAbort<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise
  let onAbort = (): void => undefined
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(toAppError(signal.reason, 'run.cancelled'))
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
  })
  // Whichever loses may reject later; nobody else hears of it.
  promise.catch(() => undefined)
  try {
    return await Promise.race([aborted, promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
