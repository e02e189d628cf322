/** `holdfast-vault.json`: what a storage is. docs/formats/archive.md §1. */
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { utf8 } from '../base/bytes.ts'
import { AppError, isAppError } from '../base/errors.ts'
import { collect } from '../base/streams.ts'
import type { Storage } from '../model/storage.ts'
import { parseKdf } from './keys.ts'
import type { ManifestEncryption } from './manifest.ts'

export const DESCRIPTION = 'holdfast-vault.json'

export interface VaultDescription {
  holdfast: 'vault'
  version: 1
  format: 'archive'
  id: string
  created: string
  /** Of new backups; each manifest says its own. */
  encryption: ManifestEncryption
}

export async function readDescription(storage: Storage): Promise<VaultDescription | undefined> {
  let text: string
  try {
    text = Buffer.from(await collect(storage.get(DESCRIPTION), 1024 * 1024)).toString('utf8')
  } catch (error) {
    if (isAppError(error, 'storage.not-found')) return undefined
    throw error
  }
  return parseDescription(text, storage.name)
}

function parseDescription(text: string, name: string): VaultDescription {
  let value: VaultDescription
  try {
    value = JSON.parse(text) as VaultDescription
  } catch (error) {
    throw new AppError('backup.damaged', `${DESCRIPTION} of ${name} is not JSON`, {
      cause: error,
      hint: `Backups can still be read: remove ${DESCRIPTION} and connect the vault again.`,
    })
  }
  if (value.holdfast !== 'vault' || value.format !== 'archive') {
    throw new AppError('vault.unsupported', `${DESCRIPTION} of ${name} does not describe an archive vault`)
  }
  if (value.version !== 1) throw new AppError('vault.unsupported', `vault ${name} has version ${String(value.version)}`)
  if (value.encryption.type === 'aes-256-gcm') parseKdf(value.encryption.kdf, name)
  return value
}

/** Writes the description and what helps without Holdfast. Two creators at once: the second gets `vault.exists`. */
export async function createDescription(
  storage: Storage,
  encryption: ManifestEncryption,
  now: Date,
): Promise<VaultDescription> {
  const description: VaultDescription = {
    holdfast: 'vault',
    version: 1,
    format: 'archive',
    id: randomUUID(),
    created: now.toISOString(),
    encryption,
  }
  try {
    await storage.put(DESCRIPTION, encode(description), { ifAbsent: true, storageClass: 'warm' })
  } catch (error) {
    if (!isAppError(error, 'storage.exists')) throw error
    throw new AppError('vault.exists', `${storage.name} holds a vault already`, { cause: error })
  }
  for (const file of ['RECOVERY.md', 'restore.mjs']) {
    const bytes = readFileSync(new URL(`./recovery/${file}`, import.meta.url))
    await storage.put(file, bytes, { storageClass: 'warm' })
  }
  return description
}

export async function replaceDescription(storage: Storage, description: VaultDescription): Promise<void> {
  await storage.put(DESCRIPTION, encode(description), { storageClass: 'warm' })
}

const encode = (description: VaultDescription): Uint8Array => utf8(`${JSON.stringify(description, undefined, 1)}\n`)
