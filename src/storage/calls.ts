import { AppError } from '../base/errors.ts'
import { retry } from '../base/retry.ts'
import { throwIfAborted, type ByteStream } from '../base/streams.ts'
import type { Bytes } from '../base/bytes.ts'
import type { DriverOptions } from './driver-options.ts'

/** Requests of a driver: bounded in time, their errors as ours. */
export interface Calls {
  /** One request. `signal` ends with the caller's, and when no answer comes for too long. */
  call<T>(tried: string, signal: AbortSignal | undefined, work: (signal: AbortSignal) => Promise<T>): Promise<T>
  /** The same, repeated while that can help. */
  persist<T>(
    tried: string,
    signal: AbortSignal | undefined,
    work: (signal: AbortSignal, attempt: number) => Promise<T>,
  ): Promise<T>
}

export interface CallsOptions
  extends Required<Pick<DriverOptions, 'retry' | 'clock'>>, Pick<DriverOptions, 'onRetry' | 'onRequest'> {
  toError: (thrown: unknown, tried: string) => AppError
  /** So long one request may take, its body included; 5 minutes by default. */
  timeoutMs?: number
  /** Asked when credentials have expired; true: there may be new ones, and the request is sent once more. */
  renew?: () => boolean
}

const DEFAULT_TIMEOUT_MS = 300_000

export function driverCalls(options: CallsOptions): Calls {
  const { toError, timeoutMs = DEFAULT_TIMEOUT_MS, renew } = options

  async function once<T>(
    tried: string,
    signal: AbortSignal | undefined,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    throwIfAborted(signal)
    options.onRequest?.(tried)
    const timeout = AbortSignal.timeout(timeoutMs)
    try {
      return await work(signal ? AbortSignal.any([signal, timeout]) : timeout)
    } catch (thrown) {
      throwIfAborted(signal)
      if (timeout.aborted) throw silent(tried, timeoutMs)
      throw toError(thrown, tried)
    }
  }

  const call: Calls['call'] = async (tried, signal, work) => {
    try {
      return await once(tried, signal, work)
    } catch (error) {
      const expired = error instanceof AppError && ['storage.expired', 'storage.denied'].includes(error.code)
      if (!expired || renew?.() !== true) throw error
      return await once(tried, signal, work)
    }
  }

  return {
    call,
    persist: (tried, signal, work) =>
      retry((attempt) => call(tried, signal, (each) => work(each, attempt)), { ...options, ...options.retry, signal }),
  }
}

const silent = (tried: string, ms: number): AppError =>
  new AppError('storage.unreachable', `cannot ${tried}: nothing came for ${Math.round(ms / 1000)} s`)

/** An answer that has to begin within the time, and may then take as long as it moves; else its request is ended. */
export async function begun<T>(
  answer: Promise<T>,
  { tried, idleMs, ending }: { tried: string; idleMs: number; ending: AbortController },
): Promise<T> {
  let late: AppError | undefined
  const timer = setTimeout(() => ending.abort((late = silent(tried, idleMs))), idleMs)
  try {
    return await answer
  } catch (error) {
    throw late ?? error
  } finally {
    clearTimeout(timer)
  }
}

/** The same stream, given up when nothing comes for so long. */
export async function* notIdle(stream: ByteStream, idleMs: number, tried: string): AsyncGenerator<Bytes> {
  const iterator = stream[Symbol.asyncIterator]()
  let ended = false
  try {
    for (;;) {
      let timer: NodeJS.Timeout | undefined
      const idle = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(silent(tried, idleMs)), idleMs)
      })
      let next: IteratorResult<Bytes>
      try {
        next = await Promise.race([iterator.next(), idle])
      } finally {
        clearTimeout(timer)
      }
      ended = next.done === true
      if (next.done) return
      yield next.value
    }
  } finally {
    // Not awaited: a source that hangs in next() would hang here too.
    if (!ended) void Promise.resolve(iterator.return?.()).catch(() => undefined)
  }
}
