import assert from 'node:assert/strict'
import { test } from 'node:test'
import { blockWriter } from './block-writer.ts'
import { codecPool } from './codec-pool.ts'
import { contents, openVault, request, wantedOf } from '../../test/support/archive.ts'
import { memory } from '../storage/memory.ts'

test('the memory of a block ends where its frame ends, however large the block is', async () => {
  const pool = codecPool(1)
  const out = blockWriter({ compression: { type: 'zstd', level: 3 }, pool })
  assert.equal(out.memory.length, out.blockSize)
  out.fail(new Error('not needed any more'))
  await pool.close()
})

test('content that ends anywhere near the end of a block comes back, and so does what follows it', async () => {
  const block = 2 * 1024 * 1024
  const sizes = [-1024, -513, -512, -1, 0, 1, 511, 4096, 70_000, 200_000, 262_144, 300_000].map((more) => block + more)
  for (const type of ['zstd', 'gzip', 'none', 'zip'] as const) {
    const vault = await openVault(memory(), { compression: { type } })
    for (const size of sizes.slice(type === 'zstd' ? 0 : 6, type === 'zstd' ? undefined : 10)) {
      const tree = { a: Buffer.alloc(size, 'some content '), b: 'what follows' }
      const { backup } = await vault.backup(request(tree))
      assert.deepEqual(await contents(vault, backup.id), wantedOf(tree), `${size} bytes, ${type}`)
    }
  }
})
