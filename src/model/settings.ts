import type { Role } from './access.ts'
import type { Bandwidth } from './bandwidth.ts'
import type { Job } from './job.ts'
import type { NotifyEvent } from './notify.ts'

/** The whole configuration after loading: defaults filled in, secrets resolved on use. */
export interface Settings {
  vaults: Record<string, VaultSettings>
  jobs: Record<string, Job>
  notify: Record<string, NotifySettings>
  server: ServerSettings
  log: LogSettings
  report?: ReportSettings
  update: UpdateSettings
}

/**
 * A secret is read when it is needed, never before: `config show` and a job that does not use it leave it alone.
 * Its text never appears in JSON, logs or errors.
 */
export interface Secret {
  read(how?: SecretReading): Promise<string>
  /** Where it comes from, such as `${file:/run/secrets/s3}`: safe to show. */
  readonly origin: string
}

export interface SecretReading {
  /** Fetch it anew: what was read before has expired. */
  again?: boolean
}

export interface ServerSettings {
  listen: string
  dataDir: string
  catalogue: string
  /** Of what is sealed in it; `server.key` in the data folder by default. Machines that share a catalogue share the key. */
  keyFile?: string
  /** Runs at a time in this process. */
  concurrency: number
  /** What jobs may ask for. */
  labels: string[]
  /** How long a stop waits for what is at work. */
  drain: string
  /** Folders that the API shows, backs up and restores to. */
  roots: string[]
  /** Where browsers reach the page. */
  url?: string
  trustProxy: boolean
  metrics: 'token' | 'open'
  session: { idle: string; most: string }
  oidc?: OidcSettings
}

/** Stated apart from the schema, so that what needs no configuration does not load it; a test holds the two together. */
export const SERVER_DEFAULTS: Omit<ServerSettings, 'dataDir'> = {
  listen: '127.0.0.1:3000',
  catalogue: 'sqlite',
  concurrency: 2,
  labels: [],
  drain: '8s',
  roots: ['/'],
  trustProxy: false,
  metrics: 'token',
  session: { idle: '12h', most: '30d' },
}

export interface OidcSettings {
  issuer: string
  clientId: string
  clientSecret?: Secret
  name: string
  scopes: string[]
  roleClaim?: string
  roles?: Record<string, Role>
  defaultRole: Role | 'none'
}

export interface VaultSettings {
  name: string
  storage: StorageSettings
  format: 'repository' | 'archive'
  password?: Secret
  /** A raw 32-byte key, base64 or hex. */
  key?: Secret
  /** Archive vaults: template of object names, such as `{job}/{date}_{time}_{type}`. */
  path?: string
  compression?: CompressionSettings
  encryption?: EncryptionSettings
  /** Bytes of one payload part. */
  partSize?: number
  retry?: { attempts: number; baseMs: number; maxMs: number }
  /** Several: the lowest of them at each moment. */
  bandwidth?: Bandwidth | Bandwidth[]
  cache?: { dir?: string; maxSize?: number }
  /** Repositories: open and compare what was packed before it is stored; true by default. */
  readBack?: boolean
  /** Runs of the service at a time. */
  concurrentRuns?: number
  /** Bytes from which somebody is told, and from which no backup is made. */
  limits?: { warn?: number; stop?: number }
  /** What the storage costs, for estimates. */
  prices?: Prices
  /** Checks by the service; `readData` is the share of the bytes that is read, 0 to 1. */
  check?: { everyMs: number; readData: number }
}

/** As the service bills them; what is left out costs nothing. */
export interface Prices {
  /** For people; USD if absent. */
  currency?: string
  /** Of a gigabyte (10^9 bytes) for a month. */
  storage?: number
  /** Of a thousand requests that store, that read, that list; lists as writes if absent. */
  writes?: number
  reads?: number
  lists?: number
  /** What a month may cost. */
  budget?: number
}

export interface CompressionSettings {
  type: 'none' | 'gzip' | 'brotli' | 'deflate' | 'zstd' | 'zip'
  level?: number
}

export interface EncryptionSettings {
  type: 'none' | 'aes-256-gcm' | 'age'
  password?: Secret
  key?: Secret
  /** `salt` is any text; a random one where absent. */
  keyDerivation?: { type: 'scrypt' | 'pbkdf2'; iterations?: number; salt?: string }
  recipients?: string[]
  identity?: Secret
}

export type StorageSettings =
  | FileStorageSettings
  | S3StorageSettings
  | MemoryStorageSettings
  | MirrorStorageSettings
  | SftpStorageSettings
  | AzureStorageSettings
  | GcsStorageSettings
  | WebdavStorageSettings
  | RcloneStorageSettings

export interface FileStorageSettings {
  type: 'file'
  path: string
  permissions?: number
  directoryPermissions?: number
}

export interface MemoryStorageSettings {
  type: 'memory'
  name: string
}

export interface S3StorageSettings {
  type: 's3'
  bucket: string
  prefix?: string
  region?: string
  endpoint?: string
  forcePathStyle?: boolean
  accessKeyId?: Secret
  secretAccessKey?: Secret
  sessionToken?: Secret
  storageClass?: string
  serverSideEncryption?: 'AES256' | 'aws:kms'
  kmsKeyId?: string
  /** Bytes of one part of a multipart upload, all parts alike; a stream may have 10,000 of them. */
  uploadPartSize?: number
  uploadConcurrency?: number
  /** Send and check CRC32 sums; false for servers that refuse them. True by default. */
  checksums?: boolean
  /** Whoever asks pays, as the owner of the bucket wants it. */
  requesterPays?: boolean
  /** Objects are locked for so long (`30d`), and renewed while backups need them. */
  objectLock?: { mode: 'governance' | 'compliance'; for: string }
  /** A versioned bucket as it was at this moment (ISO 8601); nothing is written. */
  asOf?: string
  /** An open S3Client of `@aws-sdk/client-s3`, from a program that has one; it is not closed. */
  client?: object
  connectTimeoutMs?: number
  /** A connection on which no byte moves for so long is given up. */
  idleTimeoutMs?: number
}

export interface GcsStorageSettings {
  type: 'gcs'
  bucket: string
  prefix?: string
  /** The JSON of a service account or of a federation; the default credentials if absent. */
  credentials?: Secret
  endpoint?: string
  storageClass?: string
  /** The project that pays for requests, where the bucket does not. */
  userProject?: string
  /** Bytes of one chunk of an upload, a multiple of 256 KiB. */
  uploadChunkSize?: number
  /** What is stored is locked for so long; the bucket needs versioning and object retention. */
  objectLock?: { mode: 'governance' | 'compliance'; for: string }
  idleTimeoutMs?: number
}

export interface AzureStorageSettings {
  type: 'azure'
  container: string
  prefix?: string
  account?: string
  accountKey?: Secret
  connectionString?: Secret
  sasToken?: Secret
  /** Of the identity to use, where the machine has several. */
  clientId?: string
  endpoint?: string
  accessTier?: string
  /** Bytes of one block of an upload; a blob may have 50,000 of them. */
  uploadBlockSize?: number
  uploadConcurrency?: number
  /** What is stored is locked for so long; the container needs immutability of versions. */
  objectLock?: { mode: 'governance' | 'compliance'; for: string }
  idleTimeoutMs?: number
}

export interface WebdavStorageSettings {
  type: 'webdav'
  /** `https://host/folder` */
  url: string
  user?: string
  password?: Secret
  /** A bearer token, in place of user and password. */
  token?: Secret
  idleTimeoutMs?: number
}

export interface RcloneStorageSettings {
  type: 'rclone'
  /** As rclone names it: `remote:path`, `:s3,provider=AWS:bucket`, … */
  remote: string
  /** `rclone` of PATH by default. */
  program?: string
  /** An rclone.conf; rclone's own by default. */
  config?: string
  idleTimeoutMs?: number
}

export interface SftpStorageSettings {
  type: 'sftp'
  host: string
  port?: number
  /** Who runs this process, if absent. */
  user?: string
  /** Absolute, or relative to where the server puts the user. */
  path: string
  password?: Secret
  privateKey?: Secret
  passphrase?: Secret
  /** The socket of an ssh-agent; `none`: ask none. */
  agent?: string
  /** The fingerprint of the server's key, `SHA256:…`, in place of a known_hosts file. */
  hostKey?: string
  knownHosts?: string
  /** False: any key of the server is taken. */
  verifyHost?: boolean
  /** At a time; opened as they are needed. */
  connections?: number
  permissions?: number
  directoryPermissions?: number
  connectTimeoutMs?: number
  idleTimeoutMs?: number
}

export interface MirrorStorageSettings {
  type: 'mirror'
  strategy: 'all' | 'any' | 'priority'
  members: StorageSettings[]
  concurrency?: number
}

export type NotifySettings = EmailSettings | ServiceNotifySettings

interface NotifierBase<Type extends string> {
  name: string
  type: Type
  on: NotifyEvent[]
}

export type ServiceNotifySettings =
  | (NotifierBase<'slack'> & { url: Secret })
  | (NotifierBase<'discord'> & { url: Secret })
  | (NotifierBase<'telegram'> & { token: Secret; chatId: string | number; url?: string })
  | (NotifierBase<'ntfy'> & { url?: string; topic: string; token?: Secret })
  | (NotifierBase<'gotify'> & { url: string; token: Secret })
  | (NotifierBase<'healthchecks'> & { url: Secret; exitStatus?: boolean })
  | (NotifierBase<'opentelemetry'> & { url: string; headers?: Record<string, Secret> })
  | (NotifierBase<'webhook'> & {
      url: Secret
      secret?: Secret
      method?: 'POST' | 'PUT'
      headers?: Record<string, Secret>
      /** With {title} and so on; our own JSON if absent. */
      body?: string
    })
  | (NotifierBase<'command'> & { command: string | string[] })

export interface EmailSettings {
  name: string
  type: 'email'
  on: NotifyEvent[]
  from: string
  to: string[]
  smtp: {
    host: string
    port: number
    secure?: boolean
    /** TLS must be reached by STARTTLS, or nothing is sent; true unless the server is this machine. */
    requireTls?: boolean
    user?: string
    password?: Secret
    /** A PEM file with the authority that signed the server's certificate. */
    ca?: string
    rejectUnauthorized?: boolean
    /** How long one step may take; 30 seconds by default. */
    timeoutMs?: number
  }
}

export interface UpdateSettings {
  registry?: string
  /** A server looks once a day. */
  notice: boolean
}

export interface LogSettings {
  level: 'trace' | 'debug' | 'info' | 'warn' | 'error'
  file?: string
  maxSize?: string
  maxFiles?: number
  maxAge?: string
}

export interface ReportSettings {
  html?: string
  json?: string
}
