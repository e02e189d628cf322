import type { Bytes } from '../base/bytes.ts'
import { AppError } from '../base/errors.ts'
import { throwIfAborted } from '../base/streams.ts'
import type { GetOptions, StoredObject } from '../model/storage.ts'
import { begun } from './calls.ts'
import { bodyOf } from './http.ts'
import { checkRange, endsEarly, replaced } from './range.ts'

export interface LookedAtGet {
  key: string
  /** Of the storage, for people. */
  name: string
  idleMs: number
  stat: (options: { signal?: AbortSignal }) => Promise<StoredObject | undefined>
  /** Asks for these bytes, `undefined` for all of them; the signal also ends the body. */
  ask: (tried: string, signal: AbortSignal, range: string | undefined) => Promise<Response>
}

/** For storages whose answers do not tell enough: the object is looked at first, then all or a range of it is asked for. */
export async function* lookedAtGet(
  { key, name, idleMs, stat, ask }: LookedAtGet,
  { range, signal, etag, onEtag }: GetOptions,
): AsyncGenerator<Bytes> {
  checkRange(range)
  throwIfAborted(signal)
  const tried = `read ${key} from ${name}`
  const object = await stat({ ...(signal && { signal }) })
  if (object === undefined) throw new AppError('storage.not-found', `cannot ${tried}: no such object`)
  if (etag !== undefined && etag !== object.etag) throw replaced(key, name)
  if (object.etag !== undefined) onEtag?.(object.etag)
  const end = Math.min(range?.end ?? object.size, object.size)
  const start = range?.start ?? 0
  if (start < end) {
    const ending = new AbortController()
    const both = signal ? AbortSignal.any([signal, ending.signal]) : ending.signal
    try {
      const whole = start === 0 && end === object.size
      const asked = ask(tried, both, whole ? undefined : `bytes=${start}-${end - 1}`)
      const response = await begun(asked, { tried, idleMs, ending })
      if (!whole && response.status !== 206)
        throw new AppError('storage.unsupported', `cannot ${tried}: the storage does not give ranges`)
      let received = 0
      for await (const chunk of bodyOf(response, { tried, idleMs, signal })) {
        received += chunk.length
        yield chunk
      }
      if (received !== end - start)
        throw new AppError('storage.truncated', `cannot ${tried}: it ended at byte ${received} of ${end - start}`)
    } finally {
      ending.abort()
    }
  }
  if (range !== undefined && range.end > object.size) throw endsEarly(key, name, range, object.size)
}
