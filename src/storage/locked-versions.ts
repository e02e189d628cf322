/** What the locks of Google and Azure have in common: versions that are hidden, held, and removed when their lock is over. */
import { isAppError } from '../base/errors.ts'
import type { CallOptions, LegalHolds, LockRelease } from '../model/storage.ts'

export interface LockedVersion {
  key: string
  id: string
  size: number
  /** It is what reads find; else it was removed or replaced. */
  current: boolean
  stored: Date
  /** Of its lock; undefined: it has none. */
  until: Date | undefined
}

export interface LockedVersions {
  versions(signal: AbortSignal | undefined): AsyncIterable<LockedVersion>
  /** Rejects with `storage.locked` or `storage.denied` where it stays. */
  remove(key: string, id: string, signal: AbortSignal | undefined): Promise<void>
  /** `id` undefined: what is there now. */
  hold(key: string, id: string | undefined, on: boolean, signal: AbortSignal | undefined): Promise<void>
}

const AT_A_TIME = 8

/** True: it is gone; false: it is locked, held, or these credentials may not. */
export async function unlessKept(removing: Promise<void>): Promise<boolean> {
  try {
    await removing
    return true
  } catch (error) {
    if (isAppError(error, 'storage.not-found')) return true
    if (isAppError(error, 'storage.locked', 'storage.denied')) return false
    throw error
  }
}

/** Removes for good what is hidden and whose lock is over; what never had one, when it is as old as a lock would be. */
export async function releaseVersions(
  store: LockedVersions,
  { forMs, now, signal }: { forMs: number; now: Date; signal: AbortSignal | undefined },
): Promise<LockRelease> {
  const result: LockRelease = { removed: 0, bytes: 0, left: 0, leftBytes: 0 }
  await severalAtATime(store.versions(signal), async ({ key, id, size, current, stored, until }) => {
    if (current) return
    const over = until === undefined ? stored.getTime() <= now.getTime() - forMs : until <= now
    if (over && (await unlessKept(store.remove(key, id, signal)))) {
      result.removed += 1
      result.bytes += size
    } else {
      result.left += 1
      result.leftBytes += size
    }
  })
  return result
}

export function holdsOf(
  store: LockedVersions,
  check: (key: string) => void,
  held: (key: string, options: CallOptions) => Promise<boolean>,
): LegalHolds {
  return {
    async begin(key, { signal } = {}) {
      check(key)
      await store.hold(key, undefined, true, signal)
    },
    async held(key, options = {}) {
      check(key)
      return held(key, options)
    },
    async end(keys, needed, { signal } = {}) {
      await severalAtATime(store.versions(signal), async ({ key, id, current }) => {
        if (needed.has(key) || (current && !keys.has(key))) return
        await store.hold(key, current ? undefined : id, false, signal)
      })
    },
  }
}

async function severalAtATime<T>(items: AsyncIterable<T>, work: (item: T) => Promise<void>): Promise<void> {
  const active = new Set<Promise<void>>()
  let failure: { error: unknown } | undefined
  for await (const item of items) {
    const one: Promise<void> = work(item)
      .catch((error: unknown) => void (failure ??= { error }))
      .finally(() => active.delete(one))
    active.add(one)
    if (active.size >= AT_A_TIME) await Promise.race(active)
    if (failure !== undefined) break
  }
  await Promise.all(active)
  if (failure !== undefined) throw failure.error
}
