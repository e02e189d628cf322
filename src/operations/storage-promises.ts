/**
 * What every storage promises, as checks that run anywhere: `testing/storage-suite.ts` wraps them for node:test, and
 * `holdfast doctor --vault NAME` runs them at the user's site, below a scratch prefix that is removed again.
 */
import { randomBytes } from 'node:crypto'
import { AppError, isAppError, toAppError, type ErrorCode } from '../base/errors.ts'
import { utf8, type Bytes } from '../base/bytes.ts'
import { compareKeys } from '../base/keys.ts'
import { collect, streamOf, throwIfAborted } from '../base/streams.ts'
import type { Storage, StoredObject } from '../model/storage.ts'

export interface PromiseContext {
  storage: Storage
  /** A fresh place for this check alone; ends in `/`. */
  prefix: string
  signal?: AbortSignal
}

export interface StoragePromise {
  /** Stable, for lists of exceptions. */
  name: string
  /** The sentence of the contract. */
  promise: string
  /** Rejects, saying what was seen instead. */
  check(context: PromiseContext): Promise<void>
}

export interface StoragePromiseResult {
  name: string
  promise: string
  ok: boolean
  ms: number
  error?: AppError
}

export const STORAGE_PROMISES: readonly StoragePromise[] = [
  {
    name: 'round-trip',
    promise: 'what was put is got again, byte for byte',
    async check({ storage, prefix, signal }) {
      const bytes = randomBytes(100_000)
      const key = `${prefix}round-trip`
      const put = await storage.put(key, bytes, { signal })
      expect(put.key === key && put.size === bytes.length, `put gave ${JSON.stringify(put)}`)
      expectBytes(await collect(storage.get(key, { signal })), bytes)
      // Threads hand over what they packed in memory that they share, which not everything that sends takes for bytes.
      const shared = new Uint8Array(new SharedArrayBuffer(50_000))
      shared.set(bytes.subarray(0, shared.length))
      await storage.put(`${prefix}shared`, shared, { signal })
      expectBytes(await collect(storage.get(`${prefix}shared`, { signal })), bytes.subarray(0, shared.length))
    },
  },
  {
    name: 'stream',
    promise: 'a stream of unknown length is stored whole',
    async check({ storage, prefix, signal }) {
      const chunks = [1, 70_000, 3, 200_000].map((size) => randomBytes(size))
      let told = 0
      const onBytes = (bytes: number): void => void (told += bytes)
      const put = await storage.put(`${prefix}stream`, streamOf(...chunks), { signal, onBytes })
      const whole = Buffer.concat(chunks)
      expect(put.size === whole.length, `put gave the size ${put.size} for ${whole.length} bytes`)
      expect(told === whole.length, `onBytes told of ${told} bytes instead of ${whole.length}`)
      expectBytes(await collect(storage.get(`${prefix}stream`, { signal })), whole)
    },
  },
  {
    name: 'empty',
    promise: 'an empty object is an object',
    async check({ storage, prefix, signal }) {
      await storage.put(`${prefix}bytes`, utf8(''), { signal })
      await storage.put(`${prefix}stream`, streamOf(), { signal })
      for (const name of ['bytes', 'stream']) {
        const object = await storage.stat(`${prefix}${name}`, { signal })
        expect(object?.size === 0, `stat of the empty object gave ${JSON.stringify(object)}`)
        expectBytes(await collect(storage.get(`${prefix}${name}`, { signal })), utf8(''))
      }
    },
  },
  {
    name: 'replace',
    promise: 'a second put replaces the first, the etag changes, and by the old one nothing is read',
    async check({ storage, prefix, signal }) {
      const key = `${prefix}replace`
      const first = await storage.put(key, utf8('the first'), { signal })
      const second = await storage.put(key, utf8('second'), { signal })
      expectBytes(await collect(storage.get(key, { signal })), utf8('second'))
      const known = await storage.stat(key, { signal })
      expect(known?.size === 6, `stat gave ${JSON.stringify(known)} after replacing by 6 bytes`)
      const etags = [first.etag, second.etag, known.etag]
      if (etags.some((etag) => etag !== undefined)) {
        expect(first.etag !== second.etag, `both puts gave the etag ${first.etag}`)
        expect(second.etag === known.etag, `put gave the etag ${second.etag}, stat ${known.etag}`)
        await expectCode('storage.truncated', collect(storage.get(key, { signal, etag: first.etag })))
        expectBytes(await collect(storage.get(key, { signal, etag: second.etag })), utf8('second'))
      }
    },
  },
  {
    name: 'failed-put',
    promise: 'a put that fails leaves what was there before',
    async check({ storage, prefix, signal }) {
      async function* broken(): AsyncGenerator<Bytes> {
        yield randomBytes(300_000)
        throw new AppError('source.failed', 'the source broke')
      }
      const [kept, fresh] = [`${prefix}kept`, `${prefix}fresh`]
      await storage.put(kept, utf8('before'), { signal })
      for (const key of [kept, fresh]) await expectCode('source.failed', storage.put(key, broken(), { signal }))
      expectBytes(await collect(storage.get(kept, { signal })), utf8('before'))
      const keys = (await listAll(storage, prefix, signal)).map(({ key }) => key)
      expect(keys.join() === kept, `the list has ${keys.join()} after a put that failed`)
    },
  },
  {
    name: 'missing',
    promise: 'a missing object is storage.not-found to get, undefined to stat, and no error to remove',
    async check({ storage, prefix, signal }) {
      const key = `${prefix}missing`
      await expectCode('storage.not-found', collect(storage.get(key, { signal })))
      await expectCode('storage.not-found', collect(storage.get(key, { signal, range: { start: 0, end: 5 } })))
      const object = await storage.stat(key, { signal })
      expect(object === undefined, `stat gave ${JSON.stringify(object)}`)
      await storage.remove(key, { signal })
    },
  },
  {
    name: 'ranges',
    promise: 'a range gives exactly its bytes, and storage.truncated past the end',
    async check({ storage, prefix, signal }) {
      const key = `${prefix}ranges`
      const bytes = randomBytes(5000)
      await storage.put(key, bytes, { signal })
      const ranges: [number, number][] = [
        [0, 1],
        [0, 5000],
        [4999, 5000],
        [17, 4000],
        [100, 100],
      ]
      for (const [start, end] of ranges)
        expectBytes(await collect(storage.get(key, { signal, range: { start, end } })), bytes.subarray(start, end))
      for (const [start, end] of [
        [4000, 5001],
        [5000, 5001],
        [9000, 9010],
      ] as const)
        await expectCode('storage.truncated', collect(storage.get(key, { signal, range: { start, end } })))
    },
  },
  {
    name: 'if-absent',
    promise: 'ifAbsent creates once, then rejects with storage.exists and changes nothing',
    async check({ storage, prefix, signal }) {
      const key = `${prefix}if-absent`
      await storage.put(key, utf8('first'), { signal, ifAbsent: true })
      await expectCode('storage.exists', storage.put(key, utf8('second'), { signal, ifAbsent: true }))
      await expectCode('storage.exists', storage.put(key, streamOf(utf8('third')), { signal, ifAbsent: true }))
      expectBytes(await collect(storage.get(key, { signal })), utf8('first'))
      await storage.remove(key, { signal })
      await storage.put(key, utf8('fourth'), { signal, ifAbsent: true })
    },
  },
  {
    name: 'one-winner',
    promise: 'of many writers with ifAbsent one wins, where can.conditionalCreate says so',
    async check({ storage, prefix, signal }) {
      // Some drivers know what the other side can do only after the first try.
      await storage.put(`${prefix}first`, utf8('1'), { signal, ifAbsent: true })
      if (!storage.can.conditionalCreate) return
      const key = `${prefix}one-winner`
      const bodies = Array.from({ length: 20 }, (_, i) => utf8(`writer ${i}`))
      const results = await Promise.allSettled(bodies.map((body) => storage.put(key, body, { signal, ifAbsent: true })))
      const winners = results.flatMap(({ status }, i) => (status === 'fulfilled' ? [i] : []))
      for (const result of results)
        if (result.status === 'rejected') await expectCode('storage.exists', Promise.reject(result.reason))
      expect(winners.length === 1, `${winners.length} of 20 writers were told that they created the object`)
      expectBytes(await collect(storage.get(key, { signal })), bodies[winners[0] ?? 0] ?? utf8(''))
    },
  },
  {
    name: 'list',
    promise: 'a list has every object below the prefix, once, in byte order, with its size',
    async check({ storage, prefix, signal }) {
      const names = ['a-b', 'a/b', 'a/c/d', 'a0', 'b', 'ba/x', 'A', 'é', '漢', '\u{1f600}', '\uff5e']
      for (const [i, name] of names.entries()) await storage.put(`${prefix}${name}`, new Uint8Array(i), { signal })
      const objects = await listAll(storage, prefix, signal)
      const found = objects.map(({ key, size }) => `${key.slice(prefix.length)}:${size}`).join(' ')
      const wanted = names.map((name, i) => ({ name, size: i })).sort((a, b) => compareKeys(a.name, b.name))
      expect(found === wanted.map(({ name, size }) => `${name}:${size}`).join(' '), `the list is ${found}`)
      for (const [part, count] of [
        ['a', 4],
        ['a/', 2],
        ['b', 2],
        ['none', 0],
      ] as const) {
        const some = await listAll(storage, `${prefix}${part}`, signal)
        expect(some.length === count, `the list of ${part} has ${some.length} objects instead of ${count}`)
      }
    },
  },
  {
    name: 'keys',
    promise: 'keys may hold spaces, Unicode, percent and plus signs and long names',
    async check({ storage, prefix, signal }) {
      const { refusedInKeys = '' } = storage.can
      const isRefused = (name: string): boolean => [...refusedInKeys].some((char) => name.includes(char))
      for (const name of ODD_KEYS.filter(isRefused))
        await expectCode('storage.invalid', storage.put(`${prefix}${name}`, utf8(name), { signal }))
      const names = ODD_KEYS.filter((name) => !isRefused(name))
      for (const name of names) {
        const key = `${prefix}${name}`
        await storage.put(key, utf8(name), { signal })
        expectBytes(await collect(storage.get(key, { signal })), utf8(name))
        const object = await storage.stat(key, { signal })
        expect(object?.key === key, `stat of ${JSON.stringify(key)} gave ${JSON.stringify(object)}`)
      }
      const keys = (await listAll(storage, prefix, signal)).map(({ key }) => key.slice(prefix.length))
      const wanted = names.toSorted(compareKeys)
      expect(JSON.stringify(keys) === JSON.stringify(wanted), `the list has ${JSON.stringify(keys)}`)
      for (const name of names) await storage.remove(`${prefix}${name}`, { signal })
      expect((await listAll(storage, prefix, signal)).length === 0, 'not all of them could be removed')
    },
  },
  {
    name: 'bad-keys',
    promise: 'a key that is no key is refused with storage.invalid',
    async check({ storage, prefix, signal }) {
      for (const key of ['', '/etc/x', `${prefix}../../x`, `${prefix}a//b`, `${prefix}./x`, `${prefix}a\0b`, 'x/']) {
        await expectCode('storage.invalid', storage.put(key, utf8('x'), { signal }))
        await expectCode('storage.invalid', collect(storage.get(key, { signal })))
        await expectCode('storage.invalid', storage.stat(key, { signal }))
        await expectCode('storage.invalid', storage.remove(key, { signal }))
      }
    },
  },
  {
    name: 'remove',
    promise: 'a removed object is gone at once, and only it',
    async check({ storage, prefix, signal }) {
      for (const name of ['x/1', 'x/2', 'y/1']) await storage.put(`${prefix}${name}`, utf8(name), { signal })
      await storage.remove(`${prefix}x/1`, { signal })
      await storage.remove(`${prefix}y/1`, { signal })
      const keys = (await listAll(storage, prefix, signal)).map(({ key }) => key.slice(prefix.length))
      expect(keys.join() === 'x/2', `the list has ${keys.join()}`)
      await expectCode('storage.not-found', collect(storage.get(`${prefix}x/1`, { signal })))
      await storage.put(`${prefix}y/1`, utf8('again'), { signal })
    },
  },
  {
    name: 'cancel',
    promise: 'an aborted signal rejects with run.cancelled and stores nothing',
    async check({ storage, prefix }) {
      const signal = AbortSignal.abort()
      const key = `${prefix}cancel`
      await expectCode('run.cancelled', storage.put(key, utf8('x'), { signal }))
      await expectCode('run.cancelled', collect(storage.get(key, { signal })))
      await expectCode('run.cancelled', storage.stat(key, { signal }))
      await expectCode('run.cancelled', listAll(storage, prefix, signal))
      await expectCode('run.cancelled', storage.remove(key, { signal }))
      expect((await listAll(storage, prefix)).length === 0, 'an aborted put stored something')
    },
  },
]

/** Spaces, Unicode (composed and not), what URLs and shells find special, and names near the limit of file systems. */
export const ODD_KEYS: readonly string[] = [
  'with space/and  two',
  ' leading and trailing ',
  'percent%20not-space',
  'plus+plus&and=?#;:@,$!',
  'quote\'"`back\\slash',
  '<xml>&amp;</xml>',
  'dots...and..more/.hidden',
  '~tilde*star[1]{2}(3)|^',
  'é composed',
  'e\u0301 decomposed',
  '漢字/かな/\u{1f600}',
  'n'.repeat(240),
]

/** What fails these ways fails every check alike: one is enough. */
const NO_ACCESS: readonly ErrorCode[] = [
  'storage.unreachable',
  'storage.denied',
  'storage.missing-bucket',
  'storage.wrong-region',
  'storage.no-credentials',
  'storage.expired',
  'storage.invalid',
]

/**
 * Runs every check, each in its own scratch place, and removes what it wrote. Ends after the first if the storage
 * cannot be used at all. Rejects only when cancelled.
 */
export async function checkStoragePromises(
  storage: Storage,
  options: { prefix?: string; signal?: AbortSignal; promises?: readonly StoragePromise[] } = {},
): Promise<StoragePromiseResult[]> {
  const { signal, promises = STORAGE_PROMISES } = options
  const scratch = `${options.prefix ?? 'holdfast-doctor/'}${randomBytes(4).toString('hex')}/`
  const results: StoragePromiseResult[] = []
  const run = async (name: string, promise: string, work: () => Promise<void>): Promise<AppError | undefined> => {
    const started = performance.now()
    const error = await failureOf(work())
    const ms = Math.round(performance.now() - started)
    results.push({ name, promise, ok: error === undefined, ms, ...(error && { error }) })
    return error
  }
  try {
    for (const item of promises) {
      throwIfAborted(signal)
      const context = { storage, prefix: `${scratch}${item.name}/`, ...(signal && { signal }) }
      const error = await run(item.name, item.promise, () => item.check(context))
      throwIfAborted(signal)
      if (results.length === 1 && isAppError(error, ...NO_ACCESS)) return results
    }
  } finally {
    await run('clean-up', 'what the checks wrote can be removed again', () => removeAll(storage, scratch))
  }
  return results
}

/** Removes every object below the prefix. */
export async function removeAll(storage: Storage, prefix: string): Promise<void> {
  for (const { key } of await listAll(storage, prefix)) await storage.remove(key)
}

async function failureOf(work: Promise<void>): Promise<AppError | undefined> {
  try {
    await work
    return undefined
  } catch (error) {
    return toAppError(error)
  }
}

/** A whole list in memory: for tests and scratch places only. */
export async function listAll(storage: Storage, prefix: string, signal?: AbortSignal): Promise<StoredObject[]> {
  const objects: StoredObject[] = []
  for await (const object of storage.list(prefix, { signal })) objects.push(object)
  return objects
}

function expect(ok: boolean, otherwise: string): asserts ok {
  if (!ok) throw new AppError('storage.unsupported', `the storage does not keep this promise: ${otherwise}`)
}

function expectBytes(got: Bytes, wanted: Bytes): void {
  expect(
    Buffer.compare(got, wanted) === 0,
    `${got.length} bytes came back that differ from the ${wanted.length} stored`,
  )
}

async function expectCode(code: ErrorCode, work: Promise<unknown>): Promise<void> {
  let seen: AppError
  try {
    await work
  } catch (error) {
    seen = toAppError(error)
    if (seen.code === code) return
    throw new AppError('storage.unsupported', `expected ${code}, got ${seen.code}: ${seen.message}`, { cause: error })
  }
  throw new AppError('storage.unsupported', `expected ${code}, but the call succeeded`)
}
