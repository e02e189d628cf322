/** Azurite, which answers as Azure's blob service does. Starts empty but for one container. */
import { ContainerClient } from '@azure/storage-blob'
import { join } from 'node:path'
import type { AzureStorageSettings } from '../../src/model/settings.ts'
import { startServer } from './processes.ts'
import { BUCKET, plain } from './s3-servers.ts'

/** Why it cannot be tested here, if it cannot. */
export const noAzurite: string | undefined =
  process.env['HOLDFAST_TEST_AZURITE'] === undefined ? 'azurite is not there (HOLDFAST_TEST_AZURITE)' : undefined

/** Known to everybody: azurite's own. */
export const AZURITE_ACCOUNT = 'devstoreaccount1'
export const AZURITE_KEY = 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=='

export interface AzuriteServer {
  endpoint: string
  connectionString: string
  settings: AzureStorageSettings
  url: string
  env: Record<string, string>
  container: ContainerClient
  stop(): Promise<void>
}

export async function startAzurite(): Promise<AzuriteServer> {
  const main = join(process.env['HOLDFAST_TEST_AZURITE'] ?? '', 'node_modules/azurite/dist/src/blob/main.js')
  const server = await startServer((port, folder) => ({
    program: process.execPath,
    args: [
      main,
      '--blobHost',
      '127.0.0.1',
      '--blobPort',
      String(port),
      '--location',
      folder,
      '--silent',
      '--skipApiVersionCheck',
      '--disableTelemetry',
    ],
  }))
  const endpoint = `http://127.0.0.1:${server.port}/${AZURITE_ACCOUNT}`
  const connectionString = `DefaultEndpointsProtocol=http;AccountName=${AZURITE_ACCOUNT};AccountKey=${AZURITE_KEY};BlobEndpoint=${endpoint};`
  const container = new ContainerClient(connectionString, BUCKET)
  await container.create()
  return {
    endpoint,
    connectionString,
    container,
    settings: { type: 'azure', container: BUCKET, account: AZURITE_ACCOUNT, accountKey: plain(AZURITE_KEY), endpoint },
    url: `azure://${BUCKET}?account=${AZURITE_ACCOUNT}&endpoint=${endpoint}`,
    env: { AZURE_STORAGE_KEY: AZURITE_KEY },
    stop: () => server.stop(),
  }
}
