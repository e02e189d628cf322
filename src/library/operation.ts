/** What is told while an operation works: a promise of its result that is also an async iterator of its events. */
import type { ProgressEvent } from '../model/progress.ts'
import type { Run } from '../model/run.ts'

/** An event, and the run that it belongs to. */
export type RunEvent = ProgressEvent & { run: Run }

/**
 * Await it for the result; or iterate it for the events until the operation has ended, which throws what the operation
 * rejects with, and await it afterwards. Each iterator gets the events from the moment it is made on.
 */
export interface Operation<T> extends Promise<T>, AsyncIterable<RunEvent> {}

/** Passes events on to whoever listens at the moment. */
export class Channel {
  readonly #queues = new Set<Queue>()

  tell(event: RunEvent): void {
    for (const queue of this.#queues) queue.push(event)
  }

  end(): void {
    for (const queue of this.#queues) queue.end()
  }

  /** Until the channel ends, the reader returns, or the signal aborts. */
  async *listen(signal?: AbortSignal): AsyncGenerator<RunEvent, void> {
    const queue = new Queue()
    this.#queues.add(queue)
    const stop = (): void => queue.end()
    signal?.addEventListener('abort', stop, { once: true })
    if (signal?.aborted === true) queue.end()
    try {
      for (let event = await queue.next(); event !== undefined; event = await queue.next()) yield event
    } finally {
      signal?.removeEventListener('abort', stop)
      this.#queues.delete(queue)
    }
  }
}

/** Of figures only the last is kept for a slow reader; of other events a bounded number, the newest. */
const MOST = 10_000

class Queue {
  #events: RunEvent[] = []
  #wake: (() => void) | undefined
  #ended = false

  push(event: RunEvent): void {
    const last = this.#events.at(-1)
    if (event.type === 'progress' && last?.type === 'progress' && last.run.id === event.run.id) this.#events.pop()
    this.#events.push(event)
    if (this.#events.length > MOST) this.#events.shift()
    this.#wake?.()
  }

  end(): void {
    this.#ended = true
    this.#wake?.()
  }

  async next(): Promise<RunEvent | undefined> {
    while (this.#events.length === 0 && !this.#ended) {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#wake = resolve
      await promise
    }
    return this.#events.shift()
  }
}

export function operation<T>(work: (tell: (event: RunEvent) => void) => Promise<T>): Operation<T> {
  const channel = new Channel()
  const result = work((event) => channel.tell(event)).finally(() => channel.end())
  let over = false
  const mark = (): void => void (over = true)
  result.then(mark, mark)
  async function* events(): AsyncGenerator<RunEvent, void> {
    if (!over) yield* channel.listen()
    await result
  }
  return Object.assign(result, {
    [Symbol.asyncIterator]() {
      // Whoever iterates gets the rejection there.
      result.catch(() => undefined)
      return events()
    },
  })
}
