import assert from 'node:assert/strict'
import { chmod, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { isAppError } from '../base/errors.ts'
import { rekeyFile } from './rekey.ts'
import { decryptSecret, ENCRYPTED, encryptSecret, kdfOf } from './secret-box.ts'

const folder = await mkdtemp(join(tmpdir(), 'holdfast-rekey-'))
after(() => rm(folder, { recursive: true }))
const from = { passphrase: 'old' }
const to = { passphrase: 'new' }

const fileText = (a: string, b: string) => `# the offsite vault
vaults:
  v:   { storage: ./v,   password: ${a} }   # odd  spacing stays
  w: { storage: ./w, passwordFile: pw }
jobs: {}
server: { catalogue: "postgres://u:\${enc:v1:${b.slice('enc:v1:'.length)}}@db/x" }
`

test('all enc: values of a file get a new key, and nothing else in it changes', async () => {
  const file = join(folder, 'holdfast.yaml')
  const link = join(folder, 'link.yaml')
  const [a, b] = [encryptSecret('one', { ...from, kdf: 'scrypt' }), encryptSecret('two', { ...from, kdf: 'argon2id' })]
  await writeFile(file, fileText(a, b))
  await chmod(file, 0o640)
  await symlink(file, link)
  assert.deepEqual(await rekeyFile(link, from, to), { values: 2 })
  const text = await readFile(file, 'utf8')
  const [newA = '', newB = ''] = text.match(ENCRYPTED) ?? []
  assert.equal(text, fileText(newA, newB))
  assert.deepEqual([decryptSecret(newA, to), decryptSecret(newB, to)], ['one', 'two'])
  assert.deepEqual([kdfOf(newA), kdfOf(newB)], ['scrypt', 'argon2id'])
  assert.equal((await stat(file)).mode & 0o777, 0o640)
  assert.deepEqual((await readdir(folder)).sort(), ['holdfast.yaml', 'link.yaml'])
})

test('a value that does not open leaves the file as it was', async () => {
  const file = join(folder, 'mixed.yaml')
  const before = fileText(
    encryptSecret('one', { ...from, kdf: 'scrypt' }),
    encryptSecret('two', { ...to, kdf: 'scrypt' }),
  )
  await writeFile(file, before)
  await assert.rejects(
    rekeyFile(file, from, to),
    (error) => isAppError(error, 'config.secret') && error.message.startsWith('line 6:'),
  )
  assert.equal(await readFile(file, 'utf8'), before)
})
