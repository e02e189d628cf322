import assert from 'node:assert/strict'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { isAppError } from '../base/errors.ts'
import { openStorage } from './open.ts'
import { parseStorageUrl } from './url.ts'

test('paths and file addresses are folders', () => {
  const paths = {
    '/srv/backups': '/srv/backups',
    './vault': './vault',
    'vault with space': 'vault with space',
    'file:/srv/backups': '/srv/backups',
    'file:./vault': './vault',
    'file:///srv/with%20space': '/srv/with space',
    'file:/srv/100%': '/srv/100%',
    '~/vault': join(homedir(), 'vault'),
    'a/b:c': 'a/b:c',
  }
  for (const [address, path] of Object.entries(paths))
    assert.deepEqual(parseStorageUrl(address), { type: 'file', path }, address)
})

test('an S3 address has all that is no secret', () => {
  assert.deepEqual(parseStorageUrl('s3://bucket'), { type: 's3', bucket: 'bucket' })
  assert.deepEqual(parseStorageUrl('s3://bucket/'), { type: 's3', bucket: 'bucket' })
  assert.deepEqual(
    parseStorageUrl(
      's3://bucket/a%20b/c?region=eu-central-1&endpoint=http://127.0.0.1:9000&forcePathStyle=true&storageClass=GLACIER' +
        '&serverSideEncryption=aws:kms&kmsKeyId=k&uploadPartSize=64m&uploadConcurrency=2&checksums=false&idleTimeout=2m',
    ),
    {
      type: 's3',
      bucket: 'bucket',
      prefix: 'a b/c',
      region: 'eu-central-1',
      endpoint: 'http://127.0.0.1:9000',
      forcePathStyle: true,
      storageClass: 'GLACIER',
      serverSideEncryption: 'aws:kms',
      kmsKeyId: 'k',
      uploadPartSize: 64 * 1024 * 1024,
      uploadConcurrency: 2,
      checksums: false,
      idleTimeoutMs: 120_000,
    },
  )
})

test('addresses of the other storages', () => {
  const cases: [string, object][] = [
    [
      'gs://bucket/a%20b?storageClass=NEARLINE&userProject=p',
      { type: 'gcs', bucket: 'bucket', prefix: 'a b', storageClass: 'NEARLINE', userProject: 'p' },
    ],
    [
      'azure://box/x?account=acc&accessTier=Cool&uploadBlockSize=4m',
      { type: 'azure', container: 'box', prefix: 'x', account: 'acc', accessTier: 'Cool', uploadBlockSize: 4_194_304 },
    ],
    [
      'sftp://me@host:2222/srv/b?verifyHost=false&permissions=0640',
      { type: 'sftp', host: 'host', port: 2222, user: 'me', path: '/srv/b', verifyHost: false, permissions: 0o640 },
    ],
    ['sftp://host/~/b', { type: 'sftp', host: 'host', path: 'b' }],
    ['sftp:me@host:/srv/b', { type: 'sftp', host: 'host', user: 'me', path: '/srv/b' }],
    ['sftp:host:b/c', { type: 'sftp', host: 'host', path: 'b/c' }],
    ['sftp://[::1]:22/b', { type: 'sftp', host: '::1', port: 22, path: '/b' }],
    [
      'webdavs://me@host/remote.php/dav?idleTimeout=1m',
      { type: 'webdav', url: 'https://host/remote.php/dav', user: 'me', idleTimeoutMs: 60_000 },
    ],
    ['webdav://host:8080/x', { type: 'webdav', url: 'http://host:8080/x' }],
    ['rclone:drive:backups/here', { type: 'rclone', remote: 'drive:backups/here' }],
    [
      'rclone::s3,provider=Minio:bucket?config=/etc/rclone.conf',
      { type: 'rclone', remote: ':s3,provider=Minio:bucket', config: '/etc/rclone.conf' },
    ],
  ]
  for (const [address, settings] of cases) assert.deepEqual(parseStorageUrl(address), settings, address)
})

test('a mistake is named, with what was meant', () => {
  const wrong: [string, RegExp][] = [
    ['s3://bucket?regoin=x', /did you mean region\?/],
    ['s3://bucket?forcepathstyle=true', /did you mean forcePathStyle\?/],
    ['s3://bucket?forcePathStyle=maybe', /true or .*false/],
    ['s3://bucket?endpoint=127.0.0.1:9000', /http:/],
    ['s3://bucket?uploadConcurrency=0', /above 0/],
    ['s3:///prefix', /s3:\/\/bucket\/prefix/],
    ['s3://key:secret@bucket', /not in the URL/],
    ['s3://bucket/%zz', /%25/],
    ['s4://bucket', /did you mean (s3|gs)\?/],
    ['gs://key@bucket', /credentialsFile/],
    ['azure://x?acount=y', /did you mean account\?/],
    ['sftp://me:secret@host/x', /key or an agent/],
    ['sftp://host', /user@host\/path/],
    ['webdavs://me:secret@host/x', /passwordFile/],
    ['rclone:nothing', /rclone:remote:path/],
    ['ftp://host/path', /Known are/],
    ['', /folder/],
    ['file://host/share', /./],
  ]
  for (const [address, hint] of wrong)
    assert.throws(
      () => parseStorageUrl(address),
      (error) => {
        assert.ok(isAppError(error, 'storage.invalid'), address)
        assert.match(error.hint, hint, address)
        assert.ok(!`${error.message} ${error.hint}`.includes('secret@'))
        return true
      },
    )
})

test('each kind of settings is opened, mirrors with their members', async () => {
  const mirror = await openStorage({
    type: 'mirror',
    strategy: 'all',
    members: [{ type: 'memory', name: 'url-test' }, parseStorageUrl('file:/nonexistent/vault')],
  })
  assert.equal(mirror.name, 'mirror(all: memory:url-test, file:/nonexistent/vault)')
  assert.equal((await openStorage('s3://bucket/x?region=eu-central-1')).name, 's3://bucket/x')
  assert.throws(() => parseStorageUrl('s3://b?uploadPartSize=large'))
  await assert.rejects(openStorage('s3://bucket?uploadPartSize=1m'), (error) => isAppError(error, 'storage.invalid'))
})
