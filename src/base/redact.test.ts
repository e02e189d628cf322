import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AppError } from './errors.ts'
import { isSecretKey, redact, REDACTED, redactValue, registerSecret } from './redact.ts'

const secret = 'p4$$ "wörd" /+&'
registerSecret(secret)

test('a known secret is found in every form in which it may come back', () => {
  const forms = [
    secret,
    `  ${secret}\n`,
    encodeURIComponent(secret),
    JSON.stringify({ inner: secret }),
    Buffer.from(secret).toString('base64'),
  ]
  for (const form of forms) {
    const out = redact(`before ${form} after`)
    assert.ok(out.includes(REDACTED), out)
    for (const part of ['wörd', 'w%C3%B6rd', Buffer.from(secret).toString('base64')])
      assert.ok(!out.includes(part), out)
  }
})

test('the lines of a secret with several lines are secrets too', () => {
  registerSecret('first-line-xyz\nsecond-line-xyz')
  assert.equal(redact('… second-line-xyz …'), `… ${REDACTED} …`)
})

test('a short secret is found as a word, and does not black out other words', () => {
  registerSecret('abc')
  assert.equal(redact('abc abcdef x=abc;'), `${REDACTED} abcdef x=${REDACTED};`)
})

test('what looks like a secret is one', () => {
  const seen: [string, string][] = [
    ['postgres://user:hunter2x@db/shop', 'postgres://user:[redacted]@db/shop'],
    ['redis://:hunter2x@cache', 'redis://:[redacted]@cache'],
    ['https://ghp_0123456789abcdef@github.com/x', 'https://[redacted]@github.com/x'],
    ['Authorization: Bearer hunter2x.yy', 'Authorization: Bearer [redacted]'],
    ['--password=hunter2x --user=me', '--password=[redacted] --user=me'],
    ['{"secretAccessKey": "hunter2x"}', '{"secretAccessKey": [redacted]}'],
    ['PGPASSWORD=hunter2x pg_dump', 'PGPASSWORD=[redacted] pg_dump'],
    ['https://b.s3/x?X-Amz-Signature=0a1b&x=1', 'https://b.s3/x?X-Amz-Signature=[redacted]&x=1'],
    ['-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----', '[redacted]'],
    ['AGE-SECRET-KEY-1QQPQYHUNTER', '[redacted]'],
  ]
  for (const [text, expected] of seen) assert.equal(redact(text), expected)
})

test('ordinary text stays as it is', () => {
  const texts = [
    'wrong password for vault offsite',
    'http://127.0.0.1:9000/bucket',
    'https://example.org/@user',
    'user@example.org wrote to ops@example.org',
    'the token was refused',
    's3://bucket/prefix?region=eu-central-1&endpoint=http://127.0.0.1:9000',
  ]
  for (const text of texts) assert.equal(redact(text), text)
})

test('keys that hold secrets are known in any spelling, and keys of files and counts are none', () => {
  for (const key of [
    'password',
    'SMTP_PASS',
    'secretAccessKey',
    'x-api-key',
    'sessionToken',
    'Authorization',
    'db.passwd',
  ]) {
    assert.ok(isSecretKey(key), key)
  }
  for (const key of ['passwordFile', 'key', 'objectKey', 'tokens', 'author', 'passed'])
    assert.ok(!isSecretKey(key), key)
})

test('a value is copied without its secrets, through lists, maps, errors and their causes', () => {
  const cause = new AppError('storage.denied', `refused ${secret}`, { details: { password: 'other', path: '/x' } })
  const error = new Error(`failed with ${secret}`, { cause })
  const cyclic: Record<string, unknown> = {
    list: [secret, 1, true, null],
    map: new Map([['k', secret]]),
    set: new Set([secret]),
  }
  cyclic['self'] = cyclic
  cyclic['error'] = error
  cyclic['bytes'] = Buffer.from(secret)
  cyclic['token'] = 'short'
  cyclic['passwords'] = 3
  cyclic['at'] = new Date(0)
  cyclic['big'] = 10n
  const text = JSON.stringify(redactValue(cyclic))
  for (const part of ['wörd', 'other', '"short"']) assert.ok(!text.includes(part), text)
  const copy = redactValue(cyclic) as Record<string, unknown>
  assert.equal(copy['self'], '[circular]')
  assert.equal(copy['at'], '1970-01-01T00:00:00.000Z')
  assert.equal(copy['big'], '10')
  assert.deepEqual(copy['list'], [REDACTED, 1, true, null])
  const cleaned = copy['error'] as { message: string; cause: { code: string; message: string; details: unknown } }
  assert.equal(cleaned.message, `failed with ${REDACTED}`)
  assert.deepEqual([cleaned.cause.code, cleaned.cause.message], ['storage.denied', `refused ${REDACTED}`])
  assert.deepEqual(cleaned.cause.details, { password: REDACTED, path: '/x' })
})

test('redacting long lines of punctuation takes no long time', () => {
  const started = performance.now()
  for (const text of [
    'a://'.repeat(50_000),
    `${'x'.repeat(200_000)}:`,
    'password='.repeat(20_000),
    '-----BEGIN '.repeat(20_000),
  ])
    redact(text)
  assert.ok(performance.now() - started < 3000)
})
