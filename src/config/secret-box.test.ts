import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { isAppError } from '../base/errors.ts'
import { decryptSecret, encryptSecret, isEncrypted, kdfOf, type Kdf } from './secret-box.ts'

const passphrase = 'correct horse battery staple'

for (const kdf of ['argon2id', 'scrypt'] satisfies Kdf[]) {
  test(`what ${kdf} encrypts opens with the same passphrase, and never looks the same twice`, () => {
    for (const plain of ['s3cret', '', 'žluť\nline two', 'x'.repeat(10_000)]) {
      const token = encryptSecret(plain, { passphrase, kdf })
      assert.match(token, /^enc:v1:[\w-]+$/)
      assert.equal(decryptSecret(token, { passphrase }), plain)
    }
    const [one, two] = [encryptSecret('same', { passphrase, kdf }), encryptSecret('same', { passphrase, kdf })]
    assert.notEqual(one, two)
    assert.equal(kdfOf(one), kdf)
    assert.ok(isEncrypted(one))
  })
}

test('a key file of any bytes opens what it encrypted', () => {
  const keyFile = randomBytes(48)
  const token = encryptSecret('by file', { keyFile })
  assert.equal(decryptSecret(token, { keyFile }), 'by file')
  assert.throws(() => decryptSecret(token, { keyFile: keyFile.subarray(1) }), /wrong passphrase or key file/)
})

test('a passphrase is the same however its accents are composed', () => {
  const token = encryptSecret('x', { passphrase: 'caf\u00e9', kdf: 'scrypt' })
  assert.equal(decryptSecret(token, { passphrase: 'cafe\u0301' }), 'x')
})

test('a wrong passphrase is told from a damaged value', () => {
  const token = encryptSecret('s3cret', { passphrase, kdf: 'scrypt' })
  assert.throws(
    () => decryptSecret(token, { passphrase: 'wrong' }),
    (error) => isAppError(error, 'config.secret') && /wrong passphrase/.test(error.message),
  )
  const bytes = Buffer.from(token.slice('enc:v1:'.length), 'base64url')
  for (let at = 0; at < bytes.length; at += 1) {
    const damaged = Buffer.from(bytes)
    damaged[at] = (damaged[at] ?? 0) ^ 1
    assert.throws(
      () => decryptSecret(`enc:v1:${damaged.toString('base64url')}`, { passphrase }),
      (error) => isAppError(error, 'config.secret') && /damaged/.test(error.message),
      `byte ${at}`,
    )
  }
  assert.throws(() => decryptSecret(token.slice(0, -3), { passphrase }), /damaged or cut off/)
  assert.throws(() => decryptSecret('enc:v1:', { passphrase }), /damaged or cut off/)
})
