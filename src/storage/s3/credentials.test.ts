/** Where a bucket is looked for, and where credentials come from that nobody configured. */
import assert from 'node:assert/strict'
import dns from 'node:dns'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test, type TestContext } from 'node:test'
import { startAwsServices, type AwsServices } from '../../../test/servers/aws-services.ts'
import { BUCKET, noVersitygw, startVersitygw } from '../../../test/servers/s3-servers.ts'
import { s3Failure, startScripted, type ScriptedServer } from '../../../test/servers/scripted-s3.ts'
import { utf8 } from '../../base/bytes.ts'
import { isAppError } from '../../base/errors.ts'
import { collect } from '../../base/streams.ts'
import type { S3StorageSettings } from '../../model/settings.ts'
import { listAll } from '../../operations/storage-promises.ts'
import { s3 } from '../s3.ts'

/** Sets variables for one test; what else names credentials is taken away. */
function environment(t: TestContext, values: Record<string, string>): void {
  const before = { ...process.env }
  for (const name of Object.keys(process.env)) if (name.startsWith('AWS_')) delete process.env[name]
  Object.assign(process.env, {
    AWS_SHARED_CREDENTIALS_FILE: '/nonexistent',
    AWS_CONFIG_FILE: '/nonexistent',
    ...values,
  })
  t.after(() => {
    for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name]
    Object.assign(process.env, before)
  })
}

describe('S3 without keys in the settings', () => {
  let server: ScriptedServer
  let services: AwsServices
  let settings: S3StorageSettings
  before(async () => {
    server = await startScripted()
    services = await startAwsServices({ accessKeyId: 'AKIAOFTHEROLE', secretAccessKey: 'secret-of-the-role' })
    const { accessKeyId: _, secretAccessKey: __, ...rest } = server.settings
    settings = rest
  })
  after(async () => {
    await services.stop()
    await server.stop()
  })

  async function works(): Promise<void> {
    const storage = s3(settings)
    await storage.put('by-role', utf8('x'))
    await storage.close()
    const { headers } = server.seen.at(-1) ?? assert.fail()
    assert.match(headers['authorization'] ?? '', /Credential=AKIAOFTHEROLE\//)
    assert.equal(headers['x-amz-security-token'], 'session-token')
  }

  test('S3: the role of the machine gives credentials, by version 2 of its metadata service', async (t) => {
    environment(t, { AWS_EC2_METADATA_SERVICE_ENDPOINT: services.origin })
    services.seen.length = 0
    await works()
    assert.equal(services.seen[0], 'PUT /latest/api/token')
    assert.ok(services.seen.some((one) => one.endsWith('/security-credentials/backup-role')))
  })

  test('S3: the web identity of a pod gives credentials, its token is read from the file anew', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'holdfast-identity-'))
    t.after(() => rmSync(folder, { recursive: true }))
    const file = join(folder, 'token')
    writeFileSync(file, 'token-of-the-pod', { mode: 0o600 })
    environment(t, {
      AWS_WEB_IDENTITY_TOKEN_FILE: file,
      AWS_ROLE_ARN: 'arn:aws:iam::1:role/backup',
      AWS_REGION: 'us-east-1',
      AWS_ENDPOINT_URL_STS: services.origin,
    })
    services.seen.length = 0
    await works()
    assert.deepEqual(new Set(services.seen), new Set(['AssumeRoleWithWebIdentity']))
    writeFileSync(file, 'a token that nobody knows')
    await assert.rejects(works(), (error) => {
      assert.ok(isAppError(error, 'storage.no-credentials', 'storage.denied'), String(error))
      assert.ok(!String(error).includes('nobody knows'))
      return true
    })
  })

  test('S3: credentials of a role that expire are fetched again, in the middle of the work', async (t) => {
    environment(t, { AWS_EC2_METADATA_SERVICE_ENDPOINT: services.origin })
    services.seen.length = 0
    services.expires = () => new Date(Date.now() + 2000)
    const storage = s3(settings, { retry: { attempts: 3, baseMs: 10, maxMs: 50 } })
    await storage.put('first', utf8('x'))
    const asked = services.seen.length
    let refused = 0
    t.after(() => (server.script = () => undefined))
    server.script = () => ((refused += 1) === 1 ? s3Failure(400, 'ExpiredToken') : undefined)
    await storage.put('second', utf8('x'))
    assert.ok(services.seen.length > asked, 'the service was asked again')
    await storage.close()
  })
})

test('driver:s3-versitygw: a bucket that is a host of its own, as at AWS', { skip: noVersitygw }, async (t) => {
  // Names of hosts that this test makes up lead here.
  const lookup = dns.lookup
  t.after(() => void (dns.lookup = lookup))
  const hosts: string[] = []
  dns.lookup = ((host: string, options: object, done: (...answer: unknown[]) => void) => {
    if (!host.endsWith('.holdfast.test')) return lookup(host, options, done as never)
    hosts.push(host)
    return done(null, 'all' in options && options.all === true ? [{ address: '127.0.0.1', family: 4 }] : '127.0.0.1', 4)
  }) as typeof dns.lookup
  const server = await startVersitygw({ domain: 's3.holdfast.test' })
  t.after(() => server.stop())
  const { port } = new URL(server.endpoint)
  const endpoint = `http://s3.holdfast.test:${port}`
  const storage = s3({ ...server.settings, endpoint, forcePathStyle: false, prefix: 'deep/er' })
  await storage.put('a b/ü+%', utf8('virtual'))
  assert.equal(Buffer.from(await collect(storage.get('a b/ü+%'))).toString(), 'virtual')
  assert.deepEqual(
    (await listAll(storage, '')).map(({ key }) => key),
    ['a b/ü+%'],
  )
  assert.deepEqual([...new Set(hosts)], [`${BUCKET}.s3.holdfast.test`])
  await storage.close()
  // The same object by the path.
  const byPath = s3({ ...server.settings, prefix: 'deep/er' })
  assert.equal(Buffer.from(await collect(byPath.get('a b/ü+%'))).toString(), 'virtual')
  await byPath.close()
})
