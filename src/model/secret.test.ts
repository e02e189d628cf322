import assert from 'node:assert/strict'
import { test } from 'node:test'
import { format, inspect } from 'node:util'
import { isAppError } from '../base/errors.ts'
import { redact } from '../base/redact.ts'
import { isSecret, lazySecret, literalSecret } from './secret.ts'

test('a secret shows its origin and never its text', async () => {
  const secret = literalSecret('s3same-open-1', 'holdfast.yaml:3')
  assert.equal(await secret.read(), 's3same-open-1')
  for (const shown of [
    inspect(secret, { showHidden: true, depth: 9 }),
    JSON.stringify({ secret }),
    format('%s', secret),
  ]) {
    assert.ok(!shown.includes('s3same-open-1'), shown)
    assert.match(shown, /\[secret from holdfast\.yaml:3\]/)
  }
  assert.ok(isSecret(secret))
  assert.ok(!isSecret({ origin: 'x', read: () => Promise.resolve('y') }))
})

test('a secret is read when it is wanted, once, and is redacted from then on', async () => {
  let reads = 0
  const secret = lazySecret('a test', () => {
    reads += 1
    return 'lazy-value-77'
  })
  assert.equal(reads, 0)
  assert.equal(redact('lazy-value-77'), 'lazy-value-77')
  await Promise.all([secret.read(), secret.read()])
  assert.equal(reads, 1)
  assert.equal(redact('it was lazy-value-77.'), 'it was [redacted].')
})

test('a failed read is tried again the next time', async () => {
  let ready = false
  const secret = lazySecret('a file that comes late', () => (ready ? 'late-value' : ''))
  await assert.rejects(secret.read(), (error) => isAppError(error, 'config.secret'))
  ready = true
  assert.equal(await secret.read(), 'late-value')
})
