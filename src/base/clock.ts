/** Time is passed in, so that tests can move it. */
export interface Clock {
  /** Wall clock, which can jump. */
  now(): Date
  /** Milliseconds that only go forward. */
  monotonic(): number
  /** Resolves after `ms`; rejects with `run.cancelled` when the signal aborts first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

import { setTimeout as delay } from 'node:timers/promises'
import { toAppError } from './errors.ts'

export const systemClock: Clock = {
  now: () => new Date(),
  monotonic: () => performance.now(),
  sleep: async (ms, signal) => {
    try {
      await delay(ms, undefined, { signal })
    } catch (error) {
      throw toAppError(error, 'run.cancelled')
    }
  },
}
