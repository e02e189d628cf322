/** Which fields the kinds of sources, storages and notifiers have: test/e2e/page-forms.test.ts holds them against the schema. */
export type FieldKind = 'text' | 'mono' | 'secret' | 'number' | 'texts' | 'flag'

export interface FieldSpec {
  path: string
  kind: FieldKind
  word: FieldWord
  placeholder?: string
  required?: true
  /** Behind "More". */
  rare?: true
  /** Of a flag: what it means when it is absent. */
  fallback?: boolean
}

/** What a field is called; the words are in field-words.ts. */
export type FieldWord =
  | 'accessKeyId'
  | 'account'
  | 'accountKey'
  | 'bucket'
  | 'chatId'
  | 'command'
  | 'connectionString'
  | 'container'
  | 'credentials'
  | 'databases'
  | 'endpoint'
  | 'excludeCollections'
  | 'excludeDatabases'
  | 'excludeTables'
  | 'file'
  | 'fileName'
  | 'files'
  | 'folder'
  | 'forcePathStyle'
  | 'from'
  | 'host'
  | 'hostKey'
  | 'parallel'
  | 'passphrase'
  | 'password'
  | 'port'
  | 'prefix'
  | 'privateKey'
  | 'region'
  | 'remote'
  | 'resources'
  | 'secretAccessKey'
  | 'secretUrl'
  | 'server'
  | 'serverSideEncryption'
  | 'signing'
  | 'smtpHost'
  | 'storageClass'
  | 'tls'
  | 'to'
  | 'token'
  | 'topic'
  | 'url'
  | 'user'
  | 'userProject'

const field = (path: string, kind: FieldKind, word: FieldWord, rest: Partial<FieldSpec> = {}): FieldSpec => ({
  path,
  kind,
  word,
  ...rest,
})

const server = (port: string): FieldSpec[] => [
  field('host', 'mono', 'host', { placeholder: '127.0.0.1' }),
  field('port', 'number', 'port', { placeholder: port }),
  field('user', 'mono', 'user', { placeholder: 'backup' }),
  field('password', 'secret', 'password'),
]

const rare = { rare: true } as const

/** Without `files`, which has a page of its own. */
export const SOURCES: Record<string, FieldSpec[]> = {
  postgres: [
    ...server('5432'),
    field('excludeDatabases', 'texts', 'excludeDatabases', rare),
    field('excludeTables', 'texts', 'excludeTables', rare),
    field('tls', 'mono', 'tls', { ...rare, placeholder: 'prefer' }),
    field('parallel', 'number', 'parallel', { ...rare, placeholder: '2' }),
  ],
  mysql: [
    ...server('3306'),
    field('excludeDatabases', 'texts', 'excludeDatabases', rare),
    field('excludeTables', 'texts', 'excludeTables', rare),
    field('tls', 'mono', 'tls', { ...rare, placeholder: 'prefer' }),
    field('parallel', 'number', 'parallel', { ...rare, placeholder: '2' }),
  ],
  mongodb: [
    field('url', 'secret', 'url', { placeholder: 'mongodb://127.0.0.1:27017' }),
    field('excludeDatabases', 'texts', 'excludeDatabases', rare),
    field('excludeCollections', 'texts', 'excludeCollections', rare),
    field('parallel', 'number', 'parallel', { ...rare, placeholder: '4' }),
  ],
  sqlite: [field('files', 'texts', 'files', { placeholder: '/srv/app/app.db' })],
  s3db: [
    field('url', 'secret', 'url', { placeholder: 's3://KEY:SECRET@bucket/prefix', required: true }),
    field('resources', 'texts', 'resources', rare),
  ],
  command: [
    field('command', 'mono', 'command', { placeholder: 'pg_dumpall --globals-only', required: true }),
    field('name', 'mono', 'fileName', { placeholder: 'stdout', ...rare }),
  ],
}

/** Of `storage`. */
export const STORAGES: Record<string, FieldSpec[]> = {
  file: [field('path', 'mono', 'folder', { placeholder: '/srv/backups', required: true })],
  s3: [
    field('bucket', 'mono', 'bucket', { required: true }),
    field('region', 'mono', 'region', { placeholder: 'eu-central-1' }),
    field('prefix', 'mono', 'prefix', { placeholder: 'prod/' }),
    field('endpoint', 'mono', 'endpoint', { placeholder: 'https://s3.example.com' }),
    field('accessKeyId', 'secret', 'accessKeyId'),
    field('secretAccessKey', 'secret', 'secretAccessKey'),
    field('forcePathStyle', 'flag', 'forcePathStyle', { ...rare, fallback: false }),
    field('storageClass', 'mono', 'storageClass', { ...rare, placeholder: 'STANDARD_IA' }),
    field('serverSideEncryption', 'mono', 'serverSideEncryption', { ...rare, placeholder: 'AES256' }),
  ],
  gcs: [
    field('bucket', 'mono', 'bucket', { required: true }),
    field('prefix', 'mono', 'prefix'),
    field('credentials', 'secret', 'credentials'),
    field('endpoint', 'mono', 'endpoint', rare),
    field('storageClass', 'mono', 'storageClass', { ...rare, placeholder: 'NEARLINE' }),
    field('userProject', 'mono', 'userProject', rare),
  ],
  azure: [
    field('container', 'mono', 'container', { required: true }),
    field('prefix', 'mono', 'prefix'),
    field('account', 'mono', 'account'),
    field('accountKey', 'secret', 'accountKey'),
    field('connectionString', 'secret', 'connectionString', rare),
    field('endpoint', 'mono', 'endpoint', rare),
  ],
  sftp: [
    field('host', 'mono', 'host', { required: true }),
    field('port', 'number', 'port', { placeholder: '22' }),
    field('user', 'mono', 'user'),
    field('path', 'mono', 'folder', { required: true, placeholder: '/backups' }),
    field('password', 'secret', 'password'),
    field('privateKey', 'secret', 'privateKey'),
    field('passphrase', 'secret', 'passphrase', rare),
    field('hostKey', 'mono', 'hostKey', { placeholder: 'SHA256:…' }),
  ],
  webdav: [
    field('url', 'mono', 'server', { required: true, placeholder: 'https://cloud.example.com/dav/backups' }),
    field('user', 'mono', 'user'),
    field('password', 'secret', 'password'),
    field('token', 'secret', 'token', rare),
  ],
  rclone: [field('remote', 'mono', 'remote', { required: true, placeholder: 'drive:backups' })],
}

export const NOTIFIERS: Record<string, FieldSpec[]> = {
  email: [
    field('from', 'mono', 'from', { required: true, placeholder: 'backup@example.com' }),
    field('to', 'texts', 'to', { required: true, placeholder: 'ops@example.com' }),
    field('smtp.host', 'mono', 'smtpHost', { required: true, placeholder: 'mail.example.com' }),
    field('smtp.port', 'number', 'port', { placeholder: '587' }),
    field('smtp.user', 'mono', 'user'),
    field('smtp.password', 'secret', 'password'),
  ],
  slack: [field('url', 'secret', 'secretUrl', { required: true, placeholder: 'https://hooks.slack.com/…' })],
  discord: [field('url', 'secret', 'secretUrl', { required: true, placeholder: 'https://discord.com/api/webhooks/…' })],
  telegram: [
    field('token', 'secret', 'token', { required: true }),
    field('chatId', 'mono', 'chatId', { required: true, placeholder: '-1001234567890' }),
  ],
  ntfy: [
    field('topic', 'mono', 'topic', { required: true }),
    field('url', 'mono', 'server', { placeholder: 'https://ntfy.sh' }),
    field('token', 'secret', 'token'),
  ],
  gotify: [
    field('url', 'mono', 'server', { required: true, placeholder: 'https://gotify.example.com' }),
    field('token', 'secret', 'token', { required: true }),
  ],
  healthchecks: [field('url', 'secret', 'secretUrl', { required: true, placeholder: 'https://hc-ping.com/…' })],
  opentelemetry: [field('url', 'mono', 'server', { required: true, placeholder: 'http://127.0.0.1:4318' })],
  webhook: [
    field('url', 'secret', 'secretUrl', { required: true, placeholder: 'https://example.com/hook' }),
    field('secret', 'secret', 'signing'),
  ],
  command: [field('command', 'mono', 'command', { required: true })],
}
