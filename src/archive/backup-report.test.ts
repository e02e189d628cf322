import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openVault, request } from '../../test/support/archive.ts'
import type { Counters } from '../model/progress.ts'
import { backupReport } from './backup-report.ts'
import { memory } from '../storage/memory.ts'

test('a backup tells how far it is by the size of the last one, until it is larger', async () => {
  const vault = await openVault(memory())
  let day = 10
  const told = async (type: 'full' | 'incremental', files: number): Promise<Counters[]> => {
    const counters: Counters[] = []
    const tree = Object.fromEntries(Array.from({ length: files }, (_, n) => [`file ${n}`, `content of ${n}`]))
    await vault.backup(
      request(tree, {
        type,
        time: new Date(`2024-03-${day++}T00:00:00Z`),
        onProgress: (event) => {
          if (event.type === 'progress') counters.push(event.counters)
        },
      }),
    )
    return counters
  }
  const [first] = await told('full', 1)
  assert.equal(first?.filesTotal, undefined)
  const [second] = await told('full', 300)
  assert.equal(second?.filesTotal, 1)
  assert.equal(second.bytesTotal, 'content of 0'.length)
  const [third] = await told('incremental', 300)
  assert.equal(third?.filesTotal, 300)
})

test('the first figures come at once, also in a process that began this moment', () => {
  const counters: Counters[] = []
  const clock = performance.now
  performance.now = () => 1
  try {
    const report = backupReport({
      ...request({}),
      onProgress: (event) => {
        if (event.type === 'progress') counters.push(event.counters)
      },
    })
    report.tick()
    report.tick()
  } finally {
    performance.now = clock
  }
  assert.equal(counters.length, 1)
})
