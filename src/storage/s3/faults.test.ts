import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, afterEach, before, beforeEach, test } from 'node:test'
import { inspect } from 'node:util'
import { plain } from '../../../test/servers/s3-servers.ts'
import {
  s3Failure,
  startScripted,
  type Answer,
  type ScriptedServer,
  type Seen,
} from '../../../test/servers/scripted-s3.ts'
import { utf8, type Bytes } from '../../base/bytes.ts'
import { isAppError, type AppError, type ErrorCode } from '../../base/errors.ts'
import { collect, streamOf } from '../../base/streams.ts'
import type { S3StorageSettings } from '../../model/settings.ts'
import type { Storage } from '../../model/storage.ts'
import { listAll } from '../../operations/storage-promises.ts'
import { manualClock, type ManualClock } from '../../testing/manual-clock.ts'
import { s3 } from '../s3.ts'
import { withRetry } from '../with-retry.ts'

const MiB = 1024 * 1024
const retry = { attempts: 4, baseMs: 100, maxMs: 1000 }
let server: ScriptedServer
let clock: ManualClock
const opened: Storage[] = []

before(async () => {
  server = await startScripted()
})
after(() => server.stop())
beforeEach(() => {
  clock = manualClock()
})
afterEach(async () => {
  for (const storage of opened.splice(0)) await storage.close()
  server.script = () => undefined
  server.seen.length = 0
  server.objects.clear()
})

function open(more: Partial<S3StorageSettings> = {}): Storage {
  const storage = s3({ ...server.settings, ...more }, { retry, clock })
  opened.push(storage)
  return storage
}

const retrying = (storage: Storage): Storage => withRetry(storage, { ...retry, clock, driverRepeats: ['put', 'list'] })

/** Goes wrong on the first `times` requests of that operation. */
function failing(operation: string, answer: Answer | ((seen: Seen) => Answer), times = 1): void {
  let left = times
  server.script = (seen) => {
    if (seen.operation !== operation || left <= 0) return undefined
    left -= 1
    return typeof answer === 'function' ? answer(seen) : answer
  }
}

const twelve = randomBytes(12 * MiB)
const stream = (): AsyncIterable<Bytes> => streamOf(twelve.subarray(0, 7 * MiB), twelve.subarray(7 * MiB))
const count = (operation: string): number => server.operations().filter((seen) => seen === operation).length

async function errorOf(work: Promise<unknown>): Promise<AppError> {
  try {
    await work
  } catch (error) {
    assert.ok(isAppError(error), inspect(error))
    return error
  }
  return assert.fail('it succeeded')
}

test('503 SlowDown with Retry-After: the part waits as long as asked and is sent again', async () => {
  failing('UploadPart', s3Failure(503, 'SlowDown', '', { 'retry-after': '7' }))
  await open().put('a', stream())
  assert.ok(clock.slept >= 7000, `slept ${clock.slept} ms`)
  assert.equal(count('UploadPart'), 4)
  assert.equal(Buffer.compare(server.objects.get('/bucket/a')?.bytes ?? Buffer.alloc(0), twelve), 0)
})

test('a token that expires in the middle of an upload is read anew, once, and the upload goes on', async () => {
  let reads = 0
  const sessionToken = { origin: 'file', read: async () => `token-${(reads += 1)}` }
  server.script = ({ operation, headers }) =>
    operation === 'UploadPart' && headers['x-amz-security-token'] === 'token-1'
      ? s3Failure(400, 'ExpiredToken')
      : undefined
  await open({ sessionToken }).put('a', stream())
  assert.equal(reads, 2)
  assert.equal(Buffer.compare(server.objects.get('/bucket/a')?.bytes ?? Buffer.alloc(0), twelve), 0)
})

test('a token that stays expired is storage.expired after one more reading, and does not show', async () => {
  let reads = 0
  const secret = 'very-secret-session-token'
  const sessionToken = { origin: 'file', read: async () => ((reads += 1), secret) }
  server.script = () => s3Failure(400, 'ExpiredToken', `<Token-0>${secret}</Token-0>`)
  const error = await errorOf(open({ sessionToken }).put('a', utf8('x')))
  assert.equal(error.code, 'storage.expired')
  assert.equal(reads, 2)
  assert.ok(!inspect(error, { depth: 9, showHidden: true }).includes(secret))
})

test('a storm of 500 ends after the attempts, and the upload is abandoned', async () => {
  failing('UploadPart', s3Failure(500, 'InternalError'), Infinity)
  const error = await errorOf(open().put('a', stream()))
  assert.equal(error.code, 'storage.failed')
  assert.ok(count('UploadPart') >= retry.attempts)
  assert.ok(count('AbortMultipartUpload') >= 1)
  assert.equal(server.objects.size, 0)
})

test('a part that is refused for good is sent once', async () => {
  failing('UploadPart', s3Failure(403, 'AccessDenied'), Infinity)
  assert.equal((await errorOf(open({ uploadConcurrency: 1 }).put('a', stream()))).code, 'storage.denied')
  assert.equal(count('UploadPart'), 1)
  assert.equal(count('AbortMultipartUpload'), 1)
})

test('a connection that is reset while storing is tried again', async () => {
  failing('PutObject', { reset: true }, 2)
  await open().put('a', utf8('x'))
  assert.equal(count('PutObject'), 3)
})

test('a truncated body is storage.truncated, and with retries it is read on from there', async () => {
  const storage = open()
  await storage.put('a', twelve)
  failing('GetObject', { body: twelve, cutAfter: 2 * MiB })
  assert.equal((await errorOf(collect(storage.get('a')))).code, 'storage.truncated')
  failing('GetObject', { body: twelve, cutAfter: 2 * MiB })
  assert.equal(Buffer.compare(await collect(retrying(storage).get('a')), twelve), 0)
  assert.match(server.seen.at(-1)?.headers['range'] ?? '', /^bytes=\d{4,}-12582911$/)
})

test('a wrong checksum in the answer is storage.checksum', async () => {
  const storage = open()
  await storage.put('a', utf8('right'))
  assert.equal((await collect(storage.get('a'))).length, 5)
  failing('GetObject', { body: 'wrong', headers: { 'x-amz-checksum-crc32': 'AAAAAA==' } })
  const error = await errorOf(collect(storage.get('a')))
  assert.equal(error.code, 'storage.checksum')
  failing('GetObject', { body: 'wrong', headers: { 'x-amz-checksum-crc32': 'AAAAAA==' } })
  assert.equal((await collect(open({ checksums: false }).get('a'))).length, 5, 'not looked at when told so')
})

test('every body goes with its CRC32, of each part and of the whole', async () => {
  await open().put('small', utf8('123456789'))
  assert.equal(server.seen[0]?.headers['x-amz-checksum-crc32'], 'y/Q5Jg==')
  await open().put('large', stream())
  const parts = server.seen.filter(({ operation }) => operation === 'UploadPart')
  assert.ok(parts.length === 3 && parts.every(({ headers }) => headers['x-amz-checksum-crc32'] !== undefined))
  const complete = server.seen.find(({ operation }) => operation === 'CompleteMultipartUpload')
  assert.ok(complete?.headers['x-amz-checksum-crc32'])
  assert.equal(complete.headers['x-amz-checksum-type'], 'FULL_OBJECT')
  server.seen.length = 0
  await open({ checksums: false }).put('small', utf8('123456789'))
  assert.equal(server.seen[0]?.headers['x-amz-checksum-crc32'], undefined)
})

test('a server that never answers, or stops in the middle, is storage.unreachable after the idle time', async () => {
  const storage = open({ idleTimeoutMs: 400 })
  await storage.put('a', twelve)
  for (const answer of [{ stall: true }, { body: twelve, stallAfter: MiB }]) {
    failing('GetObject', answer)
    const started = performance.now()
    assert.equal((await errorOf(collect(storage.get('a')))).code, 'storage.unreachable')
    assert.ok(performance.now() - started < 5000)
  }
  failing('PutObject', { stall: true })
  await storage.put('b', utf8('x'))
  assert.equal(count('PutObject'), 2)
})

test('ifAbsent whose answer was lost knows its own object again; that of another is storage.exists', async () => {
  const storage = open()
  await storage.put('first', utf8('teaches that the server keeps If-None-Match'), { ifAbsent: true })
  assert.equal(storage.can.conditionalCreate, true)
  failing('PutObject', { lost: true })
  await storage.put('small', utf8('x'), { ifAbsent: true })
  failing('CompleteMultipartUpload', { lost: true })
  await storage.put('large', stream(), { ifAbsent: true })
  failing('CompleteMultipartUpload', { lost: true })
  await storage.put('large', stream())
  failing('PutObject', { reset: true })
  assert.equal((await errorOf(storage.put('small', utf8('x'), { ifAbsent: true }))).code, 'storage.exists')
})

test('a server that refuses or ignores If-None-Match is looked at first, and does not promise one winner', async () => {
  const refusing = open()
  server.script = ({ headers }) => (headers['if-none-match'] === '*' ? s3Failure(501, 'NotImplemented') : undefined)
  await refusing.put('a', utf8('x'), { ifAbsent: true })
  await refusing.put('b', stream(), { ifAbsent: true })
  const ignoring = open()
  server.script = (seen) => {
    delete seen.headers['if-none-match']
    return undefined
  }
  await ignoring.put('c', utf8('x'), { ifAbsent: true })
  for (const storage of [refusing, ignoring]) {
    assert.equal(storage.can.conditionalCreate, false)
    for (const key of ['a', 'b', 'c'])
      assert.equal((await errorOf(storage.put(key, utf8('y'), { ifAbsent: true }))).code, 'storage.exists')
  }
})

test('storage class and encryption go with every object; metadata stays warm', async () => {
  const more = { storageClass: 'STANDARD_IA', serverSideEncryption: 'aws:kms', kmsKeyId: 'key-1' } as const
  const storage = open(more)
  await storage.put('small', utf8('x'))
  await storage.put('large', stream())
  await storage.put('meta', utf8('x'), { storageClass: 'warm' })
  const heads = ['/bucket/small', '/bucket/large', '/bucket/meta'].map((path) => {
    const headers = server.objects.get(path)?.headers ?? {}
    return [
      headers['x-amz-storage-class'],
      headers['x-amz-server-side-encryption'],
      headers['x-amz-server-side-encryption-aws-kms-key-id'],
    ]
  })
  assert.deepEqual(heads, [
    ['STANDARD_IA', 'aws:kms', 'key-1'],
    ['STANDARD_IA', 'aws:kms', 'key-1'],
    [undefined, 'aws:kms', 'key-1'],
  ])
})

test('a small object goes past the SDK with the same headers, and its repetition through it', async () => {
  const more = { storageClass: 'STANDARD_IA', serverSideEncryption: 'aws:kms', kmsKeyId: 'key-1' } as const
  const storage = open({ ...more, requesterPays: true, sessionToken: plain('test-session') })
  failing('PutObject', s3Failure(503, 'SlowDown', '', { 'retry-after': '3' }))
  await storage.put("odd key/ü+!'()*", utf8('123456789'))
  assert.ok(clock.slept >= 3000)
  const [own, sdk] = server.seen.filter(({ operation }) => operation === 'PutObject')
  assert.ok(own && sdk)
  assert.deepEqual([own.headers['user-agent'], sdk.headers['user-agent']?.startsWith('aws-sdk-js')], [undefined, true])
  assert.deepEqual([own.path, own.body, own.query.size], [sdk.path, sdk.body, 0])
  const told = ({ headers }: Seen): Record<string, string | undefined> =>
    Object.fromEntries(
      Object.entries(headers).filter(
        ([name]) => /^(?:x-amz-|if-|content-length)/.test(name) && !/^x-amz-(?:date|user-agent)$/.test(name),
      ),
    )
  assert.deepEqual(told(own), told(sdk))
  assert.match(own.headers['authorization'] ?? '', /^AWS4-HMAC-SHA256 Credential=TESTKEY\//)
})

test('a page of a list that fails is asked for again, not the pages before', async () => {
  let pages = 0
  server.script = ({ operation, query }) => {
    if (operation !== 'ListObjectsV2') return undefined
    pages += 1
    const token = query.get('continuation-token')
    const more = token === null
    if (pages === 2) return { reset: true }
    const key = more ? 'a' : 'b'
    const next = more ? '<NextContinuationToken>next</NextContinuationToken>' : ''
    const entry = `<Contents><Key>${key}</Key><Size>1</Size><LastModified>2024-03-15T14:30:45Z</LastModified></Contents>`
    return { body: `<ListBucketResult><IsTruncated>${more}</IsTruncated>${next}${entry}</ListBucketResult>` }
  }
  const found = await listAll(open(), '')
  assert.deepEqual(
    found.map(({ key, size, modified }) => `${key} ${size} ${modified.toISOString()}`),
    ['a 1 2024-03-15T14:30:45.000Z', 'b 1 2024-03-15T14:30:45.000Z'],
  )
  assert.equal(pages, 3)
})

test('each refusal has its code, and says what to do', async () => {
  const cases: [Answer, ErrorCode, RegExp][] = [
    [s3Failure(404, 'NoSuchBucket'), 'storage.missing-bucket', /bucket/],
    [
      s3Failure(301, 'PermanentRedirect', '', { 'x-amz-bucket-region': 'eu-west-3' }),
      'storage.wrong-region',
      /eu-west-3/,
    ],
    [s3Failure(400, 'AuthorizationHeaderMalformed', '<Region>eu-west-3</Region>'), 'storage.wrong-region', /eu-west-3/],
    [s3Failure(403, 'AccessDenied'), 'storage.denied', /credentials/],
    [s3Failure(403, 'SignatureDoesNotMatch'), 'storage.denied', /secretAccessKey/],
    [s3Failure(403, 'InvalidAccessKeyId'), 'storage.denied', /accessKeyId/],
    [s3Failure(403, 'RequestTimeTooSkewed'), 'storage.denied', /clock/],
    [s3Failure(403, 'InvalidObjectState'), 'storage.unsupported', /cold/],
    [s3Failure(507, 'InsufficientStorage'), 'storage.full', /space/],
    [s3Failure(429, 'TooManyRequests'), 'storage.throttled', /slow/],
    [s3Failure(400, 'InvalidStorageClass'), 'storage.invalid', /settings/],
    [{ status: 403, body: '<html>a proxy says no</html>' }, 'storage.denied', /credentials/],
    [{ status: 404, body: '<html>no such page</html>' }, 'storage.unsupported', /endpoint/],
    [{ status: 502, body: '<html>bad gateway</html>' }, 'storage.failed', /message/],
    [{ reset: true }, 'storage.unreachable', /endpoint/],
  ]
  for (const [answer, code, hint] of cases) {
    server.script = () => answer
    for (const call of [
      async (storage: Storage) => storage.put('a', utf8('x')),
      async (storage: Storage) => collect(storage.get('a')),
      async (storage: Storage) => listAll(storage, ''),
      async (storage: Storage) => storage.remove('a'),
    ]) {
      const error = await errorOf(call(open()))
      assert.equal(error.code, code, error.message)
      assert.match(error.hint, hint)
      assert.match(error.message, /^cannot (store|read|list|remove) (a (in|from) )?s3:\/\/bucket: ./)
      assert.ok(!inspect(error, { depth: 9 }).includes('test-secret-key'))
    }
  }
})

test('an answer to HEAD says nothing; the reason is asked for', async () => {
  const because = (answer: Answer): ((seen: Seen) => Answer) => {
    const { body: _, ...head } = answer
    return ({ operation }) => (operation === 'HeadObject' ? head : answer)
  }
  for (const [answer, code] of [
    [s3Failure(404, 'NoSuchBucket'), 'storage.missing-bucket'],
    [s3Failure(400, 'ExpiredToken'), 'storage.expired'],
    [s3Failure(403, 'InvalidAccessKeyId'), 'storage.denied'],
  ] as const) {
    server.script = because(answer)
    assert.equal((await errorOf(open().stat('a'))).code, code)
  }
})

test('a closed port is storage.unreachable, no keys are storage.no-credentials', async () => {
  const endpoint = 'http://127.0.0.1:1'
  assert.equal((await errorOf(open({ endpoint }).stat('a'))).code, 'storage.unreachable')
  const nothing = {
    HOME: '/nonexistent',
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_SHARED_CREDENTIALS_FILE: '/nonexistent',
    AWS_CONFIG_FILE: '/nonexistent',
  }
  const kept = { ...process.env }
  Object.assign(process.env, nothing)
  for (const name of Object.keys(process.env))
    if (/^AWS_(ACCESS|SECRET|SESSION|PROFILE)/.test(name)) delete process.env[name]
  try {
    const bare = open({ accessKeyId: undefined, secretAccessKey: undefined })
    assert.equal((await errorOf(bare.stat('a'))).code, 'storage.no-credentials')
  } finally {
    Object.assign(process.env, kept)
  }
})

test('a prefix stands before every key, however it is written', async () => {
  for (const prefix of ['prod/db', '/prod/db/', 'prod/db/']) {
    const storage = open({ prefix, accessKeyId: plain('K'), secretAccessKey: plain('S') })
    await storage.put('a', utf8('x'))
    assert.equal(server.seen.at(-1)?.path, '/bucket/prod/db/a')
    assert.equal(storage.name, 's3://bucket/prod/db')
  }
})

test('requester pays: every request says so, and none does otherwise', async () => {
  const storage = open({ requesterPays: true })
  await storage.put('a', stream())
  await collect(storage.get('a'))
  await storage.stat('a')
  await listAll(storage, '')
  await storage.remove('a')
  assert.ok(server.seen.length >= 8)
  assert.ok(server.seen.every(({ headers }) => headers['x-amz-request-payer'] === 'requester'))
  server.seen.length = 0
  await open().put('b', utf8('x'))
  assert.ok(server.seen.every(({ headers }) => headers['x-amz-request-payer'] === undefined))
})
