import type { Bytes } from '../base/bytes.ts'
import { AppError, isAppError, toAppError } from '../base/errors.ts'
import { throwIfAborted } from '../base/streams.ts'
import type { PutOptions, Storage, StoredObject } from '../model/storage.ts'
import { fanOut } from './fan-out.ts'
import type { Member, MemberResult } from './mirror-results.ts'

export interface GroupPut {
  key: string
  options: PutOptions
  /** One failure ends the rest, before they store. */
  allOrNone: boolean
  /**
   * Each member stores only when those before it are done, and not if one of them has the object already: among
   * writers that reach the same members the first member decides.
   */
  oneByOne: boolean
}

/** Stores one body on several members at once, in the memory of one chunk. Never rejects for a member's failure. */
export async function putToGroup(
  group: readonly Member[],
  body: Bytes | AsyncIterable<Bytes>,
  put: GroupPut,
): Promise<MemberResult[]> {
  const { options, oneByOne, allOrNone } = put
  const giveUp = new AbortController()
  const signal = options.signal ? AbortSignal.any([options.signal, giveUp.signal]) : giveUp.signal
  const told = highest(group.length, options.onBytes)
  const settled: Promise<MemberResult>[] = []

  async function mayEnd(i: number): Promise<void> {
    throwIfAborted(signal)
    if (!oneByOne) return
    const before = await Promise.all(settled.slice(0, i))
    if (before.some(isTaken)) throw new AppError('run.cancelled', 'given up, since another member has it')
    throwIfAborted(signal)
  }
  const branches = body instanceof Uint8Array ? undefined : fanOut(body, group.length, mayEnd)

  async function putTo({ index, storage }: Member, i: number): Promise<MemberResult> {
    try {
      if (!branches) await mayEnd(i)
      const own = { ...options, signal, onBytes: (bytes: number) => told(i, bytes) }
      const object = await storage.put(put.key, branches?.[i]?.stream ?? (body as Bytes), own)
      return { member: storage.name, index, ok: true, object }
    } catch (thrown) {
      if (allOrNone) giveUp.abort(new AppError('run.cancelled', 'given up, since another member failed'))
      return { member: storage.name, index, ok: false, error: toAppError(thrown, 'storage.failed') }
    } finally {
      branches?.[i]?.leave()
    }
  }
  for (const [i, member] of group.entries()) settled.push(putTo(member, i))
  return Promise.all(settled)
}

/** Counts bytes as handed over when the furthest member has them. */
function highest(count: number, onBytes: PutOptions['onBytes']): (member: number, bytes: number) => void {
  const totals = Array.from({ length: count }, () => 0)
  let most = 0
  return (member, bytes) => {
    const total = (totals[member] ?? 0) + bytes
    totals[member] = total
    if (total <= most) return
    onBytes?.(total - most)
    most = total
  }
}

/** Remembers the body's own failure, which is nobody's fault among the members. */
export function watched(body: Bytes | AsyncIterable<Bytes>): {
  body: Bytes | AsyncIterable<Bytes>
  failure: () => { error: unknown } | undefined
} {
  let failed: { error: unknown } | undefined
  if (body instanceof Uint8Array) return { body, failure: () => undefined }
  async function* stream(source: AsyncIterable<Bytes>): AsyncGenerator<Bytes> {
    try {
      yield* source
    } catch (error) {
      failed = { error }
      throw error
    }
  }
  return { body: stream(body), failure: () => failed }
}

/** Takes back what this put created; best effort, after a failure. */
export async function takeBack(key: string, members: readonly Storage[], results: MemberResult[]): Promise<void> {
  const created = results.filter(({ ok }) => ok)
  await Promise.allSettled(created.map(async ({ index }) => members[index]?.remove(key)))
}

export const isTaken = (result: MemberResult): boolean => !result.ok && isAppError(result.error, 'storage.exists')

export function objectOf(results: MemberResult[]): StoredObject | undefined {
  for (const result of results) if (result.ok && result.object) return result.object
  return undefined
}
