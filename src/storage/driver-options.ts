import type { Clock } from '../base/clock.ts'
import type { AppError } from '../base/errors.ts'

/** How often what can be repeated is repeated inside a driver: parts of an upload, pages of a list. */
export interface RetrySettings {
  attempts: number
  baseMs: number
  maxMs: number
}

export interface DriverOptions {
  /** For what the driver repeats itself: `put` and `list`. Other calls are repeated by `withRetry`. */
  retry?: RetrySettings
  clock?: Clock
  /** Told of each request, by what is tried with it. */
  onRequest?: (tried: string) => void
  onRetry?: (error: AppError, attempt: number, waitMs: number) => void
}

export const DRIVER_RETRY: RetrySettings = { attempts: 6, baseMs: 500, maxMs: 30_000 }
