import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nearest, showPath } from './key-path.ts'
import { configSchema } from './schema.ts'
import { hasTrait, knownKeys, schemasAt, secretNames, valueOfText } from './walk.ts'

const at = (path: string[], tree?: unknown) => schemasAt(configSchema, path, tree)

test('the nearest word is the one with the fewest edits', () => {
  assert.equal(nearest('buckte', ['prefix', 'bucket', 'region']), 'bucket')
  assert.equal(nearest('datadir', ['listen', 'dataDir']), 'dataDir')
  assert.equal(nearest('x', []), undefined)
})

test('a path is shown as people write it', () => {
  assert.equal(showPath(['jobs', 'my job', 'vaults', 0]), 'jobs."my job".vaults[0]')
})

test('the type of a value chooses which of several shapes it has', () => {
  const storage = (type: string) => at(['vaults', 'v', 'storage'], { vaults: { v: { storage: { type } } } })
  assert.deepEqual(knownKeys(storage('file'), { type: 'file' }), [
    'type',
    'path',
    'permissions',
    'directoryPermissions',
  ])
  assert.ok(knownKeys(storage('s3'), { type: 's3' }).includes('bucket'))
  assert.ok(knownKeys(storage('nonsense'), {}).includes('container'))
})

test('every secret has a File and a Command form', () => {
  const names = secretNames([configSchema])
  for (const name of ['password', 'key', 'secretAccessKey', 'token', 'url', 'identity', 'connectionString']) {
    assert.ok(names.has(name), name)
  }
  const keys = knownKeys(at(['vaults', 'v']))
  for (const key of ['password', 'passwordFile', 'passwordCommand', 'keyFile']) assert.ok(keys.includes(key), key)
  assert.ok(hasTrait(at(['vaults', 'v', 'password']), 'secret'))
  assert.ok(!hasTrait(at(['vaults', 'v', 'passwordFile']), 'secret'))
})

test('a text becomes what its key takes', () => {
  assert.equal(valueOfText(at(['log', 'maxFiles']), '7'), 7)
  assert.equal(valueOfText(at(['log', 'maxSize']), '7'), 7)
  assert.equal(valueOfText(at(['log', 'maxSize']), '7m'), '7m')
  assert.equal(valueOfText(at(['jobs', 'j', 'enabled']), 'off'), false)
  assert.equal(valueOfText(at(['vaults', 'v', 'password']), '123'), '123')
  assert.deepEqual(valueOfText(at(['jobs', 'j', 'tags']), 'a, b'), ['a', 'b'])
  assert.deepEqual(valueOfText(at(['jobs', 'j', 'tags']), '["a,b"]'), ['a,b'])
  assert.equal(valueOfText(at(['jobs', 'j', 'hooks', 'before']), 'echo a, b'), 'echo a, b')
  assert.equal(valueOfText(at(['version']), '1'), 1)
})
