import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readFailure } from './errors.ts'

test('gcs: a 404 is of the bucket only where the service says so, whatever the names are', () => {
  const failure = (message: string) => {
    const text = JSON.stringify({ error: { code: 404, message, errors: [{ message, reason: 'notFound' }] } })
    return readFailure({ status: 404, headers: new Headers(), text }).code
  }
  assert.equal(failure('The specified bucket does not exist.'), 'storage.missing-bucket')
  assert.equal(failure('No such object: my-bucket/the/bucket does not exist'), 'storage.not-found')
  assert.equal(failure('No such object: bucket/a'), 'storage.not-found')
})
