/** The S3 servers that the tests talk to; nobody here wrote them. Each starts empty but for the bucket `backups`. */
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { S3StorageSettings, Secret } from '../../src/model/settings.ts'
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

export async function startVersitygw(): Promise<S3Server> {
  const keys = { accessKeyId: 'holdfast', secretAccessKey: 'versitygw-secret-key' }
  const server = await startServer((port, folder) => {
    const [data, sidecar] = [join(folder, 'data'), join(folder, 'sidecar')]
    mkdirSync(data)
    mkdirSync(sidecar)
    return {
      program: process.env['HOLDFAST_TEST_VERSITYGW'] ?? 'versitygw',
      args: ['--port', `127.0.0.1:${port}`, '--quiet', '--keep-alive', 'posix', '--sidecar', sidecar, data],
      env: { ROOT_ACCESS_KEY: keys.accessKeyId, ROOT_SECRET_KEY: keys.secretAccessKey },
    }
  })
  return ready(server.port, keys, () => server.stop())
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
): Promise<S3Server> {
  const endpoint = `http://127.0.0.1:${port}`
  const client = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, credentials: keys })
  await client.send(new CreateBucketCommand({ Bucket: BUCKET }))
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
