/** `holdfast-vault.json`: what a storage is. docs/formats/archive.md §1. */
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { AppError, isAppError } from '../base/errors.ts'
import { collect } from '../base/streams.ts'
import type { Storage } from '../model/storage.ts'
import { encodeSummed, parseEncryption, parseSummed, type ManifestEncryption } from './manifest.ts'
import { Shape } from './shape.ts'

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

/** Undefined when there is none; `backup.damaged` when it is not what was written. */
export async function readDescription(storage: Storage): Promise<VaultDescription | undefined> {
  const { name } = storage
  const damaged = (problem: string, cause?: unknown): AppError =>
    new AppError('backup.damaged', `${DESCRIPTION} of ${name} ${problem}`, {
      cause,
      hint: 'Backups can still be read, and the next one writes it anew.',
      details: { key: DESCRIPTION },
    })
  let bytes: Uint8Array
  try {
    bytes = await collect(storage.get(DESCRIPTION), 1024 * 1024)
  } catch (error) {
    if (isAppError(error, 'storage.not-found')) return undefined
    throw error
  }
  const shape = new Shape(parseSummed(bytes, damaged), (problem) => damaged(`makes no sense: ${problem}`))
  if (shape.raw('holdfast') !== 'vault' || shape.raw('format') !== 'archive')
    throw new AppError('vault.unsupported', `${DESCRIPTION} of ${name} does not describe an archive vault`)
  if (shape.raw('version') !== 1)
    throw new AppError('vault.unsupported', `vault ${name} has version ${String(shape.raw('version'))}`)
  return {
    holdfast: 'vault',
    version: 1,
    format: 'archive',
    id: shape.text('id'),
    created: shape.time('created'),
    encryption: parseEncryption(shape.raw('encryption'), `${DESCRIPTION} of ${name}`),
  }
}

/**
 * Writes what helps without Holdfast, then the description, so that no vault is without it. Two creators at once: the
 * second gets `vault.exists`, unless it may `replace` what is there.
 */
export async function createDescription(
  storage: Storage,
  encryption: ManifestEncryption,
  now: Date,
  replace = false,
): Promise<VaultDescription> {
  const description: VaultDescription = {
    holdfast: 'vault',
    version: 1,
    format: 'archive',
    id: randomUUID(),
    created: now.toISOString(),
    encryption,
  }
  for (const file of ['RECOVERY.md', 'restore.mjs']) {
    const bytes = readFileSync(new URL(`./recovery/${file}`, import.meta.url))
    await storage.put(file, bytes, { storageClass: 'warm' })
  }
  try {
    await storage.put(DESCRIPTION, encodeSummed(description), { ifAbsent: !replace, storageClass: 'warm' })
  } catch (error) {
    if (!isAppError(error, 'storage.exists')) throw error
    throw new AppError('vault.exists', `${storage.name} holds a vault already`, { cause: error })
  }
  return description
}

export async function replaceDescription(storage: Storage, description: VaultDescription): Promise<void> {
  await storage.put(DESCRIPTION, encodeSummed(description), { storageClass: 'warm' })
}
