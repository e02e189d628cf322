/**
 * Contents fetched ahead of being asked for, several at once. How far ahead follows what the reader does: it doubles with
 * each content that is opened, and ends with the first that is passed over. So a full backup reads with all its lanes, and
 * an incremental one of unchanged objects reads nothing.
 */
import type { ListedObject } from './sorted-keys.ts'

interface Waiting {
  object: ListedObject
  content?: Promise<Buffer | undefined>
}

export interface Ahead {
  object: ListedObject
  /** Fetched already. */
  content?: Buffer
  /** To be called when the content is opened. */
  opened(): void
}

/** Larger ones are not held in memory: they are read when they are opened. */
export const FETCH_WHOLE = 1024 * 1024

/** `fetch` gives undefined for what is gone meanwhile: it is passed over. */
export async function* readAhead(
  batches: AsyncIterable<ListedObject[]>,
  fetch: (object: ListedObject) => Promise<Buffer | undefined>,
  lanes: number,
): AsyncGenerator<Ahead, void> {
  const waiting: Waiting[] = []
  const source = batches[Symbol.asyncIterator]()
  let batch: ListedObject[] = []
  let at = 0
  let done = false
  let window = 0
  /** How many of the first that wait are being fetched, or are too large for it. */
  let looked = 0
  try {
    for (;;) {
      while (waiting.length < Math.max(window, 1) && !done) {
        const object = batch[at]
        if (object !== undefined) {
          at += 1
          waiting.push({ object })
          continue
        }
        const next = await source.next()
        if (next.done === true) done = true
        else {
          batch = next.value
          at = 0
        }
      }
      for (; looked < window && looked < waiting.length; looked += 1) {
        const one = waiting[looked] as Waiting
        if (one.content !== undefined || one.object.size > FETCH_WHOLE) continue
        one.content = fetch(one.object)
        // Told when its turn comes.
        one.content.catch(() => undefined)
      }
      const first = waiting.shift()
      looked = Math.max(0, looked - 1)
      if (first === undefined) return
      let wanted = false
      const opened = (): void => void (wanted = true)
      if (first.content === undefined) yield { object: first.object, opened }
      else {
        const content = await first.content
        if (content === undefined) continue
        yield { object: first.object, content, opened }
      }
      window = wanted ? Math.min(lanes, Math.max(2, window * 2)) : 0
    }
  } finally {
    await source.return?.()
  }
}
