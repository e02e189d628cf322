import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { utf8 } from '../base/bytes.ts'
import { AppError, isAppError } from '../base/errors.ts'
import { collect, streamOf } from '../base/streams.ts'
import type { Storage } from '../model/storage.ts'
import { listAll } from '../operations/storage-promises.ts'
import { faulty, type Fault, type FaultyStorage } from '../testing/faulty-storage.ts'
import { manualClock } from '../testing/manual-clock.ts'
import { storageSuite } from '../testing/storage-suite.ts'
import { memory } from './memory.ts'
import { withRetry } from './with-retry.ts'

const settings = { attempts: 4, baseMs: 100, maxMs: 1000 }

/** Every second call of a kind fails, reads also in the middle: with retries nothing of that is seen. */
storageSuite('driver:memory, unreliable, with retries', {
  open: () =>
    withRetry(
      faulty(
        memory(),
        { on: ['get', 'stat', 'list', 'remove', 'sweep'], every: 2, how: 'fail' },
        { on: 'get', every: 3, how: 'cut', bytes: 100 },
        { on: 'list', every: 3, how: 'cut', bytes: 5 },
      ),
      { ...settings, attempts: 20, clock: manualClock() },
    ),
  except: { 'flat-memory': 'memory is where it keeps its objects' },
})

function unreliable(...faults: Fault[]): { storage: Storage; inner: FaultyStorage; waits: number[] } {
  const inner = faulty(memory(), ...faults)
  const waits: number[] = []
  const storage = withRetry(inner, {
    ...settings,
    clock: manualClock(),
    random: () => 1,
    onRetry: (_error, _attempt, waitMs) => waits.push(waitMs),
  })
  return { storage, inner, waits }
}

test('waiting doubles up to its bound, then the error comes out', async () => {
  const { storage, waits } = unreliable({ on: 'stat', how: 'fail' })
  await assert.rejects(storage.stat('a'), (error) => isAppError(error, 'storage.unreachable'))
  assert.deepEqual(waits, [100, 200, 400])
})

test('jitter takes up to half of the waiting time away', async () => {
  const waits: number[] = []
  const storage = withRetry(faulty(memory(), { on: 'stat', how: 'fail' }), {
    ...settings,
    clock: manualClock(),
    random: () => 0,
    onRetry: (_error, _attempt, waitMs) => waits.push(waitMs),
  })
  await assert.rejects(storage.stat('a'))
  assert.deepEqual(waits, [50, 100, 200])
})

test('Retry-After is waited for, also beyond the bound', async () => {
  const error = new AppError('storage.throttled', 'slow down', { retryAfter: 7 })
  const { storage, waits } = unreliable({ on: 'stat', how: 'fail', times: 1, error })
  await storage.stat('a')
  assert.deepEqual(waits, [7000])
})

test('a permanent error is not tried again', async () => {
  for (const error of [
    new AppError('storage.denied', 'no'),
    new AppError('storage.unreachable', 'bad certificate', { details: { permanent: true } }),
  ]) {
    const { storage, inner } = unreliable({ on: ['stat', 'put', 'get'], how: 'fail', error })
    await assert.rejects(storage.stat('a'))
    await assert.rejects(storage.put('a', utf8('x')))
    await assert.rejects(collect(storage.get('a')))
    assert.deepEqual(inner.calls, ['stat a', 'put a', 'get a'])
  }
})

test('a get goes on from the byte it reached', async () => {
  const bytes = randomBytes(1_000_000)
  const { storage, inner } = unreliable({ on: 'get', how: 'cut', bytes: 300_001, times: 3 })
  await inner.put('a', bytes)
  assert.equal(Buffer.compare(await collect(storage.get('a')), bytes), 0)
  assert.equal(inner.calls.filter((call) => call === 'get a').length, 4)
  const { storage: other, inner: source } = unreliable({ on: 'get', how: 'cut', bytes: 1000 })
  await source.put('a', bytes)
  const range = { start: 5000, end: 25_000 }
  const part = await collect(other.get('a', { range }))
  assert.equal(Buffer.compare(part, bytes.subarray(5000, 25_000)), 0, 'each step of 1000 bytes counts anew')
})

test('a get of what was removed meanwhile is an error, not a short object', async () => {
  const { storage, inner } = unreliable({ on: 'get', how: 'cut', bytes: 300_000, times: 1 })
  await inner.put('a', randomBytes(1_000_000))
  const read = async (): Promise<void> => {
    for await (const _ of storage.get('a')) await inner.remove('a')
  }
  await assert.rejects(read(), (error) => isAppError(error, 'storage.not-found'))
})

test('a get of what was replaced meanwhile is an error, not the head of one with the tail of another', async () => {
  const { storage, inner } = unreliable({ on: 'get', how: 'cut', bytes: 300_000, times: 1 })
  await inner.put('a', Buffer.alloc(1_000_000, 1))
  const read = async (): Promise<void> => {
    for await (const _ of storage.get('a')) await inner.put('a', Buffer.alloc(1_000_000, 2))
  }
  await assert.rejects(read(), (error) => isAppError(error, 'storage.truncated'))
  const { storage: other, inner: early } = unreliable({ on: 'get', how: 'cut', bytes: 0, times: 1 })
  await early.put('a', utf8('first'))
  assert.equal((await collect(other.get('a'))).length, 5, 'what gave no byte yet begins anew')
})

test('wrong bytes that were given out are an error, those of nothing given out are fetched again', async () => {
  const error = new AppError('storage.checksum', 'wrong sum')
  const late = unreliable({ on: 'get', how: 'fail-late', times: 1, error })
  await late.inner.put('a', utf8('bytes'))
  await assert.rejects(collect(late.storage.get('a')), (thrown) => isAppError(thrown, 'storage.checksum'))
  const early = unreliable({ on: 'get', how: 'fail', times: 1, error })
  await early.inner.put('a', utf8('bytes'))
  assert.equal((await collect(early.storage.get('a'))).length, 5)
})

test('a list goes on after the last key', async () => {
  const { storage, inner } = unreliable({ on: 'list', how: 'cut', bytes: 3, times: 2 })
  for (const key of ['a', 'b', 'c', 'd', 'e']) await inner.put(key, utf8(key))
  assert.deepEqual(
    (await listAll(storage, '')).map(({ key }) => key),
    ['a', 'b', 'c', 'd', 'e'],
  )
})

test('bytes are put again, a stream is not, and bytes are told once', async () => {
  const { storage, inner } = unreliable({ on: 'put', how: 'fail-late', times: 2 })
  let told = 0
  await storage.put('a', new Uint8Array(1000), { onBytes: (bytes) => (told += bytes) })
  assert.equal(told, 1000)
  assert.equal(inner.calls.length, 3)
  inner.add({ on: 'put', how: 'fail', times: 1 })
  await assert.rejects(storage.put('b', streamOf(utf8('x'))), (error) => isAppError(error, 'storage.unreachable'))
})

test('ifAbsent whose first answer was lost succeeds, but not on the object of another', async () => {
  const { storage } = unreliable({ on: 'put', how: 'fail-late', times: 1 })
  await storage.put('a', utf8('mine'), { ifAbsent: true })
  await assert.rejects(storage.put('a', utf8('mine'), { ifAbsent: true }), (error) =>
    isAppError(error, 'storage.exists'),
  )
  const other = unreliable({ on: 'put', how: 'fail', times: 1 })
  const put = other.storage.put('a', utf8('mine'), { ifAbsent: true })
  await other.inner.put('a', utf8('theirs'))
  await assert.rejects(put, (error) => isAppError(error, 'storage.exists'))
})

test('what the driver repeats itself is left to it', async () => {
  const inner = faulty(memory(), { on: ['put', 'list'], how: 'fail' })
  const storage = withRetry(inner, { ...settings, clock: manualClock(), driverRepeats: ['put', 'list'] })
  await assert.rejects(storage.put('a', utf8('x')))
  await assert.rejects(listAll(storage, ''))
  assert.deepEqual(inner.calls, ['put a', 'list '])
})

test('a signal ends the waiting', async () => {
  const controller = new AbortController()
  const storage = withRetry(faulty(memory(), { on: 'stat', how: 'fail' }), {
    ...settings,
    baseMs: 60_000,
    maxMs: 60_000,
  })
  setTimeout(() => controller.abort(), 20)
  await assert.rejects(storage.stat('a', { signal: controller.signal }), (error) => isAppError(error, 'run.cancelled'))
})
