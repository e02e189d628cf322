import assert from 'node:assert/strict'
import { randomBytes, scryptSync } from 'node:crypto'
import { test } from 'node:test'
import { scryptKey } from './scrypt.ts'

test('keys are those of scrypt, whatever the cost', async () => {
  for (const [N, r, p] of [
    [32_768, 8, 1],
    [32_768, 8, 2],
    [32_768, 8, 5],
    [4096, 1, 3],
    [2048, 3, 4],
    // Too small, and too large, for two lanes at once.
    [16, 8, 4],
    [65_536, 8, 2],
  ] as const) {
    const [password, salt] = [randomBytes(12), randomBytes(64)]
    const wanted = scryptSync(password, salt, 64, { N, r, p, maxmem: 256 * N * r })
    assert.deepEqual(await scryptKey(password, salt, 64, { N, r, p }), wanted, `N ${N}, r ${r}, p ${p}`)
  }
})

test('the vector of RFC 7914 with sixteen lanes comes out', async () => {
  const key = await scryptKey(Buffer.from('password'), Buffer.from('NaCl'), 64, { N: 1024, r: 8, p: 16 })
  assert.equal(key.toString('hex').slice(0, 32), 'fdbabe1c9d3472007856e7190d01e9fe')
})
