/** All manifests of a vault, and what follows from them: which backups are whole, and what builds on what. */
import { AppError, isAppError } from '../base/errors.ts'
import { collect } from '../base/streams.ts'
import type { Backup, Proof } from '../model/backup.ts'
import type { Cancel } from '../model/vault.ts'
import type { Storage } from '../model/storage.ts'
import type { StoredManifest } from './context.ts'
import { MANIFEST_SUFFIX, parseManifest } from './manifest.ts'

export const NOTES_SUFFIX = '.notes.json'
const MAX_MANIFEST = 16 * 1024 * 1024
const CONCURRENCY = 16

export interface Notes {
  tags?: string[]
  hold?: boolean
  proof?: { level: Proof['level']; at: string }
}

export interface KnownBackup extends StoredManifest {
  notes: Notes
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
  const keys: string[] = []
  const withNotes = new Set<string>()
  for await (const { key } of storage.list('', signal ? { signal } : {})) {
    if (key.endsWith(MANIFEST_SUFFIX)) keys.push(key)
    else if (key.endsWith(NOTES_SUFFIX)) withNotes.add(key)
  }
  const backups: KnownBackup[] = []
  const damaged: DamagedManifest[] = []
  let next = 0
  async function work(): Promise<void> {
    for (let key = keys[next++]; key !== undefined; key = keys[next++]) {
      try {
        const manifest = parseManifest(await collect(storage.get(key), MAX_MANIFEST), key)
        const notesKey = baseOf(key) + NOTES_SUFFIX
        backups.push({ key, manifest, notes: withNotes.has(notesKey) ? await readNotes(storage, notesKey) : {} })
      } catch (error) {
        // Removed since the listing: not there any more. Anything wrong with one manifest must not hide the others.
        if (isAppError(error, 'storage.not-found')) continue
        if (!isAppError(error, 'backup.damaged', 'vault.unsupported')) throw error
        damaged.push({ key, error })
      }
    }
  }
  await Promise.all(Array.from({ length: CONCURRENCY }, work))
  backups.sort((a, b) => a.manifest.time.localeCompare(b.manifest.time) || a.manifest.id.localeCompare(b.manifest.id))
  damaged.sort((a, b) => a.key.localeCompare(b.key))
  return { backups, damaged }
}

export const baseOf = (manifestKey: string): string => manifestKey.slice(0, -MANIFEST_SUFFIX.length)

export async function readNotes(storage: Storage, key: string): Promise<Notes> {
  try {
    const value = JSON.parse(Buffer.from(await collect(storage.get(key), MAX_MANIFEST)).toString('utf8')) as Notes
    return typeof value === 'object' && value !== null ? value : {}
  } catch (error) {
    // Notes are not worth failing for.
    if (error instanceof SyntaxError || isAppError(error, 'storage.not-found')) return {}
    throw error
  }
}

/** Ids of the backups that `id` needs but that are not there. */
export function missingLinks(backup: StoredManifest, present: ReadonlySet<string>): string[] {
  return backup.manifest.needs.filter((id) => !present.has(id))
}

export function toBackup(known: KnownBackup, vault: string, present: ReadonlySet<string>): Backup {
  const { manifest, notes } = known
  const { stats } = manifest
  const missing = missingLinks(known, present)
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
    ...(missing.length > 0 && { broken: `needs ${missing.join(', ')}, which is not in the vault` }),
  }
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
