/** A repository of restic's format as a vault. Reading, proof and notes; writing backups comes with the engine's threads. */
import { basename } from 'node:path'
import { AppError } from '../base/errors.ts'
import type { Backup } from '../model/backup.ts'
import type { Secret, VaultSettings } from '../model/settings.ts'
import type { Storage } from '../model/storage.ts'
import type { Cancel, Vault } from '../model/vault.ts'
import { examine } from './check.ts'
import { dateOf, parseGoTime } from './go-time.ts'
import { changeNotes, notedIds, readNotes, type Notes } from './notes.ts'
import { openEntries, readEntries } from './read.ts'
import { loadIndex, openRepository, readSnapshots, type IndexedRepository, type OpenRepository } from './repository.ts'
import type { StoredSnapshot } from './snapshot.ts'

export interface RepositoryVaultOptions {
  storage: Storage
  settings: Pick<VaultSettings, 'name' | 'password'>
  /** Asked when the settings hold no password. */
  askPassword?: Secret
}

export async function repositoryVault({ storage, settings, askPassword }: RepositoryVaultOptions): Promise<Vault> {
  const password = settings.password ?? askPassword
  if (password === undefined)
    throw new AppError('vault.no-password', `${storage.name} is a repository, and no password was given`)
  const repository = await openRepository(storage, password)
  const { name } = settings

  async function find(id: string, cancel: Cancel = {}): Promise<StoredSnapshot> {
    const found = (await readSnapshots(repository, { ...cancel, onUnreadable: () => undefined })).find(
      (stored) => stored.id === id,
    )
    if (found !== undefined) return found
    throw new AppError('backup.not-found', `there is no snapshot ${id} in ${storage.name}`)
  }

  /** The index as it is after the snapshots were listed: see loadIndex. */
  async function indexed(cancel: Cancel): Promise<IndexedRepository> {
    return loadIndex(repository, cancel)
  }

  const unwritable = (what: string): AppError =>
    new AppError('vault.unsupported', `${what} ${storage.name} does not work yet in this version`, {
      hint: 'It is a restic repository: use `restic` for this until a later version of Holdfast does it.',
    })

  return {
    name,
    format: 'repository',
    storage,
    backups: async (cancel = {}) => listBackups(repository, name, cancel),
    backup: async () => {
      throw unwritable('making a backup in')
    },
    async *entries(id, selection = {}) {
      const { snapshot } = await find(id, selection)
      yield* readEntries(await indexed(selection), snapshot.tree, selection)
    },
    async *open(id, options = {}) {
      const { snapshot } = await find(id, options)
      yield* openEntries(await indexed(options), snapshot.tree, options)
    },
    async verify(id, level, options = {}) {
      const stored = await find(id, options)
      const depth = { V0: 'sizes', V1: 'packs', V2: 'blobs' } as const
      const result = await examine(await indexed(options), [stored], depth[level], options)
      for (const damage of result.damage) damage.backups = [id]
      return result
    },
    async check(options) {
      const broken: string[] = []
      const onUnreadable = (what: string) => (id: string, error: AppError) =>
        broken.push(`${what}/${id}: ${error.message}`)
      const snapshots = await readSnapshots(repository, { ...options, onUnreadable: onUnreadable('snapshots') })
      const index = await loadIndex(repository, { ...options, onUnreadable: onUnreadable('index') })
      const depth = options.readData === true ? ((options.readDataShare ?? 1) < 1 ? 'packs' : 'blobs') : 'sizes'
      const result = await examine(index, snapshots, depth, { ...options, wholeVault: true })
      for (const text of broken) {
        const [key = '', problem = ''] = text.split(': ', 2)
        result.damage.push({ key, problem, backups: [], paths: [], pathCount: 0 })
      }
      return { ...result, ok: result.damage.length === 0 }
    },
    remove: async (ids) => {
      if (ids.length === 0) return { removed: [], bytesFreed: 0 }
      throw unwritable('removing snapshots from')
    },
    async annotate(id, change) {
      const { snapshot } = await find(id)
      await changeNotes(repository, id, snapshot.tags ?? [], change)
    },
    tidy: async () => ({ removed: 0, bytes: 0 }),
    close: async () => storage.close(),
  }
}

async function listBackups(repository: OpenRepository, vault: string, cancel: Cancel): Promise<Backup[]> {
  const stored = await readSnapshots(repository, { ...cancel, onUnreadable: () => undefined })
  const noted = await notedIds(repository, cancel)
  const backups: Backup[] = []
  for (const one of stored)
    backups.push(toBackup(one, noted.has(one.id) ? await readNotes(repository, one.id, cancel) : {}, vault))
  return backups
}

function toBackup({ id, snapshot }: StoredSnapshot, notes: Notes, vault: string): Backup {
  const { summary, holdfast, paths, parent, hostname } = snapshot
  const time = dateOf(parseGoTime(snapshot.time) ?? { s: 0, ns: 0 })
  return {
    id,
    // A snapshot that restic made gets the name that an ad hoc job of the same paths has.
    job: holdfast?.job || basename(paths[0] ?? '') || 'root',
    vault,
    source: holdfast?.source ?? 'files',
    type: parent === undefined ? 'full' : 'incremental',
    time,
    ...(parent !== undefined && { parent }),
    needs: [],
    tags: notes.tags ?? snapshot.tags ?? [],
    ...(notes.hold === true && { hold: true }),
    ...(hostname !== undefined && { host: hostname }),
    paths,
    sourceBytes: summary?.total_bytes_processed ?? 0,
    storedBytes: summary?.data_added_packed ?? 0,
    files: summary?.total_files_processed ?? 0,
    proof: notes.proof ?? { level: 'V0', at: time },
    warnings: holdfast?.warnings ?? 0,
    encrypted: true,
  }
}
