import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Bytes } from '../base/bytes.ts'
import { isAppError } from '../base/errors.ts'
import { collect } from '../base/streams.ts'
import { manualClock } from '../testing/manual-clock.ts'
import { storageSuite } from '../testing/storage-suite.ts'
import { memory } from './memory.ts'
import { rateLimit, withLimit } from './with-limit.ts'

storageSuite('driver:memory with a limit', {
  open: () => withLimit(memory(), { upload: 4e9, download: 4e9 }),
  except: { 'flat-memory': 'memory is where it keeps its objects' },
})

const KiB = 1024

async function* body(size: number, chunk = 64 * KiB): AsyncGenerator<Bytes> {
  for (let at = 0; at < size; at += chunk) yield new Uint8Array(Math.min(chunk, size - at))
}

test('ten seconds at a limit carry what the limit says, within 5 %', async () => {
  for (const rate of [10 * KiB, 1000 * KiB, 10_000 * KiB]) {
    const clock = manualClock()
    const storage = withLimit(memory(), { upload: rate, download: rate, clock })
    await storage.put('a', body(rate * 10))
    const put = clock.monotonic()
    assert.ok(Math.abs(put - 10_000) < 500, `${rate} bytes a second: the put took ${put} ms`)
    await collect(storage.get('a'), Infinity)
    const got = clock.monotonic() - put
    assert.ok(Math.abs(got - 10_000) < 500, `${rate} bytes a second: the get took ${got} ms`)
  }
})

test('bytes wait as a stream does', async () => {
  const clock = manualClock()
  await withLimit(memory(), { upload: 1000, clock }).put('a', new Uint8Array(10_000))
  assert.ok(Math.abs(clock.monotonic() - 10_000) < 500)
})

test('on the real clock a second is a second', async () => {
  const started = performance.now()
  await withLimit(memory(), { upload: 2_000_000 }).put('a', body(2_000_000))
  const took = performance.now() - started
  assert.ok(took > 700 && took < 1600, `took ${took} ms`)
})

test('streams that share a limit share its rate, and take turns', async () => {
  const clock = manualClock()
  const limit = rateLimit(1000 * KiB, clock)
  const [one, two] = [withLimit(memory(), { upload: limit, clock }), withLimit(memory(), { upload: limit, clock })]
  const ends: number[] = []
  const put = async (storage: typeof one): Promise<void> => {
    await storage.put('a', body(5000 * KiB))
    ends.push(clock.monotonic())
  }
  await Promise.all([put(one), put(two)])
  assert.ok(Math.abs((ends[1] ?? 0) - 10_000) < 500, `both took ${ends[1]} ms`)
  assert.ok((ends[0] ?? 0) > 9000, `one was done after ${ends[0]} ms, while the other waited`)
})

test('directions are limited apart, or together where they share a limit', async () => {
  const clock = manualClock()
  const storage = withLimit(memory(), { upload: 1000, clock })
  await storage.put('a', body(1000, 100))
  const after = clock.monotonic()
  await collect(storage.get('a'))
  assert.equal(clock.monotonic(), after, 'a download does not wait for the limit of uploads')
})

test('a new rate holds at once, also for what waits', async () => {
  const clock = manualClock()
  const limit = rateLimit(1000, clock)
  const put = withLimit(memory(), { upload: limit, clock }).put('a', new Uint8Array(100_000))
  await clock.sleep(2000)
  limit.set(98_000)
  await put
  assert.ok(Math.abs(clock.monotonic() - 3000) < 200, `took ${clock.monotonic()} ms`)
  limit.set(undefined)
  const before = clock.monotonic()
  await limit.take(1e9)
  assert.equal(clock.monotonic(), before)
})

test('waiting ends with the signal', async () => {
  const controller = new AbortController()
  const put = withLimit(memory(), { upload: 10 }).put('a', new Uint8Array(1000), { signal: controller.signal })
  setTimeout(() => controller.abort(), 20)
  await assert.rejects(put, (error) => isAppError(error, 'run.cancelled'))
})
