/** fake-gcs-server, which answers as the JSON API of Google Cloud Storage does. Starts empty but for one bucket. */
import type { GcsStorageSettings } from '../../src/model/settings.ts'
import { startServer } from './processes.ts'
import { BUCKET } from './s3-servers.ts'

/** Why it cannot be tested here, if it cannot. */
export const noFakeGcs: string | undefined =
  process.env['HOLDFAST_TEST_FAKE_GCS'] === undefined
    ? 'fake-gcs-server is not there (HOLDFAST_TEST_FAKE_GCS)'
    : undefined

export interface GcsServer {
  endpoint: string
  settings: GcsStorageSettings
  url: string
  stop(): Promise<void>
}

export async function startFakeGcs(): Promise<GcsServer> {
  const server = await startServer((port) => ({
    program: process.env['HOLDFAST_TEST_FAKE_GCS'] ?? 'fake-gcs-server',
    args: [
      '-scheme',
      'http',
      '-host',
      '127.0.0.1',
      '-port',
      String(port),
      '-backend',
      'memory',
      '-external-url',
      `http://127.0.0.1:${port}`,
      '-log-level',
      'error',
    ],
  }))
  const endpoint = `http://127.0.0.1:${server.port}`
  const made = await fetch(`${endpoint}/storage/v1/b?project=test`, {
    method: 'POST',
    body: JSON.stringify({ name: BUCKET }),
  })
  if (!made.ok) throw new Error(`the bucket could not be made: ${await made.text()}`)
  return {
    endpoint,
    settings: { type: 'gcs', bucket: BUCKET, endpoint, uploadChunkSize: 8 * 1024 * 1024 },
    url: `gs://${BUCKET}?endpoint=${endpoint}`,
    stop: () => server.stop(),
  }
}
