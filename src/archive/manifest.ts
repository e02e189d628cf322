/**
 * The manifest of a backup: written last, so that its presence is the backup's existence. docs/formats/archive.md §2.
 * It is plain JSON (names of files are in the index, which is encrypted with the payload), small, and carries a checksum
 * of itself, so that a hand that edited it is noticed.
 */
import { createHash } from 'node:crypto'
import { AppError } from '../base/errors.ts'
import { checkKey } from '../base/keys.ts'
import type { BackupType } from '../model/backup.ts'
import { parseKdf, type KeyInfo } from './keys.ts'
import { Shape } from './shape.ts'

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
  labels?: Record<string, string>
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

/** Whether the index is needed to read the payload: it has the table of frames. */
export const hasFrames = ({ compression: { type } }: Manifest): boolean => type === 'zstd' || type === 'gzip'

export const MANIFEST_SUFFIX = '.manifest.json'

export const encodeManifest = (manifest: Manifest): Buffer => encodeSummed(manifest)

/** Parses and checks; `backup.damaged` names what is wrong. */
export function parseManifest(bytes: Uint8Array, key: string): Manifest {
  const damaged = (problem: string, cause?: unknown): AppError =>
    new AppError('backup.damaged', `manifest ${key} ${problem}`, { cause, details: { key } })
  const value = parseSummed(bytes, damaged)
  const shape = new Shape(value, (problem) => damaged(`makes no sense: ${problem}`))
  if (shape.raw('holdfast') !== 'backup') throw damaged('is not a backup manifest')
  if (shape.raw('version') !== 1) {
    throw new AppError(
      'vault.unsupported',
      `manifest ${key} has version ${String(shape.raw('version'))}, this Holdfast knows 1`,
    )
  }
  // The checksum shows that these are the bytes that somebody wrote, not that it was a Holdfast.
  const manifest: Manifest = {
    holdfast: 'backup',
    version: 1,
    id: shape.text('id'),
    job: shape.text('job'),
    host: shape.text('host'),
    source: shape.text('source'),
    paths: shape.texts('paths'),
    type: shape.oneOf('type', 'full', 'incremental', 'differential'),
    time: shape.time('time'),
    ended: shape.time('ended'),
    chain: shape.texts('chain'),
    needs: shape.texts('needs'),
    tags: shape.texts('tags'),
    ...(shape.raw('labels') !== undefined && { labels: shape.inner('labels').allTexts() }),
    container: shape.oneOf('container', 'tar', 'zip'),
    compression: parseCompression(shape.inner('compression')),
    encryption: parseEncryption(shape.raw('encryption'), `manifest ${key}`),
    payload: parsePayload(shape.inner('payload')),
    index: { ...parsePart(shape.inner('index')), entries: shape.inner('index').count('entries') },
    stats: parseStats(shape.inner('stats')),
    program: shape.text('program'),
  }
  if (manifest.container === 'zip' && manifest.compression.type !== 'none') throw damaged('has a compressed zip')
  if (manifest.chain.includes(manifest.id) || manifest.needs.some((id) => !manifest.chain.includes(id)))
    throw damaged('needs what it does not build on')
  return manifest
}

function parseCompression(shape: Shape): Manifest['compression'] {
  const type = shape.oneOf('type', 'none', 'gzip', 'brotli', 'deflate', 'zstd')
  return shape.raw('level') === undefined ? { type } : { type, level: shape.count('level') }
}

function parsePayload(shape: Shape): Manifest['payload'] {
  const parts = shape.inners('parts').map(parsePart)
  const size = parts.reduce((sum, part) => sum + part.size, 0)
  if (parts.length === 0 || size !== shape.count('size')) throw shape.wrong('its parts do not add up to the payload')
  return { parts, size, containerSize: shape.count('containerSize') }
}

function parsePart(shape: Shape): StoredPart {
  const part = { name: shape.text('name'), size: shape.count('size'), sha256: shape.text('sha256') }
  if (part.name.includes('/') || !isKey(part.name)) throw shape.wrong(`it names a part ${JSON.stringify(part.name)}`)
  return part
}

function parseStats(shape: Shape): ManifestStats {
  const names = [
    ...(['files', 'directories', 'others', 'bytes', 'filesNew', 'filesChanged'] as const),
    ...(['filesUnmodified', 'filesDeleted', 'filesMoved', 'bytesAdded', 'warnings'] as const),
  ]
  return Object.fromEntries(names.map((name) => [name, shape.count(name)])) as Record<keyof ManifestStats, number>
}

/** How a manifest, or the vault's description, says that things are encrypted. */
export function parseEncryption(value: unknown, what: string): ManifestEncryption {
  const fail = (problem: string): AppError =>
    new AppError('backup.damaged', `${what} has key parameters that make no sense: ${problem}`)
  const shape = new Shape(value, fail, 'encryption')
  const type = shape.oneOf('type', 'none', 'age', 'aes-256-gcm')
  if (type !== 'aes-256-gcm') return { type }
  return { type, kdf: parseKdf(shape.raw('kdf'), what), check: shape.text('check') }
}

/** `{ …value, sum }` as JSON that a hand which edited it cannot hide from. */
export function encodeSummed(value: object): Buffer {
  const sum = checksum(JSON.stringify(value, undefined, 1))
  return Buffer.from(`${JSON.stringify({ ...value, sum }, undefined, 1)}\n`, 'utf8')
}

/** Without the sum, which was right. */
export function parseSummed(bytes: Uint8Array, damaged: (problem: string, cause?: unknown) => AppError): object {
  let value: unknown
  let expected: string
  let sum: unknown
  let rest: object
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
    if (typeof value !== 'object' || value === null) throw new TypeError('no object')
    ;({ sum, ...rest } = value as { sum?: unknown })
    // Throws too where the value is nested deeper than the stack.
    expected = checksum(JSON.stringify(rest, undefined, 1))
  } catch (error) {
    throw damaged('is not JSON', error)
  }
  if (sum !== expected) throw damaged('was changed after it was written')
  return rest
}

const checksum = (text: string): string => `sha256:${createHash('sha256').update(text).digest('hex')}`

function isKey(name: string): boolean {
  try {
    checkKey(name)
    return true
  } catch {
    return false
  }
}
