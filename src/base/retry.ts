import type { Clock } from './clock.ts'
import { AppError, isAbort, isAppError } from './errors.ts'
import { throwIfAborted } from './streams.ts'

export interface RetryOptions {
  /** Attempts in all, the first included. */
  attempts: number
  /** Waiting time before the second attempt; doubles each time, with jitter of half to full. */
  baseMs: number
  maxMs: number
  clock: Clock
  signal?: AbortSignal | undefined
  onRetry?: (error: AppError, attempt: number, waitMs: number) => void
  random?: () => number
}

/** Tries again what fails with a retryable error; waits at least as long as the other side's Retry-After asks. */
export async function retry<T>(work: (attempt: number) => Promise<T>, options: RetryOptions): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    throwIfAborted(options.signal)
    try {
      return await work(attempt)
    } catch (error) {
      if (isAbort(error) || !isAppError(error) || !error.retryable || attempt >= options.attempts) throw error
      const ceiling = Math.min(options.maxMs, options.baseMs * 2 ** (attempt - 1))
      const jittered = ceiling * (0.5 + 0.5 * (options.random ?? Math.random)())
      const wait = Math.max(jittered, (error.retryAfter ?? 0) * 1000)
      options.onRetry?.(error, attempt, wait)
      await options.clock.sleep(wait, options.signal)
    }
  }
}
