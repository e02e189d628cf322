/** All manifests of a vault, and what follows from them: which backups are whole, and what builds on what. */
import { createHash } from 'node:crypto'
import { AppError, isAppError } from '../base/errors.ts'
import type { Backup } from '../model/backup.ts'
import type { Cancel } from '../model/vault.ts'
import type { Storage } from '../model/storage.ts'
import type { StoredManifest } from './context.ts'
import { hasFrames, MANIFEST_SUFFIX, parseManifest, type Manifest, type StoredPart } from './manifest.ts'
import { NOTES_SUFFIX, readNotes, type Notes } from './notes.ts'
import { folderOf } from './parts.ts'

const MAX_MANIFEST = 16 * 1024 * 1024
const CONCURRENCY = 16

export interface KnownBackup extends StoredManifest {
  notes: Notes
  /** Which of its own objects is missing, or has another size than was written. */
  lost?: { payload?: string; index?: string }
}

export interface DamagedManifest {
  key: string
  error: AppError
}

export interface Inventory {
  /** Oldest first. */
  backups: KnownBackup[]
  damaged: DamagedManifest[]
}

export async function readInventory(storage: Storage, { signal }: Cancel = {}): Promise<Inventory> {
  const cancel = signal ? { signal } : {}
  const keys: string[] = []
  const sizes = new Map<string, number>()
  for await (const { key, size } of storage.list('', cancel)) {
    if (key.endsWith(MANIFEST_SUFFIX)) keys.push(key)
    else sizes.set(key, size)
  }
  const backups: KnownBackup[] = []
  const damaged: DamagedManifest[] = []
  let next = 0
  async function work(): Promise<void> {
    for (let key = keys[next++]; key !== undefined; key = keys[next++]) {
      try {
        const manifest = parseManifest(await readSmall(storage, key, cancel), key)
        const notesKey = baseOf(key) + NOTES_SUFFIX
        const notes = sizes.has(notesKey) ? await readNotes(storage, notesKey, cancel) : {}
        backups.push({ key, manifest, notes, lost: lostObjects(key, manifest, sizes) })
      } catch (error) {
        // Removed since the listing: not there any more. Anything wrong with one manifest must not hide the others.
        if (isAppError(error, 'storage.not-found')) continue
        if (!isAppError(error, 'backup.damaged', 'vault.unsupported')) throw error
        damaged.push({ key, error })
      }
    }
  }
  await Promise.all(Array.from({ length: CONCURRENCY }, work))
  sortByAge(backups)
  damaged.sort((a, b) => a.key.localeCompare(b.key))
  return { backups, damaged }
}

/** Refuses what is too large to be one of ours. */
async function readSmall(storage: Storage, key: string, cancel: Cancel): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  let size = 0
  for await (const chunk of storage.get(key, cancel)) {
    size += chunk.length
    if (size > MAX_MANIFEST)
      throw new AppError('backup.damaged', `${key} is larger than ${MAX_MANIFEST} bytes`, { details: { key } })
    parts.push(chunk)
  }
  return Buffer.concat(parts)
}

function lostObjects(
  key: string,
  { payload, index }: Manifest,
  sizes: ReadonlyMap<string, number>,
): KnownBackup['lost'] {
  const problem = ({ name, size }: StoredPart): string | undefined => {
    const stored = sizes.get(folderOf(key) + name)
    if (stored === undefined) return `${folderOf(key)}${name} is missing`
    return stored === size ? undefined : `${folderOf(key)}${name} has ${stored} bytes instead of ${size}`
  }
  const lost = { payload: payload.parts.map(problem).find(Boolean), index: problem(index) }
  return lost.payload === undefined && lost.index === undefined ? undefined : lost
}

/**
 * By time; but a backup is newer than those that it builds on, also if the clock was set back between them. `chain` names
 * all of these, so a look at their times is enough.
 */
function sortByAge(backups: KnownBackup[]): void {
  const times = new Map(backups.map(({ manifest }) => [manifest.id, Date.parse(manifest.time)]))
  const age = new Map(
    backups.map(({ manifest: { id, chain } }) => [
      id,
      chain.reduce(
        (latest, ancestor, position) => Math.max(latest, (times.get(ancestor) ?? -Infinity) + chain.length - position),
        times.get(id) ?? 0,
      ),
    ]),
  )
  const ageOf = ({ manifest }: KnownBackup): number => age.get(manifest.id) ?? 0
  backups.sort((a, b) => ageOf(a) - ageOf(b) || (a.manifest.id < b.manifest.id ? -1 : 1))
}

export const baseOf = (manifestKey: string): string => manifestKey.slice(0, -MANIFEST_SUFFIX.length)

export type ById = ReadonlyMap<string, KnownBackup>

export const byId = (backups: readonly KnownBackup[]): ById =>
  new Map(backups.map((backup) => [backup.manifest.id, backup]))

/** What keeps a backup from being restored whole, as far as names and sizes tell. */
export function brokenBy({ manifest, lost }: KnownBackup, all: ById): string | undefined {
  const own = lost?.payload ?? lost?.index
  if (own !== undefined) return own
  const missing = manifest.needs.filter((id) => !all.has(id))
  if (missing.length > 0) return `needs ${missing.join(', ')}, which is not in the vault`
  for (const id of manifest.needs) {
    const needed = all.get(id) as KnownBackup
    const gone = needed.lost?.payload ?? (hasFrames(needed.manifest) ? needed.lost?.index : undefined)
    if (gone !== undefined) return `needs ${id}, of which ${gone}`
  }
  return undefined
}

/** With `all`, it is looked up whether what it needs is there. */
export function toBackup(known: KnownBackup, vault: string, all?: ById): Backup {
  const { manifest, notes } = known
  const { stats } = manifest
  const broken = all && brokenBy(known, all)
  const parent = manifest.chain.at(-1)
  return {
    id: manifest.id,
    job: manifest.job,
    vault,
    source: manifest.source,
    type: manifest.type,
    time: new Date(manifest.time),
    ...(parent !== undefined && { parent }),
    needs: manifest.needs,
    tags: notes.tags ?? manifest.tags,
    ...(notes.hold === true && { hold: true }),
    host: manifest.host,
    paths: manifest.paths,
    sourceBytes: stats.bytes,
    storedBytes: manifest.payload.size + manifest.index.size,
    files: stats.files,
    proof: notes.proof
      ? { level: notes.proof.level, at: new Date(notes.proof.at) }
      : { level: 'V0', at: new Date(manifest.ended) },
    warnings: stats.warnings,
    encrypted: manifest.encryption.type !== 'none',
    ended: new Date(manifest.ended),
    ...(manifest.labels && { labels: manifest.labels }),
    compression: manifest.container === 'zip' ? 'zip' : manifest.compression.type,
    checksum: checksumOf(manifest),
    objects: [known.key, ...[...manifest.payload.parts, manifest.index].map(({ name }) => folderOf(known.key) + name)],
    ...(broken !== undefined && { broken }),
  }
}

function checksumOf({ payload: { parts } }: Manifest): string {
  const sums = parts.map(({ sha256 }) => sha256)
  return sums.length === 1 ? (sums[0] as string) : createHash('sha256').update(sums.join('')).digest('hex')
}

/** The backup called `id` (a unique beginning will do), `latest`, or `backup.not-found`. */
export function findBackup(inventory: Inventory, id: string, vault: string): KnownBackup {
  if (id === 'latest') {
    const newest = inventory.backups.at(-1)
    if (newest === undefined) throw new AppError('backup.not-found', `there is no backup in ${vault}`)
    return newest
  }
  const exact = inventory.backups.find(({ manifest }) => manifest.id === id)
  if (exact !== undefined) return exact
  const matches = inventory.backups.filter(
    ({ manifest }) => manifest.id.startsWith(id) || manifest.id.endsWith(`-${id}`),
  )
  if (matches.length === 1) return matches[0] as KnownBackup
  if (matches.length > 1)
    throw new AppError('backup.not-found', `${matches.length} backups in ${vault} begin with ${id}`)
  const damaged = inventory.damaged.find(({ key }) => key.includes(id))
  if (damaged !== undefined) throw damaged.error
  throw new AppError('backup.not-found', `there is no backup ${id} in ${vault}`)
}
