/** How often somebody may try, and how often somebody may call. */
import type { Clock } from '../../base/clock.ts'
import { AppError } from '../../base/errors.ts'
import type { AccessStore } from '../../model/access.ts'
import { networkOf } from './addresses.ts'

const WINDOW_MS = 15 * 60_000
/** Failures within the window: of one account from one network, of one network, of one account from anywhere. */
const MOST = { pair: 5, network: 20, account: 50 }

/** An attempt that was begun. */
export interface Attempt {
  /** It was none, such as a right password without the second factor. */
  withdraw(): void
  succeeded(): void
}

/**
 * Counts an attempt, or rejects it. Counted before the secret is looked at, which takes a while: of many at once none
 * is free. Kept in the catalogue, so that a restart is no way around it.
 */
export function beginAttempt(store: AccessStore, clock: Clock, account: string, address: string): Attempt {
  const network = networkOf(address)
  const name = account.toLowerCase()
  const subjects = [
    { subject: `pair ${name} ${network}`, most: MOST.pair },
    { subject: `network ${network}`, most: MOST.network },
    { subject: `account ${name}`, most: MOST.account },
  ]
  const now = clock.now()
  for (const { subject, most } of subjects) {
    const failed = store.attempts(subject, new Date(now.getTime() - WINDOW_MS))
    const first = failed.at(-most)
    if (first === undefined) continue
    const retryAfter = Math.ceil((first.getTime() + WINDOW_MS - now.getTime()) / 1000)
    throw new AppError('auth.throttled', `too many failed attempts, again in ${retryAfter} s`, { retryAfter })
  }
  for (const { subject } of subjects) store.attempt(subject, now)
  const withdraw = (): void => {
    for (const { subject } of subjects) store.withdrawAttempt(subject, now)
  }
  return {
    withdraw,
    succeeded() {
      withdraw()
      const [pair] = subjects
      if (pair !== undefined) store.clearAttempts(pair.subject)
    },
  }
}

interface Bucket {
  left: number
  at: number
}

/** Calls a second, with a burst, for each who calls; kept in memory. */
export function rateLimit(clock: Clock, { perSecond, burst }: { perSecond: number; burst: number }) {
  const buckets = new Map<string, Bucket>()
  return (who: string): void => {
    const now = clock.monotonic()
    const bucket = buckets.get(who) ?? { left: burst, at: now }
    const left = Math.min(burst, bucket.left + ((now - bucket.at) / 1000) * perSecond)
    if (buckets.size > 10_000) for (const [key, { at }] of buckets) if (now - at > 60_000) buckets.delete(key)
    buckets.set(who, { left: Math.max(0, left - 1), at: now })
    if (left >= 1) return
    throw new AppError('request.too-many', `more than ${perSecond} calls a second`, {
      retryAfter: Math.max(1, Math.ceil((1 - left) / perSecond)),
    })
  }
}
