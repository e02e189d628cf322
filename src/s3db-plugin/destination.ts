/** A destination of the options as a vault: where it lies, how objects are named, and how a copy is told of. */
import { isAbsolute, resolve } from 'node:path'
import type { VaultOpening } from '../app.ts'
import type { Backup } from '../model/backup.ts'
import { literalSecret } from '../model/secret.ts'
import type { EncryptionSettings, S3StorageSettings } from '../model/settings.ts'
import { clientStorage } from '../sources/s3db/client-storage.ts'
import { kindOf, type ObjectClient } from '../sources/s3db/object-client.ts'
import { optionError } from './errors.ts'
import type { CompressionType, DestinationOptions, DriverInfo, EncryptionOptions, S3Config } from './types.ts'

export interface Destination {
  readonly driver: 'filesystem' | 's3'
  /** Of the vault: its address. */
  readonly name: string
  readonly opening: VaultOpening
  /** Bytes cannot be read back at once: they are not looked at again after a backup. */
  readonly cold: boolean
  /** Keys of the database that are backups and so no part of it. */
  readonly inDatabase: string | undefined
  info(backup: Backup): DriverInfo
}

const S3_PATH = 'backups/{date}/'
const COLD = ['GLACIER', 'DEEP_ARCHIVE']
/** Such clients take an object as a whole. */
const CLIENT_PART = 32 * 1024 * 1024

export function destination(
  options: DestinationOptions,
  database: ObjectClient,
  how: { compression: CompressionType; encryption: EncryptionOptions | null },
): Destination {
  const opening: VaultOpening = {
    compression: { type: options.config.compression ?? how.compression },
    ...(how.encryption !== null && { encryption: encryptionOf(how.encryption) }),
  }
  return options.driver === 'filesystem'
    ? filesystem(options.config, opening)
    : inBucket(options.config, database, opening)
}

function filesystem(
  { path, permissions, directoryPermissions }: Extract<DestinationOptions, { driver: 'filesystem' }>['config'],
  opening: VaultOpening,
): Destination {
  const { root, template } = split(path)
  const folder = resolve(root === '' && !isAbsolute(path) ? '.' : root || '/')
  return {
    driver: 'filesystem',
    name: folder,
    cold: false,
    inDatabase: undefined,
    opening: {
      ...opening,
      path: template,
      storage: {
        type: 'file',
        path: folder,
        ...(permissions !== undefined && { permissions }),
        ...(directoryPermissions !== undefined && { directoryPermissions }),
      },
    },
    info: (backup) => {
      const [manifest = '', archive = ''] = backup.objects ?? []
      return { ...told('filesystem', backup), path: `${folder}/${archive}`, manifestPath: `${folder}/${manifest}` }
    },
  }
}

function inBucket(config: S3Config, database: ObjectClient, opening: VaultOpening): Destination {
  const { root: prefix, template } = split(config.path ?? S3_PATH)
  const client = config.client ?? (config.endpoint === undefined && !config.accessKeyId ? database : undefined)
  const theirs = client !== undefined && isObjectClient(client) ? client : undefined
  const kind = theirs && kindOf(theirs)
  if (theirs !== undefined && kind !== 'network' && (config.client !== undefined || config.bucket === undefined))
    return throughClient(config, theirs, theirs === database, prefix, template, opening)
  const storage = s3Settings(config, kind === 'network' ? theirs : undefined, prefix)
  const inDatabase = withinDatabase(storage, database)
  const { bucket, storageClass } = storage
  return {
    driver: 's3',
    name: `s3://${bucket}${prefix === '' ? '' : `/${prefix}`}`,
    cold: storageClass !== undefined && COLD.includes(storageClass),
    inDatabase,
    opening: { ...opening, path: template, storage },
    info: (backup) => {
      const [manifest = '', archive = ''] = (backup.objects ?? []).map((key) => join(prefix, key))
      const manifestKey = { manifestKey: manifest, manifestPath: `s3://${bucket}/${manifest}` }
      const classed = storageClass === undefined ? {} : { storageClass }
      return {
        ...told('s3', backup),
        bucket,
        key: archive,
        path: `s3://${bucket}/${archive}`,
        ...manifestKey,
        ...classed,
      }
    },
  }
}

/** A client of s3db that is no S3: its objects hold the vault. */
function throughClient(
  config: S3Config,
  client: ObjectClient,
  own: boolean,
  prefix: string,
  template: string,
  opening: VaultOpening,
): Destination {
  for (const name of [
    'bucket',
    'storageClass',
    'serverSideEncryption',
    'region',
    'endpoint',
    'forcePathStyle',
  ] as const)
    if (config[name] !== undefined) throw optionError(`${name} means nothing to a client of s3db that is no S3`)
  if (own && prefix === '') throw noFolder()
  const { bucket = 's3db' } = client.config ?? {}
  const storage = clientStorage(client, prefix)
  return {
    driver: 's3',
    name: storage.name,
    cold: false,
    inDatabase: own ? `${prefix}/` : undefined,
    opening: { ...opening, path: template, storage, partSize: CLIENT_PART },
    info: (backup) => {
      const [manifest = '', archive = ''] = (backup.objects ?? []).map((key) => join(prefix, key))
      return {
        ...told('s3', backup),
        bucket,
        key: archive,
        path: archive,
        manifestKey: manifest,
        manifestPath: manifest,
      }
    },
  }
}

function s3Settings(config: S3Config, client: ObjectClient | undefined, prefix: string): S3StorageSettings {
  const from = client?.config ?? {}
  const { accessKeyId = from.accessKeyId, secretAccessKey = from.secretAccessKey } = config
  const { sessionToken = from.sessionToken, bucket = from.bucket, region = from.region } = config
  // The address of AWS itself is left to the SDK, which knows more about it.
  const theirs = /\.amazonaws\.com\/?$/.test(from.endpoint ?? '') ? undefined : from.endpoint
  const { endpoint = theirs, forcePathStyle = from.forcePathStyle } = config
  if (bucket === undefined) throw optionError('the s3 driver needs a bucket: the database has none')
  const { storageClass, serverSideEncryption, kmsKeyId } = config
  const sdkClient = config.client !== undefined && client === undefined ? config.client : undefined
  if (sdkClient !== undefined && !('send' in sdkClient))
    throw optionError('client is neither an S3Client of @aws-sdk/client-s3 nor a client of s3db.js')
  return {
    type: 's3',
    bucket,
    ...(prefix !== '' && { prefix }),
    ...(region !== undefined && { region }),
    ...(endpoint !== undefined && { endpoint }),
    ...(forcePathStyle !== undefined && { forcePathStyle }),
    ...(accessKeyId !== undefined && { accessKeyId: literalSecret(accessKeyId, 'accessKeyId') }),
    ...(secretAccessKey !== undefined && { secretAccessKey: literalSecret(secretAccessKey, 'secretAccessKey') }),
    ...(sessionToken !== undefined && { sessionToken: literalSecret(sessionToken, 'sessionToken') }),
    ...(storageClass !== undefined && { storageClass }),
    ...(serverSideEncryption !== undefined && { serverSideEncryption }),
    ...(kmsKeyId !== undefined && { kmsKeyId }),
    ...(sdkClient !== undefined && { client: sdkClient }),
  }
}

/** A vault in the bucket of the database, below its prefix: there it is no part of the database. */
function withinDatabase({ bucket, prefix = '' }: S3StorageSettings, { config }: ObjectClient): string | undefined {
  const { bucket: own, keyPrefix = '', accessKeyId } = config ?? {}
  if (own !== bucket || accessKeyId === undefined) return undefined
  const root = keyPrefix.replace(/\/+$/, '')
  if (root === '') {
    if (prefix === '') throw noFolder()
    return `${prefix}/`
  }
  if (prefix === root) throw noFolder()
  return prefix.startsWith(`${root}/`) ? `${prefix.slice(root.length + 1)}/` : undefined
}

const noFolder = () =>
  optionError(
    'the path of backups has to begin with a folder of its own, as they lie where the database does',
    undefined,
  )

const told = (driver: DriverInfo['driver'], { storedBytes, ended, time }: Backup): DriverInfo => ({
  driver,
  status: 'success',
  size: storedBytes,
  uploadedAt: (ended ?? time).toISOString(),
})

/** What is fixed is where the vault lies; what changes, how objects are named in it. */
function split(path: string): { root: string; template: string } {
  const parts = path.split('/')
  const first = parts.findIndex((part) => part.includes('{'))
  const fixed = first === -1 ? parts : parts.slice(0, first)
  const varied = first === -1 ? [] : parts.slice(first).filter((part) => part !== '' && part !== '.')
  // The name of the archive itself, unless the path gives one for each backup.
  const named = varied.join('/').includes('{backupId}') && !path.endsWith('/')
  const root = fixed.join('/').replace(/\/+$/, '')
  return {
    root: root.replace(/^\.\//, '') === '.' ? '' : root,
    template: [...varied, ...(named ? [] : ['{backupId}'])].join('/'),
  }
}

const join = (prefix: string, key: string): string => (prefix === '' ? key : `${prefix}/${key}`)

function encryptionOf({ key, keyDerivation }: EncryptionOptions): EncryptionSettings {
  const secret = literalSecret(key, 'encryption.key')
  if (keyDerivation === undefined) return { type: 'aes-256-gcm', key: secret }
  const { algorithm = 'PBKDF2', iterations, salt } = keyDerivation
  return {
    type: 'aes-256-gcm',
    password: secret,
    keyDerivation: {
      type: algorithm.toLowerCase() === 'scrypt' ? 'scrypt' : 'pbkdf2',
      ...(iterations !== undefined && { iterations }),
      ...(salt !== undefined && { salt }),
    },
  }
}

export function isObjectClient(value: object): value is ObjectClient {
  return ['listObjects', 'getObject', 'putObject', 'deleteObject'].every(
    (name) => typeof Reflect.get(value, name) === 'function',
  )
}
