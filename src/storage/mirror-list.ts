import { toAppError, type AppError } from '../base/errors.ts'
import { compareKeys } from '../base/keys.ts'
import { throwIfAborted } from '../base/streams.ts'
import type { Storage, StoredObject } from '../model/storage.ts'

interface Cursor {
  storage: Storage
  iterator: AsyncIterator<StoredObject>
  object: StoredObject | undefined
}

/**
 * The lists of several storages as one: sorted, each key once, as the first storage that has it tells it. A storage that
 * fails drops out and is reported, also in the middle; only when none is left does the list reject.
 */
export async function* mergeLists(
  storages: readonly Storage[],
  prefix: string,
  signal: AbortSignal | undefined,
  onFailure: (storage: Storage, error: AppError) => void,
): AsyncGenerator<StoredObject> {
  let lastFailure: AppError | undefined
  let alive = storages.map((storage): Cursor => ({
    storage,
    iterator: storage.list(prefix, { signal })[Symbol.asyncIterator](),
    object: undefined,
  }))

  async function advance(cursor: Cursor): Promise<void> {
    try {
      const next = await cursor.iterator.next()
      cursor.object = next.done ? undefined : next.value
      if (next.done) alive = alive.filter((other) => other !== cursor)
      ended ||= next.done === true
    } catch (error) {
      throwIfAborted(signal)
      lastFailure = toAppError(error, 'storage.failed')
      alive = alive.filter((other) => other !== cursor)
      onFailure(cursor.storage, lastFailure)
    }
  }

  let ended = false
  try {
    await Promise.all(alive.map(advance))
    for (;;) {
      let lowest: StoredObject | undefined
      for (const { object } of alive)
        if (object && (lowest === undefined || compareKeys(object.key, lowest.key) < 0)) lowest = object
      if (lowest === undefined) break
      yield lowest
      const { key } = lowest
      await Promise.all(alive.filter(({ object }) => object?.key === key).map(advance))
    }
    // Every member that ended did so by failing: the list is not whole.
    if (!ended && lastFailure !== undefined) throw lastFailure
  } finally {
    await Promise.allSettled(alive.map(async ({ iterator }) => iterator.return?.()))
  }
}
