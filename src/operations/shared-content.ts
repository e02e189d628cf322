/** One content for several who want it: each piece is read once, and given up when all have had it. */
import { AppError } from '../base/errors.ts'
import type { ByteReader } from '../base/reader.ts'

const BLOCK = 1024 * 1024

export interface SharedContent {
  /** Called once by each who wants it. */
  open(who: object): Promise<ByteReader>
  /** This one does not want it, or no more of it. */
  leave(who: object): void
  /** Resolves when nobody wants any of it any more, and it is closed. */
  readonly closed: Promise<void>
}

/** Memory for one content at a time. */
export type BlockOf = () => Uint8Array

export function blockMemory(): BlockOf {
  let memory: Uint8Array | undefined
  return () => (memory ??= Buffer.allocUnsafeSlow(BLOCK))
}

/**
 * `all` may want it. The next block is read when each of them has had this one or has left: who is slow holds the others
 * back, so no more than a block is in memory.
 */
export function sharedContent(
  all: ReadonlySet<object>,
  source: () => ByteReader | Promise<ByteReader>,
  block: BlockOf,
): SharedContent {
  /** How much of the current block each of them has had; who left has no entry. */
  const had = new Map([...all].map((who) => [who, 0]))
  let opened: Promise<ByteReader> | undefined
  let filled = 0
  let ended = false
  let failure: { error: unknown } | undefined
  let filling = false
  let waiting = Promise.withResolvers<void>()

  const changed = (): void => {
    waiting.resolve()
    waiting = Promise.withResolvers<void>()
  }
  const closed = Promise.withResolvers<void>()
  const close = async (): Promise<void> => {
    const reader = await opened?.catch(() => undefined)
    await Promise.resolve(reader?.close()).catch(() => undefined)
    closed.resolve()
  }

  /** Reads on once nobody has anything left of the block. */
  function refill(): void {
    if (filling || ended || failure !== undefined || opened === undefined) return
    if ([...had.values()].some((count) => count < filled) || had.size === 0) return
    filling = true
    const memory = block()
    void (async () => {
      try {
        const count = await (await opened).read(memory)
        filled = count
        ended = count === 0
        for (const who of had.keys()) had.set(who, 0)
      } catch (error) {
        failure = { error }
      }
      filling = false
      changed()
      // All who had something to get have left meanwhile.
      refill()
    })()
  }

  function leave(who: object): void {
    if (!had.delete(who)) return
    if (had.size === 0) void close()
    else refill()
    changed()
  }

  return {
    leave,
    closed: closed.promise,
    async open(who) {
      const reader = await (opened ??= Promise.resolve().then(source))
      const { size } = reader
      return {
        ...(size !== undefined && { size }),
        async read(into) {
          for (;;) {
            if (failure !== undefined) throw failure.error
            const at = had.get(who)
            if (at === undefined) throw new AppError('run.cancelled', 'the reading was given up')
            if (!filling && at < filled) {
              const count = Math.min(into.length, filled - at)
              into.set(block().subarray(at, at + count))
              had.set(who, at + count)
              if (at + count === filled) refill()
              return count
            }
            if (ended) return 0
            refill()
            // What came at once is there already.
            if (filling || at >= filled) await waiting.promise
          }
        },
        close: () => leave(who),
      }
    },
  }
}
