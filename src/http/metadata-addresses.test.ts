import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isAppError } from '../base/errors.ts'
import { refuseMetadata } from './metadata-addresses.ts'

test('places where a cloud tells its secrets are refused, however they are written', async () => {
  const bad: unknown[] = [
    { storage: { type: 's3', bucket: 'x', endpoint: 'http://169.254.169.254' } },
    { storage: 's3://bucket/prefix?endpoint=http%3A%2F%2F169.254.169.254%3A80' },
    { type: 'webhook', url: 'http://169.254.169.254/latest/meta-data/' },
    { type: 'webhook', url: 'http://[fe80::1]/' },
    { type: 'webhook', url: 'http://[fd00:ec2::254]/' },
    { type: 'webhook', url: 'http://[::ffff:169.254.169.254]/' },
    { type: 'webhook', url: 'http://metadata.google.internal/computeMetadata/v1/' },
    // The same number, written otherwise.
    { type: 'webhook', url: 'http://2852039166/' },
    { type: 'webhook', url: 'http://0xa9fea9fe/' },
    { source: { type: 'postgres', host: '169.254.1.1' } },
    { members: [{ storage: 'webdav://169.254.169.254/x' }] },
  ]
  for (const value of bad)
    await assert.rejects(refuseMetadata(value), (error) => isAppError(error, 'request.invalid'), JSON.stringify(value))
})

test('other places are not', async () => {
  await refuseMetadata({
    storage: { type: 's3', bucket: '169.254.169.254', endpoint: 'http://127.0.0.1:9000' },
    host: '10.0.0.1',
    url: 'http://[::1]:3000/x',
    path: '/srv/169.254.169.254',
    more: 'file:/srv',
  })
})
