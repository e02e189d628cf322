import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Usage } from '../model/usage.ts'
import { daysToFull, growthPerDay } from './forecast.ts'

const day = (n: number, bytes: number, free?: number): Usage => ({
  at: new Date(Date.UTC(2027, 0, 1 + n)),
  bytes,
  objects: 1,
  ...(free !== undefined && { free }),
})

test('growth is the slope of what was measured, whatever the days between', () => {
  assert.equal(growthPerDay([day(0, 100)]), undefined)
  assert.equal(growthPerDay([day(0, 100), day(1, 150), day(4, 300)]), 50)
  const uneven = growthPerDay([day(0, 100), day(1, 140), day(2, 210), day(3, 250)])
  assert.ok(uneven !== undefined && Math.abs(uneven - 52) < 1e-9)
})

test('what is full first, the limit or the disk, tells the days that are left', () => {
  const measured = [day(0, 100, 1000), day(10, 600, 500)]
  assert.equal(daysToFull(measured), 10)
  assert.equal(daysToFull(measured, 800), 4)
  assert.equal(daysToFull(measured, 600), 0)
  assert.equal(daysToFull([day(0, 600, 10), day(10, 100, 510)]), undefined, 'it shrinks')
  assert.equal(daysToFull([day(0, 1), day(10, 2)]), undefined, 'nothing bounds it')
})
