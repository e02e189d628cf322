import assert from 'node:assert/strict'
import { test } from 'node:test'
import { utf8 } from '../../base/bytes.ts'
import { escapedPath, signer } from './signature.ts'

test('the signature of the PUT in the documentation of Amazon comes out', () => {
  const headers = {
    date: 'Fri, 24 May 2013 00:00:00 GMT',
    host: 'examplebucket.s3.amazonaws.com',
    'x-amz-storage-class': 'REDUCED_REDUNDANCY',
  }
  const path = escapedPath('/test$file.text')
  const keys = {
    accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
    secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
  }
  const sign = signer('us-east-1')
  const request = { method: 'PUT', path, headers, body: utf8('Welcome to Amazon S3.') }
  const signed = sign(request, keys, new Date('2013-05-24T00:00:00Z'))
  assert.equal(
    signed['authorization'],
    'AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, SignedHeaders=date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class, Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
  )
  // The key is made anew for another day, and for another secret.
  const next = sign(request, keys, new Date('2013-05-25T00:00:00Z'))['authorization']
  const other = sign(request, { ...keys, secretAccessKey: 'another' }, new Date('2013-05-24T00:00:00Z'))
  assert.equal(new Set([signed['authorization'], next, other['authorization']]).size, 3)
  assert.equal(sign({ ...request }, keys, new Date('2013-05-24T00:00:00Z'))['authorization'], signed['authorization'])
})

test('what a key may hold is escaped as signatures want it', () => {
  assert.equal(escapedPath("/a b/ü+%20!'()*/~-._"), '/a%20b/%C3%BC%2B%2520%21%27%28%29%2A/~-._')
})
