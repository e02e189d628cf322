/**
 * The manifest of a backup: written last, so that its presence is the backup's existence. docs/formats/archive.md §2.
 * It is plain JSON (names of files are in the index, which is encrypted with the payload), small, and carries a checksum
 * of itself, so that a hand that edited it is noticed.
 */
import { createHash } from 'node:crypto'
import { AppError } from '../base/errors.ts'
import type { BackupType } from '../model/backup.ts'
import { parseKdf, type KeyInfo } from './keys.ts'

export type Container = 'tar' | 'zip'
export type Compression = 'none' | 'gzip' | 'brotli' | 'deflate' | 'zstd'
export type ManifestEncryption = ({ type: 'aes-256-gcm' } & KeyInfo) | { type: 'age' } | { type: 'none' }

/** An object that lies beside the manifest. */
export interface StoredPart {
  name: string
  size: number
  /** SHA-256 of the stored bytes, hex. */
  sha256: string
}

export interface Manifest {
  holdfast: 'backup'
  version: 1
  id: string
  job: string
  host: string
  source: string
  paths: string[]
  type: BackupType
  /** When the source began to be read, and when the manifest was written. */
  time: string
  ended: string
  /** Backups from the full one to the parent; empty for a full one. */
  chain: string[]
  /** Those of the chain whose payloads hold content of this one. */
  needs: string[]
  tags: string[]
  container: Container
  compression: { type: Compression; level?: number }
  encryption: ManifestEncryption
  payload: { parts: StoredPart[]; size: number; containerSize: number }
  index: StoredPart & { entries: number }
  stats: ManifestStats
  program: string
}

export interface ManifestStats {
  files: number
  directories: number
  others: number
  /** Bytes of content of all files, stored or not. */
  bytes: number
  filesNew: number
  filesChanged: number
  filesUnmodified: number
  filesDeleted: number
  filesMoved: number
  /** Bytes of content in this payload. */
  bytesAdded: number
  warnings: number
}

export const MANIFEST_SUFFIX = '.manifest.json'

export function encodeManifest(manifest: Manifest): Buffer {
  const body = JSON.stringify(manifest, undefined, 1)
  const text = JSON.stringify({ ...manifest, sum: checksum(body) }, undefined, 1)
  return Buffer.from(`${text}\n`, 'utf8')
}

/** Parses and checks; `backup.damaged` names what is wrong. */
export function parseManifest(bytes: Uint8Array, key: string): Manifest {
  const damaged = (problem: string, cause?: unknown): AppError =>
    new AppError('backup.damaged', `manifest ${key} ${problem}`, { cause, details: { key } })
  let value: Record<string, unknown>
  try {
    value = JSON.parse(Buffer.from(bytes).toString('utf8')) as Record<string, unknown>
  } catch (error) {
    throw damaged('is not JSON', error)
  }
  if (typeof value !== 'object' || value === null || value['holdfast'] !== 'backup')
    throw damaged('is not a backup manifest')
  if (value['version'] !== 1) {
    throw new AppError(
      'vault.unsupported',
      `manifest ${key} has version ${String(value['version'])}, this Holdfast knows 1`,
    )
  }
  const { sum, ...rest } = value
  if (sum !== checksum(JSON.stringify(rest, undefined, 1))) throw damaged('was changed after it was written')
  // The checksum shows that these are the bytes that a Holdfast wrote; names and key parameters are checked all the same.
  const manifest = rest as unknown as Manifest
  for (const part of [...manifest.payload.parts, manifest.index]) {
    if (part.name.includes('/') || part.name === '..' || part.name === '')
      throw damaged(`names a part ${JSON.stringify(part.name)}`)
  }
  if (manifest.encryption.type === 'aes-256-gcm') parseKdf(manifest.encryption.kdf, `manifest ${key}`)
  return manifest
}

const checksum = (text: string): string => `sha256:${createHash('sha256').update(text).digest('hex')}`
