/** A storage that fails as told: for tests of what has to live through that. */
import { AppError, toAppError } from '../base/errors.ts'
import type { Bytes } from '../base/bytes.ts'
import type { Storage } from '../model/storage.ts'

export type StorageCall = 'put' | 'get' | 'stat' | 'list' | 'remove' | 'sweep'

export interface Fault {
  on: StorageCall | readonly StorageCall[]
  /** Only calls whose key (or prefix) matches. */
  key?: RegExp
  /** Every n-th of the matching calls; 1 by default: each. */
  every?: number
  /** The first matching calls that are spared. */
  after?: number
  /** How many faults in all; without end by default. */
  times?: number
  /**
   * `fail`: before anything is done. `fail-late`: after it is done, as when the answer is lost. `cut`: put and get break
   * after `bytes`, a list after as many objects. `truncate`: a get ends early without an error. `flip`: one bit of what
   * is got is wrong. `stall`: nothing happens until the signal aborts or `release()`.
   */
  how: 'fail' | 'fail-late' | 'cut' | 'truncate' | 'flip' | 'stall'
  /** For `cut`, `truncate` and `flip`: where. */
  bytes?: number
  /** `storage.unreachable` by default. */
  error?: AppError | (() => AppError)
}

export interface FaultyStorage extends Storage {
  /** Every call that came, as `put data/ab`. */
  readonly calls: string[]
  /** How many faults have happened. */
  readonly faults: number
  /** Adds a fault; earlier ones come first. */
  add(fault: Fault): void
  /** Ends all faults and lets go of what stalls. */
  release(): void
}

export function faulty(storage: Storage, ...faults: Fault[]): FaultyStorage {
  const rules = faults.map((fault) => ({ fault, seen: 0, done: 0 }))
  const calls: string[] = []
  let happened = 0
  let released = Promise.withResolvers<void>()

  function fate(call: StorageCall, key: string): Fault | undefined {
    calls.push(`${call} ${key}`)
    for (const rule of rules) {
      const { on, key: pattern, every = 1, after = 0, times = Infinity } = rule.fault
      if (!(typeof on === 'string' ? on === call : on.includes(call)) || (pattern && !pattern.test(key))) continue
      rule.seen += 1
      if (rule.seen <= after || (rule.seen - after) % every !== 0 || rule.done >= times) continue
      rule.done += 1
      happened += 1
      return rule.fault
    }
    return undefined
  }

  function errorOf({ error }: Fault): AppError {
    if (typeof error === 'function') return error()
    return error ?? new AppError('storage.unreachable', `${storage.name} cannot be reached: told so by the test`)
  }

  async function stall(signal: AbortSignal | undefined): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const abort = (): void => reject(toAppError(signal?.reason, 'run.cancelled'))
      if (signal?.aborted) abort()
      signal?.addEventListener('abort', abort, { once: true })
      released.promise.then(resolve, reject)
    })
  }

  async function around<T>(call: StorageCall, key: string, signal: AbortSignal | undefined, work: () => Promise<T>) {
    const fault = fate(call, key)
    if (fault?.how === 'stall') await stall(signal)
    else if (fault?.how === 'fail-late') {
      await work()
      throw errorOf(fault)
    } else if (fault) throw errorOf(fault)
    return work()
  }

  return {
    name: storage.name,
    can: storage.can,
    calls,
    get faults() {
      return happened
    },
    add: (fault) => void rules.push({ fault, seen: 0, done: 0 }),
    release() {
      rules.length = 0
      released.resolve()
      released = Promise.withResolvers<void>()
    },

    async put(key, body, options = {}) {
      const fault = fate('put', key)
      if (fault === undefined) return storage.put(key, body, options)
      if (fault.how === 'fail') throw errorOf(fault)
      if (fault.how === 'stall') await stall(options.signal)
      if (fault.how === 'cut') return storage.put(key, brokenAfter(body, fault.bytes ?? 0, errorOf(fault)), options)
      const stored = await storage.put(key, body, options)
      if (fault.how === 'fail-late') throw errorOf(fault)
      return stored
    },

    async *get(key, options = {}) {
      const fault = fate('get', key)
      if (fault?.how === 'fail') throw errorOf(fault)
      if (fault?.how === 'stall') await stall(options.signal)
      let at = 0
      for await (const chunk of storage.get(key, options)) {
        const end = fault && ['cut', 'truncate', 'flip'].includes(fault.how) ? (fault.bytes ?? 0) : Infinity
        if (fault && at + chunk.length > end) {
          const reached = Math.max(0, end - at)
          if (fault.how !== 'flip') {
            if (reached > 0) yield chunk.subarray(0, reached)
            if (fault.how === 'cut') throw errorOf(fault)
            return
          }
          if (at <= end) chunk[reached] = (chunk[reached] ?? 0) ^ 1
        }
        at += chunk.length
        yield chunk
      }
      if (fault?.how === 'fail-late') throw errorOf(fault)
    },

    async *list(prefix, options = {}) {
      const fault = fate('list', prefix)
      if (fault?.how === 'fail') throw errorOf(fault)
      if (fault?.how === 'stall') await stall(options.signal)
      let count = 0
      for await (const object of storage.list(prefix, options)) {
        if (fault?.how === 'cut' && count >= (fault.bytes ?? 0)) throw errorOf(fault)
        if (fault?.how === 'truncate' && count >= (fault.bytes ?? 0)) return
        count += 1
        yield object
      }
      if (fault?.how === 'fail-late') throw errorOf(fault)
    },

    stat: (key, options = {}) => around('stat', key, options.signal, () => storage.stat(key, options)),
    remove: (key, options = {}) => around('remove', key, options.signal, () => storage.remove(key, options)),
    sweep: (before, options = {}) => around('sweep', '', options.signal, () => storage.sweep(before, options)),
    close: () => storage.close(),
  }
}

async function* brokenAfter(body: Bytes | AsyncIterable<Bytes>, bytes: number, error: AppError): AsyncGenerator<Bytes> {
  let at = 0
  for await (const chunk of body instanceof Uint8Array ? [body] : body) {
    if (at + chunk.length >= bytes) {
      yield chunk.subarray(0, bytes - at)
      throw error
    }
    at += chunk.length
    yield chunk
  }
  throw error
}
