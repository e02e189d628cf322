import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isAppError } from '../base/errors.ts'
import { optionalSdk } from './optional-sdk.ts'

test('a package that is not installed is named, with the command that installs it', async () => {
  const name = '@holdfast-test/no-such-package'
  const loading = optionalSdk(() => import(name), 'This storage', `${name}@12`)
  await assert.rejects(loading, (error) => {
    assert.ok(isAppError(error, 'storage.unsupported'))
    assert.match(
      error.message,
      /This storage needs the package @holdfast-test\/no-such-package, which is not installed/,
    )
    assert.match(error.hint, /npm install @holdfast-test\/no-such-package@12/)
    return true
  })
})

test('a package that is there and fails to load fails as itself', async () => {
  const broken = optionalSdk(async () => Promise.reject(new Error('broken inside')), 'This storage', 'x@1')
  await assert.rejects(broken, /broken inside/)
})
