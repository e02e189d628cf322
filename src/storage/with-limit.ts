import { systemClock, type Clock } from '../base/clock.ts'
import type { ByteStream } from '../base/streams.ts'
import type { Bytes } from '../base/bytes.ts'
import type { Storage } from '../model/storage.ts'

/** A rate that any number of streams share; a function tells one that changes, and is asked all the time. */
export interface RateLimit {
  /** Waits until so many bytes may pass. */
  take(bytes: number, signal?: AbortSignal): Promise<void>
  /** Bytes a second from now on, also for what waits already; undefined: no limit. */
  set(bytesPerSecond: number | undefined): void
}

export interface LimitOptions {
  /** Bytes a second, or a limit that is shared or will be changed. The same one for both directions limits their sum. */
  upload?: number | RateLimit | undefined
  download?: number | RateLimit | undefined
  clock?: Clock
}

/** What was not used may be caught up on, so that a late timer costs nothing: 2.5 % of ten seconds. */
const BURST_MS = 250
/** Waits are cut into pieces of this time, so that streams take turns and a new rate is felt at once. */
const TURN_MS = 50

export function rateLimit(
  bytesPerSecond: number | undefined | (() => number | undefined),
  clock: Clock = systemClock,
): RateLimit {
  let current = bytesPerSecond
  /** When all that was granted so far has passed at the given rate. */
  let free = clock.monotonic()

  return {
    async take(bytes, signal) {
      for (let rest = bytes; rest > 0;) {
        const rate = typeof current === 'function' ? current() : current
        if (rate === undefined) return
        const count = Math.min(rest, Math.max(1, Math.floor((rate * TURN_MS) / 1000)))
        const now = clock.monotonic()
        free = Math.max(free, now - BURST_MS) + (count / rate) * 1000
        if (free > now) await clock.sleep(free - now, signal)
        rest -= count
      }
    },
    set(next) {
      current = next
    },
  }
}

/**
 * Passes no more bytes a second than the limits allow. A body of bytes is let through once all of it may pass; drivers
 * that gather a stream into parts send each part at full speed, so that the rate holds over some parts, not within one.
 */
export function withLimit(storage: Storage, { upload, download, clock = systemClock }: LimitOptions): Storage {
  const limitOf = (limit: number | RateLimit | undefined): RateLimit | undefined =>
    typeof limit === 'number' ? rateLimit(limit, clock) : limit
  const [up, down] = [limitOf(upload), limitOf(download)]
  const { fileOf, ...rest } = storage
  return {
    ...rest,
    // Who reads files past us is not slowed.
    ...(fileOf !== undefined && down === undefined && { fileOf }),
    async put(key, body, options = {}) {
      if (up === undefined) return storage.put(key, body, options)
      if (!(body instanceof Uint8Array)) return storage.put(key, slowed(body, up, options.signal), options)
      await up.take(body.length, options.signal)
      return storage.put(key, body, options)
    },
    get(key, options = {}) {
      const stream = storage.get(key, options)
      return down === undefined ? stream : slowed(stream, down, options.signal)
    },
  }
}

async function* slowed(stream: ByteStream, limit: RateLimit, signal: AbortSignal | undefined): AsyncGenerator<Bytes> {
  for await (const chunk of stream) {
    await limit.take(chunk.length, signal)
    yield chunk
  }
}
