import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { utf8, type Bytes } from '../base/bytes.ts'
import { AppError, isAppError } from '../base/errors.ts'
import { collect, streamOf } from '../base/streams.ts'
import type { Storage } from '../model/storage.ts'
import { listAll } from '../operations/storage-promises.ts'
import { faulty, type Fault } from '../testing/faulty-storage.ts'
import { storageSuite } from '../testing/storage-suite.ts'
import { local } from './local.ts'
import { memory } from './memory.ts'
import { mirror, type MemberFailure, type MirrorOptions } from './mirror.ts'

const base = mkdtempSync(join(tmpdir(), 'holdfast-mirror-'))
after(() => rmSync(base, { recursive: true, force: true }))
const folder = (): Storage => local({ path: join(base, randomBytes(6).toString('hex')) })

for (const strategy of ['all', 'any', 'priority'] as const)
  storageSuite(`driver:mirror-${strategy}`, {
    open: () => mirror({ strategy }, [folder(), memory()]),
    manyKeys: 603,
    except: { 'flat-memory': 'one member is memory itself; the test of back-pressure below measures it' },
  })
storageSuite('driver:mirror-one-at-a-time', {
  open: () => mirror({ strategy: 'all', concurrency: 1 }, [folder(), folder(), folder()]),
  manyKeys: 203,
})

const KEY = 'data/a'
const bytes = randomBytes(3 * 1024 * 1024)
const stream = (): AsyncIterable<Bytes> =>
  streamOf(
    ...Array.from({ length: 30 }, (_, i) => bytes.subarray((i * bytes.length) / 30, ((i + 1) * bytes.length) / 30)),
  )

function members(...faults: (Fault | undefined)[]): Storage[] {
  return faults.map((fault) => faulty(memory(), ...(fault ? [fault] : [])))
}

function watch(): { options: MirrorOptions; failures: MemberFailure[] } {
  const failures: MemberFailure[] = []
  return { failures, options: { onMemberFailure: (failure) => failures.push(failure) } }
}

const isWhole = async (storage: Storage | undefined): Promise<boolean> =>
  storage !== undefined && Buffer.compare(await collect(storage.get(KEY)), bytes) === 0

const missesIt = async (storage: Storage | undefined): Promise<boolean> => (await storage?.stat(KEY)) === undefined

test('all: a member that fails in the middle fails the put before any other stores', async () => {
  const [a, b, c] = members(undefined, { on: 'put', how: 'cut', bytes: 1_000_000 }, undefined)
  const storage = mirror({ strategy: 'all' }, [a, b, c] as Storage[])
  await assert.rejects(storage.put(KEY, stream()), (error) => {
    assert.ok(isAppError(error, 'storage.unreachable'))
    const results = error.details['members'] as { ok: boolean; code?: string }[]
    assert.deepEqual(
      results.map(({ code }) => code),
      ['run.cancelled', 'storage.unreachable', 'run.cancelled'],
    )
    return true
  })
  for (const member of [a, b, c]) assert.ok(await missesIt(member))
})

test('all: every member holds the whole of what succeeded', async () => {
  const [a, b] = members(undefined, undefined)
  const results: unknown[] = []
  const options: MirrorOptions = { onMemberResults: (_, all) => results.push(...all.map(({ ok }) => ok)) }
  let told = 0
  await mirror({ strategy: 'all' }, [a, b] as Storage[], options).put(KEY, stream(), { onBytes: (n) => (told += n) })
  assert.ok((await isWhole(a)) && (await isWhole(b)))
  assert.deepEqual(results, [true, true])
  assert.equal(told, bytes.length, 'bytes are told once, not once a member')
})

test('all with ifAbsent: a failure after the first member stored takes it back, so that the next try can win', async () => {
  const [a, b] = members(undefined, { on: 'put', how: 'fail', times: 1 })
  const storage = mirror({ strategy: 'all' }, [a, b] as Storage[])
  await assert.rejects(storage.put(KEY, bytes, { ifAbsent: true }), (error) => isAppError(error, 'storage.unreachable'))
  assert.ok(await missesIt(a))
  await storage.put(KEY, stream(), { ifAbsent: true })
  assert.ok((await isWhole(a)) && (await isWhole(b)))
})

test('all with ifAbsent: an object on any member is one that exists', async () => {
  const [a, b] = members(undefined, undefined)
  await b?.put(KEY, bytes)
  const storage = mirror({ strategy: 'all' }, [a, b] as Storage[])
  await assert.rejects(storage.put(KEY, bytes, { ifAbsent: true }), (error) => isAppError(error, 'storage.exists'))
  assert.ok(await missesIt(a))
})

test('any: one member is enough, and the one that failed is reported', async () => {
  for (const fault of [{ how: 'fail' }, { how: 'cut', bytes: 500_000 }, { how: 'fail-late' }] as const) {
    const [a, b] = members({ on: 'put', ...fault }, undefined)
    const { options, failures } = watch()
    await mirror({ strategy: 'any' }, [a, b] as Storage[], options).put(KEY, stream())
    assert.ok(await isWhole(b))
    assert.deepEqual(
      failures.map(({ member, operation, key, error }) => [member, operation, key, error.code]),
      [[a?.name, 'put', KEY, 'storage.unreachable']],
    )
  }
})

test('any: when every member fails the put fails, naming each', async () => {
  const error = new AppError('storage.full', 'no space left')
  const [a, b] = members({ on: 'put', how: 'fail' }, { on: 'put', how: 'fail', error })
  const put = mirror({ strategy: 'any' }, [a, b] as Storage[]).put(KEY, stream())
  await assert.rejects(put, (thrown) => {
    assert.ok(isAppError(thrown) && thrown.message.includes(a?.name ?? '?') && thrown.message.includes('no space left'))
    return true
  })
})

test('priority: the first that can, although the stream had begun to flow to the one before', async () => {
  const [a, b, c] = members({ on: 'put', how: 'cut', bytes: 2_000_000 }, undefined, undefined)
  const { options, failures } = watch()
  const storage = mirror({ strategy: 'priority' }, [a, b, c] as Storage[], options)
  await storage.put(KEY, stream())
  assert.ok((await missesIt(a)) && (await isWhole(b)) && (await missesIt(c)))
  assert.equal(failures.length, 1)
})

test('priority: what is kept for a second try lies nowhere by name', async () => {
  const spoolFolder = mkdtempSync(join(base, 'spool-'))
  const [a, b] = members({ on: 'put', how: 'cut', bytes: 2_000_000 }, undefined)
  const storage = mirror({ strategy: 'priority' }, [a, b] as Storage[], { spoolFolder })
  await storage.put(KEY, stream())
  assert.deepEqual(readdirSync(spoolFolder), [])
})

test('priority: a member that failed is asked last for a while', async () => {
  const [a, b] = members({ on: 'put', how: 'fail', times: 1 }, undefined)
  const storage = mirror({ strategy: 'priority' }, [a, b] as Storage[])
  await storage.put('1', bytes)
  await storage.put('2', bytes)
  assert.deepEqual((await listAll(a as Storage, '')).length, 0)
  assert.deepEqual((await listAll(b as Storage, '')).length, 2)
})

test('a body that breaks is the error of the body, whatever the strategy', async () => {
  async function* broken(): AsyncGenerator<Bytes> {
    yield bytes
    throw new AppError('source.failed', 'the dump broke')
  }
  for (const strategy of ['all', 'any', 'priority'] as const) {
    const [a, b] = members(undefined, undefined)
    const { options, failures } = watch()
    const put = mirror({ strategy }, [a, b] as Storage[], options).put(KEY, broken())
    await assert.rejects(put, (error) => isAppError(error, 'source.failed'))
    assert.ok((await missesIt(a)) && (await missesIt(b)))
    assert.deepEqual(failures, [], 'no member is blamed')
  }
})

test('a read goes on with the next member in the middle of an object, and of a range', async () => {
  for (const range of [undefined, { start: 1000, end: 2_900_000 }]) {
    const [a, b] = members({ on: 'get', how: 'cut', bytes: 1_234_567 }, undefined)
    for (const member of [a, b]) await member?.put(KEY, bytes)
    const { options, failures } = watch()
    const storage = mirror({ strategy: 'all' }, [a, b] as Storage[], options)
    const got = await collect(storage.get(KEY, range ? { range } : {}))
    assert.equal(Buffer.compare(got, bytes.subarray(range?.start ?? 0, range?.end)), 0)
    assert.equal(failures.length, 1)
  }
})

test('a read passes over a member without the object; missing everywhere is storage.not-found', async () => {
  const [a, b] = members(undefined, undefined)
  await b?.put(KEY, bytes)
  const storage = mirror({ strategy: 'any' }, [a, b] as Storage[])
  assert.ok(await isWhole(storage))
  assert.equal((await storage.stat(KEY))?.size, bytes.length)
  await assert.rejects(collect(storage.get('other')), (error) => isAppError(error, 'storage.not-found'))
})

test('an object that only the failing member may have is not said to be missing', async () => {
  const [a, b] = members({ on: ['get', 'stat'], how: 'fail' }, undefined)
  const storage = mirror({ strategy: 'any' }, [a, b] as Storage[])
  await assert.rejects(collect(storage.get(KEY)), (error) => isAppError(error, 'storage.unreachable'))
  await assert.rejects(storage.stat(KEY), (error) => isAppError(error, 'storage.unreachable'))
})

test('wrong bytes that were given out already are an error, not continued', async () => {
  const error = new AppError('storage.checksum', 'its CRC32 is wrong')
  const [a, b] = members({ on: 'get', how: 'fail-late', error }, undefined)
  for (const member of [a, b]) await member?.put(KEY, bytes)
  const read = collect(mirror({ strategy: 'all' }, [a, b] as Storage[]).get(KEY))
  await assert.rejects(read, (thrown) => isAppError(thrown, 'storage.checksum'))
})

test('lists are merged in order, each key once, also when a member fails in the middle', async () => {
  const [a, b] = members({ on: 'list', how: 'cut', bytes: 2 }, undefined)
  for (const key of ['a', 'c', 'e', 'g']) await a?.put(key, utf8('1'))
  for (const key of ['b', 'c', 'd', 'g', 'h']) await b?.put(key, utf8('2'))
  const { options, failures } = watch()
  const keys = async (...of: Storage[]): Promise<string> =>
    (await listAll(mirror({ strategy: 'any' }, of, options), '')).map(({ key }) => key).join('')
  assert.equal(await keys(a as Storage, b as Storage), 'abcdgh')
  assert.equal(failures.length, 1)
  const broken = members({ on: 'list', how: 'fail' }, { on: 'list', how: 'cut', bytes: 0 })
  await broken[1]?.put('x', utf8('x'))
  await assert.rejects(keys(...broken), (error) => isAppError(error, 'storage.unreachable'))
})

test('a removal that one member refuses fails, and has happened on the others', async () => {
  const [a, b] = members({ on: 'remove', how: 'fail' }, undefined)
  for (const member of [a, b]) await member?.put(KEY, bytes)
  const removed = mirror({ strategy: 'any' }, [a, b] as Storage[]).remove(KEY)
  await assert.rejects(removed, (error) => isAppError(error, 'storage.unreachable'))
  assert.ok(await missesIt(b))
})

test('only `all` promises one winner of ifAbsent, and only if its first member does', () => {
  const can = (strategy: 'all' | 'any' | 'priority'): boolean =>
    mirror({ strategy }, members(undefined, undefined)).can.conditionalCreate
  assert.deepEqual([can('all'), can('any'), can('priority')], [true, false, false])
})

test('a slow member holds the stream back, so that memory stays flat', async () => {
  let read = 0
  async function* counted(): AsyncGenerator<Bytes> {
    for (; read < 20; read += 1) yield bytes
  }
  const inner = memory()
  let most = 0
  const slow: Storage = {
    ...inner,
    put(key, body, options) {
      let taken = 0
      async function* slowly(): AsyncGenerator<Bytes> {
        for await (const chunk of body as AsyncIterable<Bytes>) {
          taken += 1
          most = Math.max(most, read - taken)
          await new Promise((resolve) => setTimeout(resolve, 2))
          yield chunk.subarray(0, 1)
        }
      }
      return inner.put(key, slowly(), options)
    },
  }
  await mirror({ strategy: 'all' }, [folder(), slow]).put(KEY, counted())
  assert.ok(most <= 1, `the stream ran ${most} chunks ahead of the slow member`)
})
