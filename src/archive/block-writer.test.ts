import assert from 'node:assert/strict'
import { test } from 'node:test'
import { blockWriter } from './block-writer.ts'
import { codecPool } from './codec-pool.ts'

test('the memory of a block ends where its frame ends, however large the block is', async () => {
  const pool = codecPool(1)
  const out = blockWriter({ compression: { type: 'zstd', level: 3 }, pool })
  assert.equal(out.memory.length, out.blockSize)
  out.fail(new Error('not needed any more'))
  await pool.close()
})
