import type { ContainerClient } from '@azure/storage-blob'
import { AppError } from '../../base/errors.ts'
import type { AzureStorageSettings, Secret } from '../../model/settings.ts'
import { optionalSdk } from '../optional-sdk.ts'
import { managedIdentity } from './identity.ts'

export type Sdk = typeof import('@azure/storage-blob')

/**
 * The container as the settings name it: connection string, account and key, SAS token, else the managed
 * identity. `again`: credentials that come from a file or a program are fetched anew.
 */
export async function openContainer(
  settings: Omit<AzureStorageSettings, 'type'>,
  again: boolean,
): Promise<ContainerClient> {
  const sdk = await optionalSdk(() => import('@azure/storage-blob'), 'Azure', '@azure/storage-blob@12')
  const options = { retryOptions: { maxTries: 1 }, keepAliveOptions: { enable: true } }
  const connection =
    (await secretText(settings.connectionString, again)) ??
    (own(settings) ? undefined : process.env['AZURE_STORAGE_CONNECTION_STRING'])
  if (connection !== undefined) return fromConnectionString(sdk, connection, settings.container, options)
  const account = settings.account ?? process.env['AZURE_STORAGE_ACCOUNT']
  if (account === undefined && settings.endpoint === undefined)
    throw new AppError('storage.invalid', `the storage azure://${settings.container} names no account`, {
      hint: 'Set account, or connectionString, of the azure storage; or AZURE_STORAGE_ACCOUNT.',
    })
  const endpoint = (settings.endpoint ?? `https://${account}.blob.core.windows.net`).replace(/\/$/, '')
  const sas =
    (await secretText(settings.sasToken, again)) ?? (own(settings) ? undefined : process.env['AZURE_STORAGE_SAS_TOKEN'])
  if (sas !== undefined) {
    const url = `${endpoint}/${settings.container}?${sas.replace(/^\?/, '')}`
    return new sdk.ContainerClient(url, sdk.newPipeline(new sdk.AnonymousCredential(), options))
  }
  const key = (await secretText(settings.accountKey, again)) ?? process.env['AZURE_STORAGE_KEY']
  const url = `${endpoint}/${settings.container}`
  if (key !== undefined && account !== undefined) {
    const credential = new sdk.StorageSharedKeyCredential(account, key)
    return new sdk.ContainerClient(url, sdk.newPipeline(credential, options))
  }
  const identity = managedIdentity(settings.clientId)
  return new sdk.ContainerClient(url, sdk.newPipeline(identity, options))
}

/** Names credentials itself: those of the environment belong to something else. */
const own = ({ accountKey, sasToken, connectionString }: Omit<AzureStorageSettings, 'type'>): boolean =>
  accountKey !== undefined || sasToken !== undefined || connectionString !== undefined

function fromConnectionString(sdk: Sdk, text: string, container: string, options: object): ContainerClient {
  try {
    return new sdk.ContainerClient(text, container, options)
  } catch {
    throw new AppError('storage.invalid', 'the connection string of the azure storage cannot be read', {
      hint: 'It looks like DefaultEndpointsProtocol=https;AccountName=…;AccountKey=…;EndpointSuffix=core.windows.net.',
    })
  }
}

async function secretText(secret: Secret | undefined, again: boolean): Promise<string | undefined> {
  return secret === undefined ? undefined : (await secret.read({ again })).trim()
}
