/** An archive vault: one portable file per backup beside its manifest. docs/formats/archive.md. */
import type { Clock } from '../base/clock.ts'
import { AppError, isAppError } from '../base/errors.ts'
import { displayPath } from '../base/paths.ts'
import type { EncryptionSettings, Secret, VaultSettings } from '../model/settings.ts'
import type { Storage } from '../model/storage.ts'
import type { Vault } from '../model/vault.ts'
import { ageOpener, ageSealer } from './age.ts'
import { archiveBackup } from './backup.ts'
import { checkVault, needsOf, payloadsOf, verifyBackup } from './check.ts'
import { aesOpener, aesSealer, plainOpener, plainSealer, type Opener, type Sealer } from './cipher.ts'
import { codecPool } from './codec-pool.ts'
import type { ArchiveContext, WriteSettings } from './context.ts'
import { createDescription, readDescription, replaceDescription, type VaultDescription } from './description.ts'
import {
  createKey,
  newSalt,
  parseRawKey,
  PBKDF2_DEFAULT_ITERATIONS,
  SCRYPT_DEFAULT,
  unlockKey,
  type Kdf,
  type KeyInfo,
  type MasterKey,
} from './keys.ts'
import type { IndexEntry } from './index-format.ts'
import { archiveLanes } from './log-store.ts'
import type { Manifest, ManifestEncryption } from './manifest.ts'
import { baseOf, byId, findBackup, readInventory, toBackup, type Inventory, type KnownBackup } from './manifests.ts'
import { DEFAULT_TEMPLATE } from './names.ts'
import { changeNotes, NOTES_SUFFIX } from './notes.ts'
import { DEFAULT_PART_SIZE } from './parts.ts'
import { openEntries, readEntries } from './read.ts'
import { removeBackups } from './remove.ts'
import { tidyVault } from './tidy.ts'

export interface ArchiveVaultOptions {
  storage: Storage
  settings: Pick<VaultSettings, 'name' | 'password' | 'key' | 'path' | 'compression' | 'encryption' | 'partSize'>
  clock: Clock
  /** Recorded in manifests: `holdfast 1.2.3`. */
  program: string
  timezone?: string
  /** Asked when an encrypted vault is met and the settings hold no secret; never makes a new vault encrypted. */
  askPassword?: Secret
  /** Make the vault when there is none; else `vault.not-found`. */
  create?: boolean
}

export async function archiveVault(options: ArchiveVaultOptions): Promise<Vault> {
  const { storage, settings, clock } = options
  const encryption = encryptionWanted(settings)
  let description: VaultDescription | undefined
  let unreadable: AppError | undefined
  try {
    description = await readDescription(storage)
  } catch (error) {
    if (!isAppError(error, 'backup.damaged')) throw error
    unreadable = error
  }
  /** A vault that lost its description is still one if it holds backups; the newest tells how they are encrypted. */
  let newest: Manifest | undefined
  let isNew = false
  if (description === undefined) {
    const { backups, damaged } = await readInventory(storage)
    newest = backups.at(-1)?.manifest
    isNew = backups.length + damaged.length === 0
    if (isNew) {
      if (unreadable !== undefined) throw unreadable
      if (options.create !== true) throw new AppError('vault.not-found', `there is no vault at ${storage.name}`)
    }
  }

  const keys = new Map<string, Promise<MasterKey>>()
  function keyFor(info: KeyInfo, what: string): Promise<MasterKey> {
    const name = JSON.stringify(info)
    let key = keys.get(name)
    if (key === undefined) {
      key = (async () => unlockKey(info, await secretFor(options, info.kdf), what))()
      keys.set(name, key)
      key.catch(() => keys.delete(name))
    }
    return key
  }

  let sealer: Promise<Sealer> | undefined
  async function makeSealer(): Promise<Sealer> {
    const info = await sealInfo()
    if (info.type === 'none') return plainSealer
    if (info.type === 'age') return ageSealer(settings.encryption?.recipients ?? [], settings.encryption?.password)
    return aesSealer(await keyFor(info, `vault ${storage.name}`))
  }

  /** What new backups are encrypted with. A key is made once for the vault, and a mistyped password is noticed by it. */
  async function sealInfo(): Promise<ManifestEncryption> {
    const known = description?.encryption ?? newest?.encryption
    // Who says nothing of encryption gets what the vault has: never a plain backup in an encrypted vault by omission.
    if (!saysEncryption(settings) && known !== undefined && known.type !== 'none') return described(known)
    if (encryption.type === 'aes-256-gcm' && known?.type === 'aes-256-gcm') {
      if (!asksForOther(settings, known.kdf)) return described(known)
      // The derivation changes, never the secret behind the vault's back.
      await keyFor(known, `vault ${storage.name}`)
    }
    return described(encryption.type === 'aes-256-gcm' ? await newKeyInfo() : encryption)
  }

  /** Sees to it that the vault's description says so. */
  async function described(info: ManifestEncryption): Promise<ManifestEncryption> {
    if (description?.encryption.type === info.type) return info
    if (description !== undefined) {
      description = { ...description, encryption: info }
      await replaceDescription(storage, description)
      return info
    }
    try {
      description = await createDescription(storage, info, clock.now(), unreadable !== undefined)
      return info
    } catch (error) {
      if (!isAppError(error, 'vault.exists')) throw error
      // Another process made the vault at the same moment: its key is the vault's.
      description = await readDescription(storage)
      return sealInfo()
    }
  }

  async function newKeyInfo(): Promise<{ type: 'aes-256-gcm' } & KeyInfo> {
    const kdf = await newKdf(settings)
    const key = await createKey(kdf, await secretFor(options, kdf))
    const info = { kdf, check: key.check }
    keys.set(JSON.stringify(info), Promise.resolve(key))
    return { type: 'aes-256-gcm', ...info }
  }

  const openAge = (): Opener =>
    ageOpener(settings.encryption?.identity, settings.encryption?.password ?? settings.password ?? options.askPassword)

  const context: ArchiveContext = {
    name: settings.name,
    storage,
    clock,
    writing: writeSettings(options),
    sealer: () => (sealer ??= makeSealer()),
    opener({ encryption: used }): Opener {
      if (used.type === 'none') return plainOpener
      if (used.type === 'age') return openAge()
      return aesOpener(keyFor, used)
    },
  }
  if (isNew) await context.sealer()

  async function known(id: string, signal?: AbortSignal): Promise<{ inventory: Inventory; backup: KnownBackup }> {
    const fresh = await readInventory(storage, signal ? { signal } : {})
    return { inventory: fresh, backup: findBackup(fresh, id, settings.name) }
  }

  return {
    name: settings.name,
    format: 'archive',
    storage,
    async backups(cancel = {}) {
      const { backups } = await readInventory(storage, cancel)
      const all = byId(backups)
      return backups.map((backup) => toBackup(backup, settings.name, all))
    },
    backup: async (request) => archiveBackup(context, request),
    async *entries(id, selection = {}) {
      const { backup } = await known(id, selection.signal)
      yield* readEntries(context, backup, selection)
    },
    async *open(id, selection = {}) {
      const { inventory: all, backup } = await known(id, selection.signal)
      const find = (wanted: string): KnownBackup | undefined =>
        all.backups.find(({ manifest }) => manifest.id === wanted)
      const pool = codecPool()
      try {
        const { onUnreadable } = selection
        const told =
          onUnreadable && ((error: AppError, entry: IndexEntry): void => onUnreadable(error, displayPath(entry.path)))
        yield* openEntries({
          context,
          backup,
          find,
          selection,
          pool,
          transient: selection.transient === true,
          ...(told && { onUnreadable: told }),
        })
      } finally {
        await pool.close()
      }
    },
    async *payloads(id, cancel = {}) {
      const { inventory: all, backup } = await known(id, cancel.signal)
      yield* payloadsOf(all, backup)
    },
    async *needs(id, cancel = {}) {
      const { inventory: all, backup } = await known(id, cancel.signal)
      yield* needsOf(all, backup)
    },
    async verify(id, level, checkOptions = {}) {
      const { inventory: all, backup } = await known(id, checkOptions.signal)
      return verifyBackup(context, all, backup, level, checkOptions)
    },
    check: async (checkOptions) => checkVault(context, checkOptions),
    remove: async (ids, removeOptions = {}) => removeBackups(context, ids, removeOptions),
    async annotate(id, change) {
      const { backup } = await known(id)
      await changeNotes(storage, baseOf(backup.key) + NOTES_SUFFIX, backup.manifest.tags, change)
    },
    tidy: async (cancel = {}) => tidyVault(context, cancel),
    lanes: archiveLanes(context, { aes: keyFor, age: openAge }),
    close: async () => storage.close(),
  }
}

const saysEncryption = ({ encryption, password, key }: ArchiveVaultOptions['settings']): boolean =>
  encryption !== undefined || password !== undefined || key !== undefined

/** A password or key alone means AES. */
function encryptionWanted(
  settings: ArchiveVaultOptions['settings'],
): { type: 'none' | 'age' } | { type: 'aes-256-gcm' } {
  if (settings.encryption !== undefined) return { type: settings.encryption.type }
  return { type: settings.password !== undefined || settings.key !== undefined ? 'aes-256-gcm' : 'none' }
}

async function newKdf({ encryption, key }: ArchiveVaultOptions['settings']): Promise<Kdf> {
  const raw = encryption?.key ?? key
  if (raw !== undefined && parseRawKey(await raw.read()) !== undefined) return { type: 'raw' }
  if (encryption?.keyDerivation?.type === 'pbkdf2') {
    return {
      type: 'pbkdf2-sha256',
      salt: saltOf(encryption),
      iterations: encryption.keyDerivation.iterations ?? PBKDF2_DEFAULT_ITERATIONS,
    }
  }
  return { type: 'scrypt', salt: saltOf(encryption), ...SCRYPT_DEFAULT }
}

const saltOf = (encryption: EncryptionSettings | undefined): string =>
  encryption?.keyDerivation?.salt === undefined ? newSalt() : textSalt(encryption.keyDerivation.salt)

const textSalt = (text: string): string => Buffer.from(text, 'utf8').toString('base64')

/** Whether new backups are to have another derivation than the vault's key has; one that is not named is the vault's. */
function asksForOther({ encryption }: ArchiveVaultOptions['settings'], kdf: Kdf): boolean {
  const wanted = encryption?.keyDerivation
  if (wanted === undefined) return false
  if ((wanted.type === 'pbkdf2') !== (kdf.type === 'pbkdf2-sha256')) return true
  if (wanted.salt !== undefined && (kdf.type === 'raw' || textSalt(wanted.salt) !== kdf.salt)) return true
  return kdf.type === 'pbkdf2-sha256' && wanted.iterations !== undefined && wanted.iterations !== kdf.iterations
}

async function secretFor({ settings, storage, askPassword }: ArchiveVaultOptions, kdf: Kdf): Promise<string> {
  const { encryption } = settings
  const [password, key] = [encryption?.password ?? settings.password, encryption?.key ?? settings.key]
  const secret = (kdf.type === 'raw' ? (key ?? password) : (password ?? key)) ?? askPassword
  if (secret !== undefined) return secret.read()
  const what = kdf.type === 'raw' ? 'key' : 'password'
  throw new AppError('vault.no-password', `${storage.name} is encrypted and no ${what} was given`)
}

const DEFAULT_LEVEL = { none: 0, zstd: 3, gzip: 6, deflate: 6, brotli: 5 } as const

function writeSettings({ settings, program, timezone }: ArchiveVaultOptions): WriteSettings {
  const wanted = settings.compression ?? { type: 'zstd' as const }
  const container = wanted.type === 'zip' ? 'zip' : 'tar'
  const type = wanted.type === 'zip' ? 'deflate' : wanted.type
  return {
    template: settings.path ?? DEFAULT_TEMPLATE,
    ...(timezone !== undefined && { timezone }),
    container,
    compression: { type, level: wanted.level ?? DEFAULT_LEVEL[type] },
    partSize: settings.partSize ?? DEFAULT_PART_SIZE,
    program,
  }
}
