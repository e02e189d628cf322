import assert from 'node:assert/strict'
import { test } from 'node:test'
import { newTotpSecret, stepOf, totpCode, totpStep } from './totp.ts'

/** `12345678901234567890`, the key of RFC 6238's table. */
const RFC = 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ'

test('codes are those of the table of RFC 6238', () => {
  const table: [number, string][] = [
    [59, '94287082'],
    [1_111_111_109, '07081804'],
    [1_111_111_111, '14050471'],
    [1_234_567_890, '89005924'],
    [2_000_000_000, '69279037'],
    [20_000_000_000, '65353130'],
  ]
  for (const [seconds, code] of table) assert.equal(totpCode(RFC, Math.floor(seconds / 30), 8), code)
})

test('a code counts for its half minute and the two beside it, and once', () => {
  const secret = newTotpSecret()
  const now = new Date('2026-05-01T12:00:10Z')
  const step = stepOf(now)
  const code = totpCode(secret, step)
  assert.equal(totpStep(secret, code, now), step)
  assert.equal(totpStep(secret, `${code.slice(0, 3)} ${code.slice(3)}`, now), step)
  assert.equal(totpStep(secret, code, new Date(now.getTime() + 30_000)), step)
  assert.equal(totpStep(secret, code, new Date(now.getTime() - 30_000)), step)
  assert.equal(totpStep(secret, code, new Date(now.getTime() + 90_000)), undefined)
  assert.equal(totpStep(secret, code, now, step), undefined, 'a second time')
  assert.equal(totpStep(secret, 'abcdef', now), undefined)
})
