import assert from 'node:assert/strict'
import { readdirSync, readlinkSync } from 'node:fs'
import { test } from 'node:test'
import { heldBytes, joinedBytes, windowOver } from './held-bytes.ts'

const bytesOf = (from: number, count: number): Buffer =>
  Buffer.from(Array.from({ length: count }, (_, at) => from + at))
/** Files without a name that this process holds open. */
const unnamed = (): number =>
  readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return /\/holdfast-[0-9a-f]{16} \(deleted\)$/.test(readlinkSync(`/proc/self/fd/${fd}`))
    } catch {
      return false
    }
  }).length

test('bytes are the same in memory, in a file, and across both', () => {
  for (const most of [100, 10, 0]) {
    const held = heldBytes(most)
    for (let at = 0; at < 60; at += 6) held.append(bytesOf(at, 6))
    assert.equal(held.length, 60)
    assert.deepEqual([...held.subarray(0, 60)], [...bytesOf(0, 60)])
    assert.deepEqual([...held.subarray(11, 14)], [11, 12, 13])
    held.append(bytesOf(60, 4))
    assert.deepEqual([...held.subarray(58, 999)], [58, 59, 60, 61, 62, 63])
    const window = windowOver(held)
    assert.deepEqual([...window(3, 5)], [3, 4])
    assert.deepEqual([...window(40, 42)], [40, 41])
    held.close()
    assert.throws(() => held.subarray(0, 1))
  }
})

test('a file of many bytes has no name, and is gone once it is closed', { skip: process.platform !== 'linux' }, () => {
  const held = heldBytes(10)
  held.append(bytesOf(0, 10))
  assert.equal(unnamed(), 0)
  held.append(bytesOf(10, 10))
  assert.equal(unnamed(), 1)
  held.close()
  assert.equal(unnamed(), 0)
})

test('joined bytes are read over their borders', () => {
  const held = heldBytes(1)
  held.append(bytesOf(3, 5))
  const all = joinedBytes([bytesOf(0, 3), held, bytesOf(8, 2)])
  assert.equal(all.length, 10)
  assert.deepEqual([...all.subarray(2, 9)], [2, 3, 4, 5, 6, 7, 8])
  assert.deepEqual([...all.subarray(4, 5)], [4])
  all.close?.()
})
