import assert from 'node:assert/strict'
import { test } from 'node:test'
import { costOf, vaultCost, type Asked } from './cost.ts'

const now = new Date('2026-11-21T00:00:00Z')
const daysAgo = (days: number): Date => new Date(now.getTime() - days * 86_400_000)
const prices = { storage: 0.023, writes: 0.005, reads: 0.0004, budget: 5 }
const asked = (days: number, write: number, read = 0): Asked => ({
  at: daysAgo(days),
  job: 'a',
  requests: { write, read, list: 0, remove: 0 },
})

test('the cost of a month: what is stored by the gigabyte, requests by the thousand, as often as of late', () => {
  const cost = costOf(prices, 100e9, [asked(29.9, 5000, 100_000), asked(1, 5000), asked(40, 1e9)], now)
  assert.equal(cost.currency, 'USD')
  assert.equal(cost.stored.toFixed(4), '2.3000')
  assert.equal(cost.requests.toFixed(3), '0.090')
  assert.equal(cost.perMonth.toFixed(2), '2.39')
  // Ten days of runs stand for thirty.
  assert.equal(costOf(prices, 0, [asked(10, 10_000)], now).requests.toFixed(3), '0.150')
  assert.equal(costOf(prices, 0, [], now).perMonth, 0)
})

test('the budget of a month: days until it is used up, if the vault grows on', () => {
  const grown = [100, 110, 120].map((size, i) => ({ at: daysAgo(20 - 10 * i), bytes: size * 1e9, objects: 1 }))
  const cost = vaultCost(prices, grown, [], now)
  // 2.76 now, and 0.023 a day.
  assert.equal(cost?.perMonth.toFixed(2), '2.76')
  assert.equal(cost?.daysToBudget?.toFixed(1), '97.4')
  assert.equal(vaultCost({ ...prices, budget: 1 }, grown, [], now)?.daysToBudget, 0)
  assert.equal(vaultCost(prices, grown.slice(2), [], now)?.daysToBudget, undefined)
  assert.equal(vaultCost(prices, [], [], now), undefined)
})
