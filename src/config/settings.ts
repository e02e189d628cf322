import { parseDuration, parseSize } from '../base/units.ts'
import type { Job, SourceSettings } from '../model/job.ts'
import type {
  CompressionSettings,
  EncryptionSettings,
  NotifySettings,
  Settings,
  StorageSettings,
  VaultSettings,
} from '../model/settings.ts'
import { defaultLogFile } from './defaults.ts'
import type { Config } from './schema.ts'
import type { JobConfig } from './schema/jobs.ts'
import type { NotifyConfig } from './schema/notify.ts'
import type { SourceConfig } from './schema/sources.ts'
import type { StorageConfig } from './schema/storage.ts'
import type { VaultConfig } from './schema/vaults.ts'

export interface ToSettings {
  dataDir: string
  parseStorageUrl: (text: string) => StorageSettings
}

/** The settings as the program uses them, from a valid configuration. */
export function toSettings(config: Config, context: ToSettings): Settings {
  const dataDir = config.server.dataDir ?? context.dataDir
  const { maxSize, file = defaultLogFile(dataDir), ...log } = config.log
  const settings: Settings = {
    vaults: mapValues(config.vaults, (vault, name) => toVault(name, vault, context)),
    jobs: mapValues(config.jobs, (job, name) => toJob(name, job, Object.keys(config.notify))),
    notify: mapValues(config.notify, (notifier, name) => toNotifier(name, notifier)),
    server: { ...config.server, dataDir },
    log: { ...log, file, maxSize: String(maxSize) },
    update: config.update,
  }
  if (config.report !== undefined) settings.report = config.report
  return settings
}

function toVault(name: string, vault: VaultConfig, context: ToSettings): VaultSettings {
  const { storage, compression, encryption, partSize, cache, limits, check, ...rest } = vault
  const settings: VaultSettings = { name, ...rest, storage: toStorage(storage, context) }
  if (compression !== undefined) settings.compression = toCompression(compression)
  if (encryption !== undefined) settings.encryption = toEncryption(encryption)
  if (partSize !== undefined) settings.partSize = parseSize(partSize)
  if (cache !== undefined) {
    settings.cache = { dir: cache.dir, ...(cache.maxSize === undefined ? {} : { maxSize: parseSize(cache.maxSize) }) }
  }
  if (check !== undefined)
    settings.check = { everyMs: parseDuration(check.every), readData: Number.parseFloat(check.readData) / 100 }
  if (limits !== undefined) {
    const { warn, stop } = limits
    settings.limits = {
      ...(warn !== undefined && { warn: parseSize(warn) }),
      ...(stop !== undefined && { stop: parseSize(stop) }),
    }
  }
  return settings
}

const toCompression = (value: NonNullable<VaultConfig['compression']>): CompressionSettings =>
  typeof value === 'string' ? { type: value } : value

const toEncryption = (value: NonNullable<VaultConfig['encryption']>): EncryptionSettings =>
  value === 'none' ? { type: 'none' } : value

function toStorage(storage: StorageConfig, context: ToSettings): StorageSettings {
  if (typeof storage === 'string') return context.parseStorageUrl(storage)
  switch (storage.type) {
    case 'sftp':
    case 'file': {
      const { permissions, directoryPermissions, ...rest } = storage
      return { ...rest, ...modes({ permissions, directoryPermissions }) }
    }
    case 's3': {
      const { uploadPartSize, ...rest } = storage
      return uploadPartSize === undefined ? rest : { ...rest, uploadPartSize: parseSize(uploadPartSize) }
    }
    case 'gcs': {
      const { uploadChunkSize, ...rest } = storage
      return uploadChunkSize === undefined ? rest : { ...rest, uploadChunkSize: parseSize(uploadChunkSize) }
    }
    case 'azure': {
      const { uploadBlockSize, ...rest } = storage
      return uploadBlockSize === undefined ? rest : { ...rest, uploadBlockSize: parseSize(uploadBlockSize) }
    }
    case 'webdav':
    case 'rclone':
    case 'memory':
      return storage
    case 'mirror': {
      const members = storage.members.map((member) => toStorage(member, context))
      return { ...storage, members }
    }
  }
}

function modes<Name extends string>(values: Record<Name, string | number | undefined>): Partial<Record<Name, number>> {
  const entries = Object.entries<string | number | undefined>(values).filter(([, mode]) => mode !== undefined)
  return Object.fromEntries(
    entries.map(([name, mode]) => [name, typeof mode === 'string' ? Number.parseInt(mode, 8) : mode]),
  ) as Partial<Record<Name, number>>
}

function toJob(name: string, job: JobConfig, notifiers: string[]): Job {
  const { source, vaults, schedule, retention, retentionCount, hooks, notify, description: _, ...rest } = job
  const group =
    typeof vaults === 'string' ? { members: list(vaults) } : Array.isArray(vaults) ? { members: vaults } : vaults
  const { members, ...strategy } = group
  const settings: Job = {
    name,
    ...rest,
    source: toSource(source),
    vaults: members,
    notify: notify ?? notifiers,
    ...(notify === undefined && { notifyAll: true }),
    hooks: mapValues(hooks, (commands) => (typeof commands === 'string' ? [commands] : commands)),
  }
  if ('strategy' in strategy) settings.vaultStrategy = strategy
  if (schedule !== undefined) {
    const { continuous, ...times } =
      typeof schedule === 'string' ? { continuous: undefined, cron: schedule, missed: 'once' as const } : schedule
    if (schedule === 'continuous' || continuous === true) settings.continuous = true
    if (schedule !== 'continuous') settings.schedule = times
  }
  if (retention !== undefined || retentionCount !== undefined) {
    settings.retention = { ...(retentionCount === undefined ? {} : { last: retentionCount }), ...retention }
  }
  return settings
}

function toSource(source: SourceConfig): SourceSettings {
  if (source.type === 'files') {
    const { excludeLargerThan, ...rest } = source
    return excludeLargerThan === undefined ? rest : { ...rest, excludeLargerThan: String(excludeLargerThan) }
  }
  if (source.type !== 's3db') return source
  const { type, ...options } = source
  return { type, options }
}

function toNotifier(name: string, notifier: NotifyConfig): NotifySettings {
  const on = typeof notifier.on === 'string' ? [notifier.on] : notifier.on
  if (notifier.type === 'email') {
    return { ...notifier, name, on, to: typeof notifier.to === 'string' ? list(notifier.to) : notifier.to }
  }
  return { ...notifier, name, on }
}

const list = (text: string): string[] =>
  text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')

function mapValues<In, Out, Key extends string>(
  record: Record<Key, In>,
  map: (value: In, key: string) => Out,
): Record<Key, Out> {
  return Object.fromEntries(Object.entries<In>(record).map(([key, value]) => [key, map(value, key)])) as Record<
    Key,
    Out
  >
}
