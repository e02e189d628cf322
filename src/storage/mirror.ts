import type { Bytes } from '../base/bytes.ts'
import { systemClock, type Clock } from '../base/clock.ts'
import { AppError, isAbort, toAppError } from '../base/errors.ts'
import { throwIfAborted } from '../base/streams.ts'
import type { MirrorStorageSettings } from '../model/settings.ts'
import type { CallOptions, PutOptions, Storage, StoredObject } from '../model/storage.ts'
import { mirrorLock } from './mirror-lock.ts'
import { mergeLists } from './mirror-list.ts'
import { isTaken, objectOf, putToGroup, takeBack, watched } from './mirror-put.ts'
import { getFromAny, statOnAny } from './mirror-read.ts'
import {
  failuresOf,
  membersError,
  type Member,
  type MemberFailure,
  type MemberResult,
  type MirrorEvents,
} from './mirror-results.ts'
import { replayable } from './replayable.ts'

export type { MemberFailure, MemberResult, MirrorEvents } from './mirror-results.ts'

export interface MirrorOptions extends MirrorEvents {
  clock?: Clock
  /** Where a stream is kept that more members must read than `concurrency` lets read at once; the system's by default. */
  spoolFolder?: string
}

/** So long a member that failed is asked last. */
const REST_MS = 60_000

/**
 * Several storages as one.
 *
 * - `all`: a put succeeds when every member has stored; one failure ends the others before they store.
 * - `any`: when at least one has; the others are reported.
 * - `priority`: the first member that can, in order.
 *
 * Reads take the first member that answers and go on with the next, also in the middle of an object. Lists are merged.
 * A removal has to succeed on every member, else the object would come back.
 *
 * `ifAbsent` stores on one member after the other, so that the first decides among the writers; a failure after that
 * takes back what was created. With `any` and `priority` two writers that do not reach the same members may both
 * succeed, so there `can.conditionalCreate` is false.
 */
export function mirror(
  settings: Omit<MirrorStorageSettings, 'type' | 'members'>,
  members: readonly Storage[],
  options: MirrorOptions = {},
): Storage {
  const { strategy } = settings
  const { clock = systemClock, onMemberFailure, onMemberResults, spoolFolder } = options
  const [first] = members
  if (first === undefined) throw new AppError('storage.invalid', 'a mirror needs at least one member')
  const all = members.map((storage, index): Member => ({ storage, index }))
  const width = Math.max(1, settings.concurrency ?? members.length)
  const name = `mirror(${strategy}: ${members.map((member) => member.name).join(', ')})`
  const restUntil = new Map<Storage, number>()

  /** In their order, but those that just failed last. */
  function inOrder(): Member[] {
    const now = clock.monotonic()
    const resting = ({ storage }: Member): boolean => (restUntil.get(storage) ?? 0) > now
    return [...all.filter((member) => !resting(member)), ...all.filter(resting)]
  }

  function failed(
    storage: Storage | undefined,
    operation: MemberFailure['operation'],
    error: AppError,
    key?: string,
  ): void {
    if (storage === undefined) return
    if (error.retryable) restUntil.set(storage, clock.monotonic() + REST_MS)
    onMemberFailure?.({ member: storage.name, operation, error, ...(key === undefined ? {} : { key }) })
  }

  const taken = (key: string): AppError => new AppError('storage.exists', `cannot create ${key} in ${name}: it exists`)

  async function put(key: string, body: Bytes | AsyncIterable<Bytes>, options: PutOptions = {}): Promise<StoredObject> {
    throwIfAborted(options.signal)
    const ifAbsent = options.ifAbsent === true
    if (ifAbsent && members.length > 1) await lookFirst(key, options)
    const source = watched(body)
    const results = await (strategy === 'priority' ? putToOne : putToAll)(key, source, options)
    const exists = ifAbsent && results.some(isTaken)
    const enough = strategy === 'all' ? results.every(({ ok }) => ok) : results.some(({ ok }) => ok)
    if (exists || !enough || source.failure()) {
      if (ifAbsent) await takeBack(key, members, results)
      const bodyFailure = source.failure()
      if (bodyFailure) throw bodyFailure.error
      throwIfAborted(options.signal)
      throw exists ? taken(key) : membersError(`store ${key} in ${name}`, results)
    }
    for (const { index, error } of failuresOf(results)) failed(members[index], 'put', error, key)
    onMemberResults?.(key, results)
    return { ...(objectOf(results) as StoredObject), key }
  }

  /** No member may hold the object, also not one that comes late in the order. */
  async function lookFirst(key: string, { signal }: CallOptions): Promise<void> {
    const looked = await Promise.allSettled(members.map((member) => member.stat(key, { signal })))
    throwIfAborted(signal)
    if (looked.some((result) => result.status === 'fulfilled' && result.value !== undefined)) throw taken(key)
    for (const [i, result] of looked.entries()) {
      if (result.status === 'fulfilled') continue
      const error = toAppError(result.reason, 'storage.failed')
      if (strategy === 'all' || error.code === 'storage.invalid') throw error
      failed(members[i], 'stat', error, key)
    }
  }

  type Put = (key: string, source: ReturnType<typeof watched>, options: PutOptions) => Promise<MemberResult[]>

  const putToAll: Put = async (key, { body, failure }, options) => {
    const allOrNone = strategy === 'all'
    const oneByOne = options.ifAbsent === true
    if (members.length <= width) return putToGroup(all, body, { key, options, allOrNone, oneByOne })
    // More members than may be written at once: the later ones read what was kept for them.
    const kept = replayable(body, spoolFolder)
    const results: MemberResult[] = []
    try {
      for (let at = 0; at < members.length; at += width) {
        const own = at === 0 ? options : { ...options, onBytes: undefined }
        const put = { key, options: own, allOrNone, oneByOne }
        results.push(...(await putToGroup(all.slice(at, at + width), kept.open(), put)))
        if (
          failure() ||
          options.signal?.aborted ||
          results.some(isTaken) ||
          (allOrNone && results.some(({ ok }) => !ok))
        )
          break
      }
    } finally {
      await kept.dispose()
    }
    return results
  }

  const putToOne: Put = async (key, { body, failure }, options) => {
    const kept = members.length === 1 ? undefined : replayable(body, spoolFolder)
    const results: MemberResult[] = []
    try {
      for (const member of inOrder()) {
        const put = { key, options, allOrNone: false, oneByOne: false }
        const [result] = await putToGroup([member], kept?.open() ?? body, put)
        if (result === undefined) break
        results.push(result)
        if (result.ok || isTaken(result) || failure() || options.signal?.aborted) break
      }
    } finally {
      await kept?.dispose()
    }
    return results
  }

  async function onEach(tried: string, work: (member: Storage) => Promise<void>): Promise<void> {
    const results = await Promise.all(
      all.map(async ({ storage, index }): Promise<MemberResult> => {
        try {
          await work(storage)
          return { member: storage.name, index, ok: true }
        } catch (error) {
          return { member: storage.name, index, ok: false, error: toAppError(error, 'storage.failed') }
        }
      }),
    )
    const failures = failuresOf(results)
    if (failures.length === 0) return
    throw failures.every(({ error }) => isAbort(error)) ? failures[0]?.error : membersError(tried, results)
  }

  const reading = { name, inOrder: () => inOrder().map(({ storage }) => storage), failed }
  const lock = mirrorLock(name, members)
  const spaces = members.flatMap(({ can: { space } }) => (space ? [space] : []))
  return {
    name,
    can: {
      get conditionalCreate() {
        return (strategy === 'all' || members.length === 1) && first.can.conditionalCreate
      },
      storageClasses: members.every(({ can }) => can.storageClasses),
      serverChecksums: members.every(({ can }) => can.serverChecksums),
      ...(lock && { lock }),
      ...(spaces.length === members.length && {
        async space() {
          const known = (await Promise.all(spaces.map((space) => space()))).filter((one) => one !== undefined)
          if (known.length < spaces.length) return undefined
          return {
            free: Math.min(...known.map(({ free }) => free)),
            total: Math.min(...known.map(({ total }) => total)),
          }
        },
      }),
    },
    put,
    get: (key, options) => getFromAny(reading, key, options),
    stat: (key, options) => statOnAny(reading, key, options),
    list: (prefix, { signal } = {}) =>
      mergeLists(members, prefix, signal, (member, error) => failed(member, 'list', error)),
    remove: (key, { signal } = {}) => onEach(`remove ${key} from ${name}`, (member) => member.remove(key, { signal })),
    async sweep(before, { signal } = {}) {
      const sum = { removed: 0, bytes: 0 }
      await onEach(`sweep ${name}`, async (member) => {
        const { removed, bytes } = await member.sweep(before, { signal })
        sum.removed += removed
        sum.bytes += bytes
      })
      return sum
    },
    async close() {
      await Promise.allSettled(members.map((member) => member.close()))
    },
  }
}
