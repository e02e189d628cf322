import { AppError, isAppError } from '../base/errors.ts'
import type { LockRelease, ObjectLock, Storage } from '../model/storage.ts'

/**
 * The locks of those members that have them; undefined: none has. What is told is true of each of them: the weaker mode,
 * the shortest time. Each keeps to its own time when locks are renewed.
 */
export function mirrorLock(name: string, members: readonly Storage[]): ObjectLock | undefined {
  const locks = members.flatMap(({ can: { lock } }) => (lock ? [lock] : []))
  const [one] = locks
  if (one === undefined) return undefined
  const forMs = Math.min(...locks.map((lock) => lock.forMs))

  /** What those say that hold the object; a member that was down when it was stored may not. */
  async function ofHolders<L, T>(key: string, those: readonly L[], work: (one: L) => Promise<T>): Promise<T[]> {
    const results = await Promise.allSettled(those.map(work))
    const failures = results.flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : []))
    const failure = failures.find((error) => !isAppError(error, 'storage.not-found'))
    if (failure !== undefined) throw failure
    const found = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
    if (found.length > 0) return found
    throw new AppError('storage.not-found', `cannot look at the lock of ${key} in ${name}: no member that locks has it`)
  }

  const holders = locks.flatMap(({ holds }) => (holds ? [holds] : []))

  return {
    ...(holders.length > 0 && {
      holds: {
        async begin(key, options) {
          await ofHolders(key, holders, async (one) => one.begin(key, options))
        },
        async held(key, options) {
          return (await ofHolders(key, holders, async (one) => one.held(key, options))).every(Boolean)
        },
        async end(keys, needed, options) {
          for (const one of holders) await one.end(keys, needed, options)
        },
      },
    }),
    mode: locks.some(({ mode }) => mode === 'governance') ? 'governance' : 'compliance',
    forMs,
    async state(options) {
      const states = await Promise.all(locks.map((lock) => lock.state(options)))
      return { versions: states.every(({ versions }) => versions), locks: states.every((state) => state.locks) }
    },
    async until(key, options) {
      const times = await ofHolders(key, locks, async (lock) => lock.until(key, options))
      if (times.includes(undefined)) return undefined
      return new Date(Math.min(...times.map((time) => time?.getTime() ?? 0)))
    },
    async extend(key, until, options) {
      await ofHolders(key, locks, async (lock) => {
        await lock.extend(key, new Date(until.getTime() + lock.forMs - forMs), options)
      })
    },
    async release(options) {
      const sum: LockRelease = { removed: 0, bytes: 0, left: 0, leftBytes: 0 }
      for (const lock of locks) {
        const { removed, bytes, left, leftBytes } = await lock.release(options)
        sum.removed += removed
        sum.bytes += bytes
        sum.left += left
        sum.leftBytes += leftBytes
      }
      return sum
    },
  }
}
