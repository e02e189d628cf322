import { AppError } from '../base/errors.ts'
import { compareKeys } from '../base/keys.ts'
import type { StoredObject } from '../model/storage.ts'

/**
 * The list in byte order of the keys, on which all that reads lists relies. Storages that compare UTF-16 units instead
 * differ from it only behind a first character from U+D800 on: keys that are alike up to one are gathered and sorted.
 * Any other order is refused.
 */
export async function* inOrder(list: AsyncIterable<StoredObject>, storage: string): AsyncGenerator<StoredObject> {
  let previous: string | undefined
  for await (const object of sortedBeyond(list)) {
    const { key } = object
    // Some programs make empty objects that stand for folders; those are no objects of ours.
    if (key === '' || key.endsWith('/')) continue
    if (previous !== undefined && compareKeys(previous, key) >= 0)
      throw new AppError('storage.unsupported', `cannot list ${storage}: ${key} comes after ${previous}`, {
        hint: 'Only storages that list in the byte order of the keys can be used.',
      })
    previous = key
    yield object
  }
}

async function* sortedBeyond(list: AsyncIterable<StoredObject>): AsyncGenerator<StoredObject> {
  let group: StoredObject[] = []
  let common: string | undefined
  const sorted = (): StoredObject[] => group.sort((a, b) => compareKeys(a.key, b.key))
  for await (const object of list) {
    const at = object.key.search(/[\ud800-\uffff]/)
    const start = at < 0 ? undefined : object.key.slice(0, at)
    if (start !== common) {
      yield* sorted()
      group = []
      common = start
    }
    if (start === undefined) yield object
    else group.push(object)
  }
  yield* sorted()
}
