import * as z from 'zod'
import { duration, count, flag, path, port, secret, settings, size, text, traits } from './fields.ts'

const QUOTED = 'must be permissions such as "0640", in quotes: without them 0640 is read as a decimal number'

/**
 * `"0640"` as text, or a number as YAML's and TOML's 0o640 gives it. A bare 0640 arrives as the decimal 640, which
 * no mode has; a bare 0400, 0440, 0444 or 0500 would pass for another mode and is refused by name.
 */
const permissions = (description: string) =>
  z
    .union([
      z.string().regex(/^0?[0-7]{3}$/, 'must be permissions such as "0640"'),
      z
        .number()
        .int()
        .min(1)
        .max(0o777, QUOTED)
        .refine((mode) => ![400, 440, 444, 500].includes(mode), QUOTED),
    ])
    .describe(description)

const file = settings({
  type: z.literal('file'),
  path: path('The folder.'),
  permissions: permissions('Mode of the files; 0600 by default.').optional(),
  directoryPermissions: permissions('Mode of the folders; 0700 by default.').optional(),
})

const locks = (description: string) =>
  settings({
    mode: z.enum(['governance', 'compliance']).describe('Who may end a lock before its time: some, or nobody.'),
    for: duration('How long what is stored or still needed is locked.'),
  }).describe(description)

const s3 = settings({
  type: z.literal('s3'),
  bucket: text('The name of the bucket.'),
  prefix: z.string().describe('What all object keys begin with.').optional(),
  region: text('The region of the bucket.').optional(),
  endpoint: text('The address of an S3-compatible service.').optional(),
  forcePathStyle: flag('The bucket stands in the path, not in the host name.').optional(),
  accessKeyId: secret('Left out: the credential chain of the AWS SDK.').optional(),
  secretAccessKey: secret('Belongs to accessKeyId.').optional(),
  sessionToken: secret('Of temporary credentials.').optional(),
  storageClass: text('STANDARD_IA, ONEZONE_IA, GLACIER, DEEP_ARCHIVE, …; metadata stays in STANDARD.').optional(),
  serverSideEncryption: z.enum(['AES256', 'aws:kms']).describe('Encryption by the service.').optional(),
  kmsKeyId: text('The key of aws:kms.').optional(),
  uploadPartSize: size('One part of a multipart upload.').optional(),
  uploadConcurrency: count('Parts of one upload at a time.').optional(),
  checksums: flag('Send and check CRC32 sums; false for services that refuse them.').optional(),
  requesterPays: flag('Whoever asks pays, as the owner of the bucket wants it.').optional(),
  objectLock: locks('Objects cannot be destroyed; the bucket needs versioning and object lock.').optional(),
  asOf: z.iso
    .datetime({ offset: true })
    .describe('A versioned bucket as it was at this moment; for reading only.')
    .optional(),
  connectTimeoutMs: count('Milliseconds until a connection must stand.').optional(),
  idleTimeoutMs: count('A connection without a byte for so long is given up.').optional(),
})

const gcs = settings({
  type: z.literal('gcs'),
  bucket: text('The name of the bucket.'),
  prefix: z.string().describe('What all object names begin with.').optional(),
  credentials: secret('The JSON of a service account; left out: the default credentials.').optional(),
  endpoint: text('The address of a compatible service.').optional(),
  storageClass: text('NEARLINE, COLDLINE, ARCHIVE, …; metadata stays in the class of the bucket.').optional(),
  userProject: text('The project that pays for requests, where the bucket does not.').optional(),
  objectLock: locks('Objects cannot be destroyed; the bucket needs versioning and object retention.').optional(),
  uploadChunkSize: size('One chunk of an upload, a multiple of 256 KiB; 16 MiB by default.').optional(),
  idleTimeoutMs: count('A request on which nothing moves for so long is given up.').optional(),
}).describe('Google Cloud Storage; needs the package google-auth-library.')

const azure = settings({
  type: z.literal('azure'),
  container: text('The name of the container.'),
  prefix: z.string().describe('What all blob names begin with.').optional(),
  account: text('The storage account; AZURE_STORAGE_ACCOUNT by default.').optional(),
  accountKey: secret('Its key; without any key or token the managed identity.').optional(),
  connectionString: secret('In place of account and key.').optional(),
  sasToken: secret('In place of the key.').optional(),
  endpoint: text('The address of a compatible service.').optional(),
  clientId: text('Of the managed identity, where the machine has several.').optional(),
  accessTier: text('Hot, Cool, Cold or Archive; metadata stays in the tier of the account.').optional(),
  objectLock: locks('Blobs cannot be destroyed; the container needs immutability of versions.').optional(),
  uploadBlockSize: size('One block of an upload; 8 MiB by default.').optional(),
  uploadConcurrency: count('Blocks of one upload at a time; 3 by default.').optional(),
  idleTimeoutMs: count('A request on which nothing moves for so long is given up.').optional(),
}).describe('Azure Blob Storage; needs the package @azure/storage-blob.')

const sftp = settings({
  type: z.literal('sftp'),
  host: text('The server.'),
  port: port('22 by default.').optional(),
  user: text('The name to log in with.').optional(),
  path: text('The folder on the server.'),
  password: secret('The password of the user.').optional(),
  privateKey: secret('A private key, in OpenSSH or PEM form; the usual ones of the user if absent.').optional(),
  passphrase: secret('Opens the private key.').optional(),
  agent: text('The socket of an ssh-agent; SSH_AUTH_SOCK by default; none: ask none.').optional(),
  hostKey: text('The fingerprint of the server, SHA256:…, in place of known hosts.').optional(),
  knownHosts: path('A known_hosts file; ~/.ssh/known_hosts by default.').optional(),
  verifyHost: flag('False: take any key of the server.').optional(),
  connections: count('Connections at a time, opened as they are needed; 3 by default.').optional(),
  permissions: permissions('Mode of the files; 0600 by default.').optional(),
  directoryPermissions: permissions('Mode of the folders; 0700 by default.').optional(),
  connectTimeoutMs: count('Milliseconds until a connection must stand.').optional(),
  idleTimeoutMs: count('A connection without an answer for so long is given up.').optional(),
}).describe('A folder on an SSH server; needs the package ssh2.')

const webdav = settings({
  type: z.literal('webdav'),
  url: text('The folder, https://host/path.'),
  user: text('The name to log in with.').optional(),
  password: secret('Of the user; for services with a second factor an app password.').optional(),
  token: secret('A bearer token, in place of user and password.').optional(),
  idleTimeoutMs: count('A request on which nothing moves for so long is given up.').optional(),
}).describe('A folder on a WebDAV server.')

const rclone = settings({
  type: z.literal('rclone'),
  remote: text('As rclone names it, remote:path.'),
  program: text('The program; rclone of PATH by default.').optional(),
  config: path('An rclone.conf; the usual one of the user by default.').optional(),
  idleTimeoutMs: count('A request on which nothing moves for so long is given up.').optional(),
}).describe('Any storage that rclone knows, by a program that is started for it.')

const memory = settings({ type: z.literal('memory'), name: text('The name of the space.') }).describe('For tests.')

const url = z
  .string()
  .min(1)
  .describe('A path, file:PATH, s3://bucket/prefix?region=…&endpoint=…, sftp://user@host/path, …')
  .register(traits, { storageUrl: true })

const member = z.union([url, z.discriminatedUnion('type', [file, s3, gcs, azure, sftp, webdav, rclone, memory])])

const mirror = settings({
  type: z.literal('mirror'),
  strategy: z.enum(['all', 'any', 'priority']).default('all').describe('Which members have to succeed.'),
  members: z.array(member).min(1).describe('The storages, the preferred one first.'),
  concurrency: count('Members at a time.').optional(),
}).describe('The same objects in several storages.')

export const storage = z
  .union([url, z.discriminatedUnion('type', [file, s3, gcs, azure, sftp, webdav, rclone, memory, mirror])])
  .describe('Where the bytes lie: one URL, or settings.')

export type StorageConfig = z.output<typeof storage>
