import { systemClock, type Clock } from '../base/clock.ts'
import { asBuffer, type Bytes } from '../base/bytes.ts'
import { AppError, isAppError } from '../base/errors.ts'
import { compareKeys } from '../base/keys.ts'
import { retry } from '../base/retry.ts'
import { collect, throwIfAborted } from '../base/streams.ts'
import type { CallOptions, GetOptions, PutOptions, Storage, StoredObject } from '../model/storage.ts'

export interface RetrySettings {
  /** Attempts in all, the first included. A stream that gets on starts counting anew. */
  attempts: number
  baseMs: number
  maxMs: number
  clock?: Clock
  random?: () => number
  /** What the driver repeats itself. */
  driverRepeats?: readonly ('put' | 'list')[]
  onRetry?: (error: AppError, attempt: number, waitMs: number) => void
}

export const DEFAULT_RETRY = { attempts: 6, baseMs: 500, maxMs: 30_000 }

/**
 * Repeats what failed with a retryable error, waiting longer each time and as long as Retry-After asks. A get goes on
 * from the byte it reached, a list from the key. A put is repeated if its body is bytes; a stream can be read only once.
 */
export function withRetry(storage: Storage, settings: RetrySettings): Storage {
  const { clock = systemClock, driverRepeats = [], ...rest } = settings
  const options = { ...rest, clock }
  const repeat = <T>(work: (attempt: number) => Promise<T>, signal: AbortSignal | undefined): Promise<T> =>
    retry(work, { ...options, signal })

  /** A stream that is opened again where it broke; each item that arrives starts the count of attempts anew. */
  async function* resumed<T>(open: () => AsyncIterable<T>, signal: AbortSignal | undefined): AsyncGenerator<T> {
    let iterator = open()[Symbol.asyncIterator]()
    const next = async (attempt: number): Promise<IteratorResult<T, unknown>> => {
      if (attempt > 1) iterator = open()[Symbol.asyncIterator]()
      return iterator.next()
    }
    try {
      for (;;) {
        const step = await repeat(next, signal)
        if (step.done) return
        yield step.value
      }
    } finally {
      await iterator.return?.()
    }
  }

  async function* get(key: string, { range, signal, ...rest }: GetOptions = {}): AsyncGenerator<Bytes> {
    const start = range?.start ?? 0
    let at = start
    let end = range?.end
    let found = rest.etag
    const open = async function* (): AsyncGenerator<Bytes> {
      // Without a range the end is only asked for once something has arrived and broken.
      if (at > 0 && end === undefined) end = await sizeOf(storage, key, signal)
      try {
        // What goes on has to be the same object.
        const etag = at > start ? found : rest.etag
        yield* storage.get(key, {
          signal,
          ...(end !== undefined && { range: { start: at, end } }),
          ...(etag !== undefined && { etag }),
          onEtag(told) {
            found = told
            rest.onEtag?.(told)
          },
        })
      } catch (error) {
        // The sum is known at the end, when the consumer has the wrong bytes already: no resuming.
        if (at > start && isAppError(error, 'storage.checksum'))
          throw new AppError(error.code, error.message, { cause: error.cause, details: { permanent: true } })
        throw error
      }
    }
    for await (const chunk of resumed(open, signal)) {
      at += chunk.length
      yield chunk
    }
  }

  async function* list(prefix: string, { signal }: CallOptions = {}): AsyncGenerator<StoredObject> {
    let last: string | undefined
    const open = async function* (): AsyncGenerator<StoredObject> {
      for await (const object of storage.list(prefix, { signal }))
        if (last === undefined || compareKeys(object.key, last) > 0) yield object
    }
    for await (const object of resumed(open, signal)) {
      last = object.key
      yield object
    }
  }

  async function put(key: string, body: Bytes | AsyncIterable<Bytes>, options: PutOptions = {}): Promise<StoredObject> {
    const once = !(body instanceof Uint8Array) || driverRepeats.includes('put')
    if (once) return storage.put(key, body, options)
    // Bytes are counted as handed over once, however often that takes.
    let told = 0
    const onBytes = (bytes: number): void => {
      const further = Math.min(bytes, body.length - told)
      told += further
      if (further > 0) options.onBytes?.(further)
    }
    return repeat(async (attempt) => {
      try {
        return await storage.put(key, body, { ...options, onBytes })
      } catch (error) {
        // An earlier try may have stored it before its answer was lost.
        const own = attempt > 1 && isAppError(error, 'storage.exists') && (await isSame(storage, key, body, options))
        if (own) return own
        throw error
      }
    }, options.signal)
  }

  return {
    name: storage.name,
    can: storage.can,
    put,
    get,
    stat: (key, options = {}) => repeat(() => storage.stat(key, options), options.signal),
    list: driverRepeats.includes('list') ? (prefix, options) => storage.list(prefix, options) : list,
    remove: (key, options = {}) => repeat(() => storage.remove(key, options), options.signal),
    sweep: (before, options = {}) => repeat(() => storage.sweep(before, options), options.signal),
    close: () => storage.close(),
  }
}

async function sizeOf(storage: Storage, key: string, signal: AbortSignal | undefined): Promise<number> {
  const object = await storage.stat(key, { signal })
  if (object !== undefined) return object.size
  throw new AppError('storage.not-found', `cannot read on ${key} from ${storage.name}: it was removed meanwhile`)
}

/** The object, if it holds exactly these bytes: with them there, it does not matter who wrote them. */
async function isSame(
  storage: Storage,
  key: string,
  body: Bytes,
  { signal }: CallOptions,
): Promise<StoredObject | undefined> {
  throwIfAborted(signal)
  const object = await storage.stat(key, { signal })
  if (object?.size !== body.length) return undefined
  const stored = await collect(storage.get(key, { signal }), body.length + 1)
  return asBuffer(stored).equals(body) ? object : undefined
}
