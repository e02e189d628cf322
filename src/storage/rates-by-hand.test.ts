import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Bytes } from '../base/bytes.ts'
import { collect } from '../base/streams.ts'
import { manualClock } from '../testing/manual-clock.ts'
import { memory } from './memory.ts'
import { openWrapped } from './open-wrapped.ts'
import { ratesByHand } from './rates-by-hand.ts'

const KiB = 1024
const HOW = { cached: () => false, cacheFolder: '/nowhere' }

test('a rate that is given by hand holds at once and within 5 % over ten seconds, up, down, without one, and back', async () => {
  const clock = manualClock()
  const rates = ratesByHand()
  const storage = await openWrapped(
    { storage: memory(), bandwidth: 1000 },
    { ...HOW, clock, rateByHand: () => rates.of('v') },
  )
  const windows: [rate: number | 'none' | undefined, wanted: number][] = [
    [undefined, 1000],
    [4000, 4000],
    [100, 100],
    [undefined, 1000],
  ]
  const passed: number[] = []
  async function* body(): AsyncGenerator<Bytes> {
    const chunk = new Uint8Array(64 * KiB)
    for (const [rate] of windows) {
      rates.set('v', 'run', rate)
      const until = clock.monotonic() + 10_000
      let bytes = 0
      while (clock.monotonic() < until) {
        bytes += chunk.length
        yield chunk
      }
      passed.push(bytes / 10 / KiB)
    }
    rates.set('v', 'run', 'none')
    const before = clock.monotonic()
    for (let i = 0; i < 100; i += 1) yield chunk
    assert.ok(clock.monotonic() - before < 1000, 'without a limit nothing waits')
    rates.set('v', 'run', undefined)
  }
  await storage.put('a', body())
  for (const [i, [, wanted]] of windows.entries()) {
    const rate = passed[i] ?? 0
    // One chunk passes at the end of each window that began in it.
    assert.ok(Math.abs(rate - wanted) < wanted * 0.05 + 6.4, `window ${i}: ${rate} KiB a second in place of ${wanted}`)
  }
})

test('bytes that wait already, and what is read, follow a rate given by hand', async () => {
  const clock = manualClock()
  const rates = ratesByHand()
  const storage = await openWrapped({ storage: memory() }, { ...HOW, clock, rateByHand: () => rates.of('v') })
  rates.set('v', 'one', 100)
  rates.set('v', 'two', 'none')
  rates.set('other', 'three', 1)
  await storage.put('a', new Uint8Array(1000 * KiB))
  assert.ok(Math.abs(clock.monotonic() - 10_000) < 500, 'the lowest of two runs holds')
  await collect(storage.get('a'))
  assert.ok(Math.abs(clock.monotonic() - 20_000) < 1000)
  rates.set('v', 'one', undefined)
  await storage.put('a', new Uint8Array(1000 * KiB))
  assert.ok(clock.monotonic() < 21_000)
})
