/** Options checked: what is not known, or cannot be honoured, is an error and never ignored. */
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { registerSecret } from '../base/redact.ts'
import { optionError } from './errors.ts'
import type {
  BackupHook,
  BackupPluginOptions,
  CompressionType,
  DestinationOptions,
  EncryptionOptions,
  RestoreHook,
  RetentionPolicy,
} from './types.ts'

/** Read at each call, so that a change takes effect with the next. */
export interface PluginConfig {
  driver: 'filesystem' | 's3' | 'multi'
  driverConfig: Record<string, unknown>
  retention: RetentionPolicy
  include: string[] | null
  exclude: string[]
  compression: CompressionType
  encryption: EncryptionOptions | null
  verification: boolean
  tempDir: string
  verbose: boolean
  parallelism: number | undefined
  onBackupStart: BackupHook | null
  onBackupComplete: BackupHook | null
  onBackupError: BackupHook | null
  onRestoreStart: RestoreHook | null
  onRestoreComplete: RestoreHook | null
  onRestoreError: RestoreHook | null
}

export interface Destinations {
  strategy: 'all' | 'any' | 'priority'
  concurrency: number
  destinations: DestinationOptions[]
}

const OPTIONS = [
  ...(['driver', 'config', 'retention', 'include', 'exclude', 'compression', 'encryption', 'verification'] as const),
  ...(['tempDir', 'verbose', 'parallelism', 'onBackupStart', 'onBackupComplete', 'onBackupError'] as const),
  ...(['onRestoreStart', 'onRestoreComplete', 'onRestoreError'] as const),
] as const satisfies (keyof BackupPluginOptions)[]

const COMPRESSIONS: readonly string[] = ['none', 'gzip', 'brotli', 'deflate', 'zstd']

export function configOf(options: BackupPluginOptions): PluginConfig {
  only(options, OPTIONS, 'BackupPlugin')
  const { driver = 'filesystem', config = {}, include = null, exclude = [], encryption = null } = options
  const normal: PluginConfig = {
    driver,
    driverConfig: { ...config },
    retention: { ...options.retention },
    include,
    exclude,
    compression: options.compression ?? 'gzip',
    encryption: encryption && hidden(encryption),
    verification: options.verification ?? true,
    tempDir: options.tempDir ?? join(tmpdir(), 's3db', 'backups'),
    verbose: options.verbose ?? false,
    parallelism: options.parallelism,
    onBackupStart: options.onBackupStart ?? null,
    onBackupComplete: options.onBackupComplete ?? null,
    onBackupError: options.onBackupError ?? null,
    onRestoreStart: options.onRestoreStart ?? null,
    onRestoreComplete: options.onRestoreComplete ?? null,
    onRestoreError: options.onRestoreError ?? null,
  }
  checkConfig(normal)
  return normal
}

/** Again before each use, as it may have been changed. */
export function checkConfig(config: PluginConfig): Destinations {
  const { retention, include, exclude, encryption, verification, verbose, parallelism } = config
  checkCompression(config.compression)
  if (include !== null) texts(include, 'include')
  texts(exclude, 'exclude')
  if (typeof verification !== 'boolean') throw optionError('verification is true or false')
  if (typeof verbose !== 'boolean') throw optionError('verbose is true or false')
  only(retention, ['daily', 'weekly', 'monthly', 'yearly'], 'retention')
  for (const [rule, count] of Object.entries(retention))
    if (!Number.isInteger(count) || count < 0) throw optionError(`retention.${rule} is no count of backups`)
  if (parallelism !== undefined && !(Number.isInteger(parallelism) && parallelism >= 1 && parallelism <= 64))
    throw optionError('parallelism is the number of reads in flight, 1 to 64')
  for (const [name, hook] of Object.entries(config))
    if (name.startsWith('on') && hook !== null && typeof hook !== 'function')
      throw optionError(`${name} is no function`)
  if (encryption !== null) checkEncryption(encryption)
  return destinationsOf(config.driver, config.driverConfig)
}

export function checkCompression(type: unknown): CompressionType {
  if (typeof type === 'string' && COMPRESSIONS.includes(type)) return type as CompressionType
  throw optionError(`BackupPlugin: Invalid compression type. Use: ${COMPRESSIONS.join(', ')}`)
}

function checkEncryption({ algorithm, key, keyDerivation, ...rest }: EncryptionOptions): void {
  only(rest, [], 'encryption')
  if (typeof algorithm !== 'string' || typeof key !== 'string' || algorithm === '' || key === '')
    throw optionError('BackupPlugin: Encryption requires both key and algorithm')
  if (algorithm.toLowerCase() !== 'aes-256-gcm')
    throw optionError(`encryption by ${algorithm} is not known`, 'Use AES-256-GCM.')
  if (keyDerivation === undefined) return
  only(keyDerivation, ['algorithm', 'iterations', 'salt'], 'encryption.keyDerivation')
  const { algorithm: by = 'PBKDF2', iterations, salt } = keyDerivation
  if (!['pbkdf2', 'scrypt'].includes(by.toLowerCase()))
    throw optionError(`key derivation by ${by} is not known`, 'Use PBKDF2, or scrypt.')
  if (iterations !== undefined && by.toLowerCase() === 'scrypt') throw optionError('scrypt takes no iterations')
  if (iterations !== undefined && !(Number.isInteger(iterations) && iterations >= 1 && iterations <= 20_000_000))
    throw optionError('keyDerivation.iterations is no count')
  if (salt !== undefined && (typeof salt !== 'string' || salt === ''))
    throw optionError('keyDerivation.salt is no text')
}

function destinationsOf(driver: string, config: Record<string, unknown>): Destinations {
  if (driver !== 'multi') return { strategy: 'all', concurrency: 1, destinations: [destinationOf(driver, config)] }
  const { destinations, strategy = 'all', concurrency = 3, ...rest } = config
  only(rest, [], 'config of the multi driver')
  if (!Array.isArray(destinations) || destinations.length === 0)
    throw optionError('MultiBackupDriver requires non-empty "destinations" array')
  if (strategy !== 'all' && strategy !== 'any' && strategy !== 'priority')
    throw optionError(`the strategy ${text(strategy)} is not known`, 'Use all, any or priority.')
  if (typeof concurrency !== 'number' || !Number.isInteger(concurrency) || concurrency < 1)
    throw optionError('concurrency is no count of uploads')
  return {
    strategy,
    concurrency,
    destinations: destinations.map((each: unknown, at) => {
      const { driver: inner, config: its, ...more } = record(each, `destination ${at}`)
      only(more, [], `destination ${at}`)
      return destinationOf(inner, record(its ?? {}, `config of destination ${at}`))
    }),
  }
}

const FILESYSTEM = ['path', 'permissions', 'directoryPermissions', 'compression']
const S3 = [
  'bucket',
  'path',
  'storageClass',
  'serverSideEncryption',
  'kmsKeyId',
  'client',
  'region',
  'endpoint',
  'forcePathStyle',
  'accessKeyId',
  'secretAccessKey',
  'sessionToken',
  'compression',
]
const CLASSES = [
  'STANDARD',
  'STANDARD_IA',
  'ONEZONE_IA',
  'REDUCED_REDUNDANCY',
  'GLACIER',
  'DEEP_ARCHIVE',
  'GLACIER_IR',
  'INTELLIGENT_TIERING',
  'EXPRESS_ONEZONE',
]

function destinationOf(driver: unknown, config: Record<string, unknown>): DestinationOptions {
  if (config['compression'] !== undefined) checkCompression(config['compression'])
  if (driver === 'filesystem') {
    only(config, FILESYSTEM, 'config of the filesystem driver')
    const { path, permissions, directoryPermissions } = config
    if (typeof path !== 'string' || path === '')
      throw optionError('FilesystemBackupDriver requires "path" configuration')
    for (const [name, mode] of Object.entries({ permissions, directoryPermissions }))
      if (mode !== undefined && !(typeof mode === 'number' && Number.isInteger(mode) && mode > 0 && mode <= 0o7777))
        throw optionError(`${name} is no file mode`, 'Write it in octal, such as 0o640.')
    return { driver, config: { ...config, path } }
  }
  if (driver === 's3') {
    only(config, S3, 'config of the s3 driver')
    const { storageClass, serverSideEncryption, kmsKeyId, client, forcePathStyle, ...plain } = config
    for (const [name, value] of Object.entries(plain))
      if (value !== undefined && typeof value !== 'string') throw optionError(`${name} of the s3 driver is no text`)
    if (storageClass !== undefined && !CLASSES.includes(text(storageClass)))
      throw optionError(`the storage class ${text(storageClass)} is not known`, `Use one of ${CLASSES.join(', ')}.`)
    if (serverSideEncryption !== undefined && !['AES256', 'aws:kms'].includes(text(serverSideEncryption)))
      throw optionError(`serverSideEncryption ${text(serverSideEncryption)} is not known`, 'Use AES256 or aws:kms.')
    if (kmsKeyId !== undefined && serverSideEncryption !== 'aws:kms')
      throw optionError('kmsKeyId needs serverSideEncryption aws:kms')
    if (client !== undefined && (typeof client !== 'object' || client === null))
      throw optionError('client is no client')
    if (forcePathStyle !== undefined && typeof forcePathStyle !== 'boolean')
      throw optionError('forcePathStyle is true or false')
    return { driver, config }
  }
  throw optionError(`Unknown backup driver: ${text(driver)}`, 'Use filesystem, s3 or multi.')
}

export function only(value: object, known: readonly string[], what: string): void {
  for (const [name, given] of Object.entries(value))
    if (given !== undefined && !known.includes(name))
      throw optionError(
        `${what} has no option ${name}`,
        known.length > 0 ? `Known are ${known.join(', ')}.` : undefined,
      )
}

export function texts(value: unknown, what: string): void {
  if (!Array.isArray(value) || value.some((one) => typeof one !== 'string' || one === ''))
    throw optionError(`${what} is no list of names of resources`)
}

function record(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw optionError(`${what} is no object`)
  return { ...value }
}

const text = (value: unknown): string => (typeof value === 'string' ? value : typeof value)

/** The key is there for who asks, and not for who prints. */
function hidden(encryption: EncryptionOptions): EncryptionOptions {
  const { key, ...rest } = encryption
  if (typeof key === 'string' && key !== '') registerSecret(key)
  return Object.defineProperty({ ...rest } as EncryptionOptions, 'key', { value: key, enumerable: false })
}
