/** Addresses of storages over a network, each scheme with what may follow its `?`. */
import { readFile } from 'node:fs/promises'
import { homeFolder } from '../base/user.ts'
import { lazySecret } from '../model/secret.ts'
import type {
  AzureStorageSettings,
  GcsStorageSettings,
  S3StorageSettings,
  SftpStorageSettings,
  RcloneStorageSettings,
  StorageSettings,
  WebdavStorageSettings,
} from '../model/settings.ts'
import {
  count,
  decoded,
  duration,
  endpoint,
  flag,
  invalid,
  mode,
  moment,
  querySettings,
  size,
  text,
  type Reader,
} from './url-parts.ts'

/** A file with a secret in it may be named where the secret itself may not stand. */
const secretFile: Reader = (path) =>
  lazySecret(path, async () => readFile(path.replace(/^~(?=\/)/, homeFolder()), 'utf8'))

const S3_QUERY: Record<string, Reader> = {
  region: text,
  endpoint,
  forcePathStyle: flag,
  storageClass: text,
  serverSideEncryption: (value, key) => {
    if (value === 'AES256' || value === 'aws:kms') return value
    throw invalid(`${key} is ${JSON.stringify(value)}`, `${key} is AES256 or aws:kms.`)
  },
  kmsKeyId: text,
  uploadPartSize: size,
  uploadConcurrency: count,
  checksums: flag,
  requesterPays: flag,
  objectLock: lockOf,
  asOf: moment,
  connectTimeout: duration,
  idleTimeout: duration,
}

/** `governance,30d` */
function lockOf(value: string, key: string): { mode: string; for: string } {
  const [, mode, time] = /^(governance|compliance),(\d+[smhdwy]\w*)$/.exec(value) ?? []
  if (mode !== undefined && time !== undefined) return { mode, for: time }
  throw invalid(`${key} is ${JSON.stringify(value)}`, `Write ${key}=governance,30d or ${key}=compliance,30d.`)
}

const SFTP_QUERY: Record<string, Reader> = {
  keyFile: secretFile,
  agent: text,
  hostKey: text,
  knownHosts: text,
  verifyHost: flag,
  connections: count,
  permissions: mode,
  directoryPermissions: mode,
  connectTimeout: duration,
  idleTimeout: duration,
}

const AZURE_QUERY: Record<string, Reader> = {
  account: text,
  clientId: text,
  endpoint,
  accessTier: text,
  uploadBlockSize: size,
  uploadConcurrency: count,
  objectLock: lockOf,
  idleTimeout: duration,
}

const GCS_QUERY: Record<string, Reader> = {
  credentialsFile: secretFile,
  endpoint,
  storageClass: text,
  userProject: text,
  uploadChunkSize: size,
  objectLock: lockOf,
  idleTimeout: duration,
}

const WEBDAV_QUERY: Record<string, Reader> = {
  user: text,
  passwordFile: secretFile,
  tokenFile: secretFile,
  idleTimeout: duration,
}

const RCLONE_QUERY: Record<string, Reader> = { program: text, config: text, idleTimeout: duration }

/** By scheme; each takes the whole address. */
export const REMOTE: Record<string, (address: string) => StorageSettings> = {
  s3: s3Settings,
  gs: gcsSettings,
  azure: azureSettings,
  sftp: sftpSettings,
  webdav: webdavSettings,
  webdavs: webdavSettings,
  rclone: rcloneSettings,
}

/** `scheme://bucket/prefix?query` */
function bucketAddress(address: string, names: { scheme: string; secrets: string; bucket: string }) {
  const match = /^[a-z0-9]+:\/\/([^/?#@]+)(?:\/([^?]*))?(?:\?(.*))?$/is.exec(address)
  if (!match) {
    const secret = address.includes('@')
    throw invalid(
      secret ? `it has an @ before the ${names.bucket}` : `it names no ${names.bucket}`,
      secret
        ? `Give keys by ${names.secrets} or the environment, not in the URL.`
        : `Write ${names.scheme}://${names.bucket}/prefix.`,
    )
  }
  const [, bucket = '', path = '', query = ''] = match
  const prefix = decoded(path)
  return { bucket, query, ...(prefix !== '' && { prefix }) }
}

function s3Settings(address: string): S3StorageSettings {
  const names = { scheme: 's3', bucket: 'bucket', secrets: 'accessKeyId and secretAccessKey' }
  const { query, ...place } = bucketAddress(address, names)
  return { type: 's3', ...place, ...querySettings('s3', query, S3_QUERY) }
}

function gcsSettings(address: string): GcsStorageSettings {
  const names = { scheme: 'gs', bucket: 'bucket', secrets: 'credentialsFile' }
  const { query, ...place } = bucketAddress(address, names)
  return { type: 'gcs', ...place, ...querySettings('gcs', query, GCS_QUERY) }
}

function azureSettings(address: string): AzureStorageSettings {
  const names = { scheme: 'azure', bucket: 'container', secrets: 'accountKey or sasToken' }
  const { query, bucket: container, ...place } = bucketAddress(address, names)
  return { type: 'azure', container, ...place, ...querySettings('azure', query, AZURE_QUERY) }
}

/**
 * `sftp://user@host:port/path` with an absolute path, `/~/path` below the user's own folder; and, as restic and scp
 * write it, `sftp:user@host:path`.
 */
function sftpSettings(address: string): SftpStorageSettings {
  const url = /^sftp:\/\/(?:([^@/?#]*)@)?(\[[^\]]+\]|[^:/?#]+)(?::(\d+))?(\/[^?]*)?(?:\?(.*))?$/i.exec(address)
  const short =
    url === null ? /^sftp:(?!\/\/)(?:([^@/?#]*)@)?(\[[^\]]+\]|[^:/?#]+)():([^?]+)(?:\?(.*))?$/i.exec(address) : null
  const [, user, host = '', port, path = '', query = ''] = url ?? short ?? []
  if (host === '') throw invalid('it names no server', 'Write sftp://user@host/path.')
  if (user?.includes(':') === true)
    throw invalid('it has a password', 'Give it by password of the settings, or use a key or an agent.')
  const folder = url === null ? path : decoded(path).replace(/^\/~(\/|$)/, '')
  if (folder === '' || folder === '/') throw invalid('it names no folder', 'Write sftp://user@host/path.')
  return {
    type: 'sftp',
    host: host.replace(/^\[|\]$/g, ''),
    path: folder,
    ...(user !== undefined && user !== '' && { user: decoded(user) }),
    ...(port !== undefined && port !== '' && { port: Number(port) }),
    ...querySettings('sftp', query, SFTP_QUERY),
  }
}

/** `webdav://host/path` over HTTP, `webdavs://host/path` over HTTPS. */
function webdavSettings(address: string): WebdavStorageSettings {
  const [, secure = '', user, rest = '', query = ''] =
    /^webdav(s?):\/\/(?:([^@/?#]*)@)?([^?#]+)(?:\?(.*))?$/i.exec(address) ?? []
  const url = `http${secure.toLowerCase()}://${rest}`
  if (rest === '' || !URL.canParse(url)) throw invalid('it names no server', 'Write webdavs://host/path.')
  if (user?.includes(':') === true)
    throw invalid('it has a password', 'Give it by passwordFile, or by password of the settings.')
  return {
    type: 'webdav',
    url,
    ...(user !== undefined && user !== '' && { user: decoded(user) }),
    ...querySettings('webdav', query, WEBDAV_QUERY),
  }
}

/** What follows is rclone's own: `rclone:remote:path`. */
function rcloneSettings(address: string): RcloneStorageSettings {
  const [, remote = '', query = ''] = /^rclone:([^?]*)(?:\?(.*))?$/is.exec(address) ?? []
  if (!remote.includes(':')) throw invalid('it names no remote', 'Write rclone:remote:path.')
  return { type: 'rclone', remote, ...querySettings('rclone', query, RCLONE_QUERY) }
}
