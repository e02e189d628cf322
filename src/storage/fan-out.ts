import { AppError } from '../base/errors.ts'
import type { ByteStream } from '../base/streams.ts'
import type { Bytes } from '../base/bytes.ts'

/** One consumer's copy of a stream. */
export interface Branch {
  stream: AsyncIterable<Bytes>
  /** The consumer takes no more. */
  leave(): void
}

/**
 * One stream to several consumers in lockstep: the next chunk is read when every consumer that is still there wants
 * it, so memory holds one chunk. The end is told once `mayEnd` resolves, for each by its number; if that rejects, the
 * consumer's stream fails.
 */
export function fanOut(source: ByteStream, count: number, mayEnd: (branch: number) => Promise<void>): Branch[] {
  const iterator = source[Symbol.asyncIterator]()
  const waiting = new Map<number, { resolve: (chunk: Bytes | undefined) => void; reject: (error: unknown) => void }>()
  const present = new Set(Array.from({ length: count }, (_, i) => i))
  let reading = false
  let over: { error?: unknown } | undefined

  async function advance(): Promise<void> {
    if (reading || over !== undefined || present.size === 0 || waiting.size < present.size) return
    reading = true
    let chunk: Bytes | undefined
    try {
      const next = await iterator.next()
      if (next.done) over = {}
      else chunk = next.value
    } catch (error) {
      over = { error }
    }
    reading = false
    const served = [...waiting.values()]
    waiting.clear()
    for (const { resolve, reject } of served) {
      if (over && 'error' in over) reject(over.error)
      else resolve(chunk)
    }
  }

  function leave(branch: number): void {
    if (!present.delete(branch)) return
    waiting.get(branch)?.reject(new AppError('run.cancelled', 'this copy of the stream is given up'))
    waiting.delete(branch)
    if (present.size === 0 && over === undefined) {
      over = {}
      void Promise.resolve(iterator.return?.()).catch(() => undefined)
    }
    void advance()
  }

  async function* stream(branch: number): AsyncGenerator<Bytes> {
    try {
      for (;;) {
        const chunk = await new Promise<Bytes | undefined>((resolve, reject) => {
          if (!present.has(branch)) return reject(new AppError('run.cancelled', 'this copy of the stream is given up'))
          if (over !== undefined) return 'error' in over ? reject(over.error) : resolve(undefined)
          waiting.set(branch, { resolve, reject })
          void advance()
        })
        if (chunk === undefined) break
        yield chunk
      }
      await mayEnd(branch)
    } finally {
      leave(branch)
    }
  }

  return Array.from({ length: count }, (_, i) => ({ stream: stream(i), leave: () => leave(i) }))
}
