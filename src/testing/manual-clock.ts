import type { Clock } from '../base/clock.ts'
import { toAppError } from '../base/errors.ts'

export interface ManualClock extends Clock {
  /** Milliseconds slept in all, by whoever. */
  readonly slept: number
}

interface Sleeper {
  at: number
  wake: () => void
}

/**
 * A clock for tests that never waits: when everybody sleeps, the one who wakes first is woken and the time is then.
 * Sleepers take turns as they would in real time.
 */
export function manualClock(start: Date = new Date('2024-03-15T14:30:45Z')): ManualClock {
  let now = 0
  let slept = 0
  const sleepers: Sleeper[] = []
  let scheduled = false

  /** After all that can run without waiting has run. */
  function schedule(): void {
    if (scheduled) return
    scheduled = true
    setImmediate(() => {
      scheduled = false
      const next = sleepers.sort((a, b) => a.at - b.at).shift()
      if (next === undefined) return
      now = Math.max(now, next.at)
      next.wake()
      if (sleepers.length > 0) schedule()
    })
  }

  return {
    now: () => new Date(start.getTime() + now),
    monotonic: () => now,
    get slept() {
      return slept
    },
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        const abort = (): void => reject(toAppError(signal?.reason, 'run.cancelled'))
        if (signal?.aborted) return abort()
        slept += ms
        signal?.addEventListener('abort', abort, { once: true })
        sleepers.push({ at: now + ms, wake: resolve })
        schedule()
      }),
  }
}
