/** The S3 servers that the tests talk to; nobody here wrote them. Each starts empty but for the bucket `backups`. */
import { CreateBucketCommand, PutBucketVersioningCommand, S3Client } from '@aws-sdk/client-s3'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { S3StorageSettings, Secret } from '../../src/model/settings.ts'
import { startFaultProxy } from './fault-proxy.ts'
import { startServer } from './processes.ts'

export interface S3Server {
  endpoint: string
  settings: S3StorageSettings
  /** What another process needs to open the same bucket by a URL. */
  url: string
  env: Record<string, string>
  stop(): Promise<void>
}

export const BUCKET = 'backups'

/** Why versitygw cannot be tested here, if it cannot. */
export const noVersitygw: string | undefined =
  process.env['HOLDFAST_TEST_VERSITYGW'] === undefined ? 'versitygw is not there (HOLDFAST_TEST_VERSITYGW)' : undefined

/**
 * The same with a bucket that keeps what is replaced and deleted. versitygw tells the time at which a version was put
 * away in place of that at which it was made; the latter stands in its id (a ULID), and is put right on the way.
 */
export async function startVersioned(): Promise<S3Server> {
  const server = await startVersitygw({ versioned: true })
  const proxy = await startFaultProxy(server.endpoint)
  proxy.around = ({ path }, fault) => (/[?&]versions\b/.test(path) ? { change: mendTimes } : fault)
  return {
    ...server,
    endpoint: proxy.origin,
    settings: { ...server.settings, endpoint: proxy.origin },
    url: server.url.replace(server.endpoint, proxy.origin),
    async stop() {
      await proxy.stop()
      await server.stop()
    },
  }
}

function mendTimes(answer: { body: Buffer }): void {
  const mended = answer.body.toString().replaceAll(/<(Version|DeleteMarker)>.*?<\/\1>/gs, (entry) => {
    const id = /<VersionId>(\w+)<\/VersionId>/.exec(entry)?.[1] ?? ''
    const made = Array.from(id.slice(0, 10)).reduce((sum, char) => sum * 32 + ULID.indexOf(char), 0)
    const time = new Date(Math.floor(made / 1000) * 1000).toISOString()
    return entry.replace(/<LastModified>.*?<\/LastModified>/, `<LastModified>${time}</LastModified>`)
  })
  answer.body = Buffer.from(mended)
}

const ULID = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'

/** `versioned`: the bucket keeps what is replaced and deleted. `locking`: it has object lock too. `domain`: buckets are hosts below it. */
export async function startVersitygw({
  versioned = false,
  locking = false,
  domain,
}: { versioned?: boolean; locking?: boolean; domain?: string } = {}): Promise<S3Server> {
  const keys = { accessKeyId: 'holdfast', secretAccessKey: 'versitygw-secret-key' }
  const server = await startServer((port, folder) => {
    const [data, sidecar] = [join(folder, 'data'), join(folder, 'sidecar')]
    mkdirSync(data)
    mkdirSync(sidecar)
    const versions = join(folder, 'versions')
    mkdirSync(versions)
    return {
      program: process.env['HOLDFAST_TEST_VERSITYGW'] ?? 'versitygw',
      args: [
        '--port',
        `127.0.0.1:${port}`,
        '--quiet',
        '--keep-alive',
        ...(domain === undefined ? [] : ['--virtual-domain', `${domain}:${port}`]),
        'posix',
        '--sidecar',
        sidecar,
        ...(versioned || locking ? ['--versioning-dir', versions] : []),
        data,
      ],
      env: { ROOT_ACCESS_KEY: keys.accessKeyId, ROOT_SECRET_KEY: keys.secretAccessKey },
    }
  })
  return ready(server.port, keys, () => server.stop(), { versioned, locking })
}

/**
 * fauxqs, a server from npm. It keeps objects in memory, and takes any key of access.
 * (s3rver, the older one, answers the range of one byte with the whole object.)
 */
export async function startNpmServer(): Promise<S3Server> {
  const keys = { accessKeyId: 'holdfast', secretAccessKey: 'fauxqs-secret-key' }
  const script = join(import.meta.dirname, 'fauxqs-server.ts')
  const server = await startServer((port) => ({
    program: process.execPath,
    args: ['--disable-warning=ExperimentalWarning', script, String(port)],
  }))
  return ready(server.port, keys, () => server.stop())
}

/** What fauxqs does not do, by the names of the checks that it therefore cannot pass. */
export const FAUXQS_EXCEPTIONS: Record<string, string> = {
  list: 'fauxqs sorts keys by locale, not by bytes',
  keys: 'fauxqs sorts keys by locale, not by bytes',
  'killed-writer': 'fauxqs does not list unfinished uploads',
}

async function ready(
  port: number,
  keys: { accessKeyId: string; secretAccessKey: string },
  stop: () => Promise<void>,
  { versioned = false, locking = false } = {},
): Promise<S3Server> {
  const endpoint = `http://127.0.0.1:${port}`
  const client = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, credentials: keys })
  await client.send(new CreateBucketCommand({ Bucket: BUCKET, ...(locking && { ObjectLockEnabledForBucket: true }) }))
  if (versioned)
    await client.send(
      new PutBucketVersioningCommand({ Bucket: BUCKET, VersioningConfiguration: { Status: 'Enabled' } }),
    )
  client.destroy()
  const settings: S3StorageSettings = {
    type: 's3',
    bucket: BUCKET,
    endpoint,
    accessKeyId: plain(keys.accessKeyId),
    secretAccessKey: plain(keys.secretAccessKey),
    uploadPartSize: 5 * 1024 * 1024,
  }
  const url = `s3://${BUCKET}?endpoint=${endpoint}&uploadPartSize=5m`
  const env = { AWS_ACCESS_KEY_ID: keys.accessKeyId, AWS_SECRET_ACCESS_KEY: keys.secretAccessKey }
  return { endpoint, settings, url, env, stop }
}

export const plain = (text: string): Secret => ({ origin: 'test', read: async () => text })
