import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Bytes } from '../base/bytes.ts'
import { manualClock } from '../testing/manual-clock.ts'
import { rateAt, rateOf } from './bandwidth.ts'
import { memory } from './memory.ts'
import { rateLimit, withLimit } from './with-limit.ts'

const KiB = 1024
/** 2024-03-15 is a Friday; Berlin is one hour ahead of UTC. */
const at = (time: string): Date => new Date(`2024-03-${time}:00Z`)

test('plans: times of day in a zone, past midnight, on days; the first that fits, the lowest of several plans', () => {
  const plan = {
    upload: 100,
    timezone: 'Europe/Berlin',
    times: [
      { between: '08:00-18:00', days: ['mon', 'tue', 'wed', 'thu', 'fri'] as const satisfies string[], upload: 10 },
      { between: '22:00-06:00', days: ['fri'] as const satisfies string[] },
    ],
  }
  const plans = [{ ...plan, times: plan.times.map((time) => ({ ...time, days: [...time.days] })) }]
  const rate = (time: string): number | undefined => rateAt(plans, 'upload', at(time))
  assert.equal(rate('15T06:59'), 100 * KiB)
  assert.equal(rate('15T07:00'), 10 * KiB)
  assert.equal(rate('15T16:59'), 10 * KiB)
  assert.equal(rate('15T17:00'), 100 * KiB)
  assert.equal(rate('15T21:00'), undefined, 'no limit on Friday night')
  assert.equal(rate('16T04:59'), undefined, 'until Saturday morning')
  assert.equal(rate('16T05:00'), 100 * KiB)
  assert.equal(rate('16T09:00'), 100 * KiB, 'a Saturday')
  assert.equal(rateAt(plans, 'download', at('15T09:00')), undefined)
  assert.equal(rateAt([...plans, 5], 'upload', at('15T09:00')), 5 * KiB)
  assert.equal(rateOf([{ upload: 3 }], 'download', manualClock()), undefined)
})

test('a rate that changes with the hour holds within 5 % over the ten seconds around the change', async () => {
  const clock = manualClock()
  const start = clock.now()
  // The change comes when the next minute begins.
  const next = new Date(Math.ceil(start.getTime() / 60_000) * 60_000)
  const wait = next.getTime() - start.getTime() - 5000
  if (wait > 0) await clock.sleep(wait)
  const from = next.toISOString().slice(11, 16)
  const later = [{ upload: 1000, timezone: 'UTC', times: [{ between: `${from}-23:59`, upload: 100 }] }]
  const rate = rateOf(later, 'upload', clock) ?? assert.fail()
  const storage = withLimit(memory(), { upload: rateLimit(rate, clock), clock })
  async function* body(): AsyncGenerator<Bytes> {
    for (let i = 0; i < 550; i += 1) yield new Uint8Array(10 * KiB)
  }
  const begun = clock.monotonic()
  await storage.put('a', body())
  const took = clock.monotonic() - begun
  // Five seconds at 1,000 KiB, then five at 100.
  assert.ok(Math.abs(took - 10_000) < 500, `took ${took} ms`)
})
