import type { Bytes } from '../base/bytes.ts'
import { AppError, isAbort, isAppError, toAppError } from '../base/errors.ts'
import type { CallOptions, GetOptions, Storage, StoredObject } from '../model/storage.ts'

export interface Reading {
  /** The mirror, for messages. */
  name: string
  inOrder(): readonly Storage[]
  failed(member: Storage, operation: 'get' | 'stat', error: AppError, key: string): void
}

/** The first member's answer. A member without the object is passed over, one that fails is reported. */
export async function statOnAny(
  reading: Reading,
  key: string,
  { signal }: CallOptions = {},
): Promise<StoredObject | undefined> {
  let failure: AppError | undefined
  for (const member of reading.inOrder()) {
    try {
      const object = await member.stat(key, { signal })
      if (object !== undefined) return object
    } catch (thrown) {
      const error = goOn(thrown)
      failure ??= error
      reading.failed(member, 'stat', error, key)
    }
  }
  // It may be on the member that failed: nobody may conclude that it is missing.
  if (failure !== undefined) throw failure
  return undefined
}

/** The bytes from the first member that can; where one breaks off, the next goes on from that byte. */
export async function* getFromAny(
  reading: Reading,
  key: string,
  { range, signal, etag }: GetOptions = {},
): AsyncGenerator<Bytes> {
  const start = range?.start ?? 0
  let at = start
  let failure: AppError | undefined
  for (const member of reading.inOrder()) {
    try {
      let end = range?.end
      if (at > start && end === undefined) end = (await member.stat(key, { signal }))?.size ?? -1
      // That member has another object, or none.
      if (end !== undefined && end < at) continue
      const own = { signal, etag, ...(end !== undefined && { range: { start: at, end } }) }
      for await (const chunk of member.get(key, own)) {
        at += chunk.length
        yield chunk
      }
      return
    } catch (thrown) {
      const error = goOn(thrown)
      if (error.code === 'storage.not-found') continue
      failure ??= error
      reading.failed(member, 'get', error, key)
      // The sum is known at the end, when the consumer has the wrong bytes already.
      if (at > start && isAppError(error, 'storage.checksum')) break
    }
  }
  throw failure ?? new AppError('storage.not-found', `cannot read ${key} from ${reading.name}: no such object`)
}

/** Rethrows what would be the same on every member. */
function goOn(thrown: unknown): AppError {
  const error = toAppError(thrown, 'storage.failed')
  if (isAbort(error) || error.code === 'storage.invalid') throw error
  return error
}
