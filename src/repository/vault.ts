/** A repository of restic's format as a vault. */
import type { Clock } from '../base/clock.ts'
import { AppError, isAppError } from '../base/errors.ts'
import type { Backup } from '../model/backup.ts'
import type { Secret, VaultSettings } from '../model/settings.ts'
import type { Storage } from '../model/storage.ts'
import type { Cancel, Vault } from '../model/vault.ts'
import type { BackupContext, WriteOptions } from './backup.ts'
import { isId, keyOfFile } from './ids.ts'
import { repositoryLanes } from './log-store.ts'
import { keyRing } from './key-ring.ts'
import { lockRepository, removeDeadLocks, type RepositoryLock } from './lock.ts'
import { changeNotes, notedIds, readNotes } from './notes.ts'
import {
  createRepository,
  isRepository,
  listIds,
  loadIndex,
  openRepository,
  readSnapshots,
  type IndexedRepository,
  type OpenRepository,
} from './repository.ts'
import { parseSnapshot, type StoredSnapshot } from './snapshot.ts'
import { toBackup } from './to-backup.ts'
import { readUnpacked } from './unpacked.ts'
import { DEFAULT_LEVEL } from './zstd.ts'

/** Unfinished writes are older than any that is still at work. */
const SWEEP_AGE_MS = 60 * 60_000

export interface RepositoryVaultOptions {
  storage: Storage
  settings: Pick<VaultSettings, 'name' | 'password' | 'compression' | 'readBack'>
  clock: Clock
  /** Recorded in snapshots: `holdfast 1.2.3`. */
  program: string
  /** Asked when the settings hold no password. */
  askPassword?: Secret
  /** Make the repository when there is none; else `vault.not-found`. */
  create?: boolean
  /** Of one that is made: as another repository cuts content. */
  chunker?: bigint
}

export async function repositoryVault(options: RepositoryVaultOptions): Promise<Vault> {
  const { storage, settings, clock, askPassword, create, chunker } = options
  const password = settings.password ?? askPassword
  if (password === undefined)
    throw new AppError('vault.no-password', `${storage.name} is a repository, and no password was given`)
  const repository =
    create === true && !(await isRepository(storage))
      ? await createRepository(storage, password, {
          now: clock.now(),
          ...(chunker !== undefined && { polynomial: chunker }),
        })
      : await openRepository(storage, password)
  return vaultOf(repository, options)
}

/** What lies behind a vault, for another one that takes over a backup blob by blob. */
interface Inside {
  polynomial: bigint
  /** The backup and its index while nobody prunes. */
  using<T>(
    id: string,
    cancel: Cancel,
    work: (index: IndexedRepository, stored: StoredSnapshot) => Promise<T>,
  ): Promise<T>
}

const insides = new WeakMap<Vault, Inside>()

/** The vault of a repository that is open. */
export function vaultOf(
  repository: OpenRepository,
  options: Pick<RepositoryVaultOptions, 'settings' | 'clock' | 'program'>,
): Vault {
  const { settings, clock, program } = options
  const { storage } = repository
  const { name } = settings
  const writing: WriteOptions = { level: levelOf(settings), verify: settings.readBack !== false }
  const context: BackupContext = { repository, name, clock, program, writing }
  let loaded: IndexedRepository | undefined

  async function find(id: string, cancel: Cancel = {}): Promise<StoredSnapshot> {
    try {
      if (isId(id)) {
        const json = await readUnpacked(storage, repository.key, 'snapshots', id, cancel)
        return { id, snapshot: parseSnapshot(json, `snapshot ${id.slice(0, 8)}`) }
      }
    } catch (error) {
      if (!isAppError(error, 'storage.not-found')) throw error
    }
    throw new AppError('backup.not-found', `there is no snapshot ${id} in ${storage.name}`)
  }

  /** The index as it is after the snapshots were listed: see loadIndex. Loaded again when its files are others. */
  async function indexed(cancel: Cancel): Promise<IndexedRepository> {
    if (loaded !== undefined) {
      const ids: string[] = []
      for await (const id of listIds(storage, 'index', cancel)) ids.push(id)
      if (ids.length === loaded.indexFiles.length && ids.sort().join() === [...loaded.indexFiles].sort().join())
        return loaded
    }
    return (loaded = await loadIndex(repository, cancel))
  }

  /**
   * So that nobody prunes what is being read. Where nothing can be written, reading goes on without. What must be known first is
   * read while the lock waits for its second look.
   */
  async function readLock(cancel: Cancel): Promise<RepositoryLock | undefined> {
    try {
      return await lockRepository(repository, { exclusive: false, clock, ...cancel })
    } catch (error) {
      if (isAppError(error, 'storage.denied', 'storage.unsupported', 'storage.full')) return undefined
      throw error
    }
  }

  /** The packs that hold what a backup has of these kinds. */
  async function* packsOf(id: string, kinds: readonly string[], how: Cancel): AsyncGenerator<string> {
    await using _lock = await readLock(how)
    const { snapshot } = await find(id, how)
    const repo = await indexed(how)
    const { markUsed } = await import('./pack-plan.ts')
    const { used } = await markUsed(repo, [snapshot.tree], how)
    const numbers = new Set<number>()
    for (const [entry, isUsed] of used.entries())
      if (isUsed === 1 && kinds.includes(repo.index.typeOf(entry))) numbers.add(repo.index.place(entry).pack)
    for (const number of numbers) yield keyOfFile('data', repo.packs.id(number))
  }

  const vault: Vault = {
    name,
    format: 'repository',
    storage,
    backups: async (cancel = {}) => listBackups(repository, name, cancel),
    async backup(request) {
      loaded = undefined
      const { repositoryBackup } = await import('./backup.ts')
      return repositoryBackup(context, request)
    },
    async takeOver(from, backup, how = {}) {
      const inside = insides.get(from)
      // Content that is cut elsewhere would never meet what is backed up here.
      if (inside?.polynomial !== repository.config.polynomial) return undefined
      loaded = undefined
      const { takeOver } = await import('./take-over.ts')
      return inside.using(backup.id, how, async (index, snapshot) =>
        takeOver(context, { repository: index, snapshot, backup }, how),
      )
    },
    async *entries(id, selection = {}) {
      const { snapshot } = await find(id, selection)
      const { readEntries } = await import('./read.ts')
      yield* readEntries(await indexed(selection), snapshot.tree, selection)
    },
    async *open(id, how = {}) {
      await using lock = await readLock(how)
      const [{ Deliveries }, { openEntries }] = await Promise.all([import('./deliveries.ts'), import('./read.ts')])
      const { snapshot } = await find(id, how)
      await using deliveries = new Deliveries(await indexed(how), how.signal ? { signal: how.signal } : {})
      const { total_files_processed: files = 0 } = snapshot.summary ?? {}
      if (how.transient === true && how.want === undefined && how.under === undefined) deliveries.expect(files)
      await lock?.confirmed
      yield* openEntries(deliveries, snapshot.tree, how)
    },
    payloads: (id, how = {}) => packsOf(id, ['data'], how),
    async *needs(id, how = {}) {
      yield 'config'
      yield keyOfFile('snapshots', (await find(id, how)).id)
      // Which of them tell of its packs changes with each prune; one key suffices, but nobody knows which is remembered.
      for (const folder of ['keys/', 'index/'])
        for await (const { key } of storage.list(folder, how.signal ? { signal: how.signal } : {})) yield key
      yield* packsOf(id, ['data', 'tree'], how)
    },
    async verify(id, level, how = {}) {
      await using lock = await readLock(how)
      const stored = await find(id, how)
      const index = await indexed(how)
      await lock?.confirmed
      const { examine } = await import('./check.ts')
      const depth = { V0: 'sizes', V1: 'packs', V2: 'blobs' } as const
      const result = await examine(index, [stored], depth[level], how)
      for (const damage of result.damage) damage.backups = [id]
      return result
    },
    async check(how) {
      await using lock = await readLock(how)
      const broken: string[] = []
      const onUnreadable = (what: string) => (id: string, error: AppError) =>
        broken.push(`${what}/${id}: ${error.message}`)
      const snapshots = await readSnapshots(repository, { ...how, onUnreadable: onUnreadable('snapshots') })
      const index = await loadIndex(repository, { ...how, onUnreadable: onUnreadable('index') })
      await lock?.confirmed
      const { examine } = await import('./check.ts')
      const depth = how.readData === true ? ((how.readDataShare ?? 1) < 1 ? 'packs' : 'blobs') : 'sizes'
      const result = await examine(index, snapshots, depth, { ...how, wholeVault: true })
      for (const text of broken) {
        const [key = '', problem = ''] = text.split(': ', 2)
        result.damage.push({ key, problem, backups: [], paths: [], pathCount: 0 })
      }
      return { ...result, ok: result.damage.length === 0 }
    },
    async remove(ids, how = {}) {
      if (ids.length === 0 && how.maxUnused === undefined && how.maxRepackBytes === undefined)
        return { removed: [], bytesFreed: 0 }
      const { removeSnapshots } = await import('./prune.ts')
      return removeSnapshots(context, ids, how)
    },
    async annotate(id, change) {
      const { snapshot } = await find(id)
      await changeNotes(repository, id, snapshot.tags ?? [], change)
    },
    async tidy(cancel = {}) {
      const locks = await removeDeadLocks(repository, { clock, ...cancel })
      try {
        const { removed, bytes } = await storage.sweep(new Date(clock.now().getTime() - SWEEP_AGE_MS), cancel)
        return { removed: removed + locks, bytes }
      } catch (error) {
        // Who may only add has no right to look for what others left.
        if (!isAppError(error, 'storage.denied', 'storage.unsupported')) throw error
        return { removed: locks, bytes: 0 }
      }
    },
    chunker: repository.config.polynomial,
    lanes: repositoryLanes(repository),
    keys: keyRing(repository, clock),
    async unlock({ all, ...cancel }) {
      const notes: string[] = []
      await removeDeadLocks(repository, { clock, all, ...cancel, onNote: (text) => notes.push(text) })
      return notes
    },
    async repair(how) {
      loaded = undefined
      const { repairRepository } = await import('./repair.ts')
      return repairRepository(context, how)
    },
    close: async () => storage.close(),
  }
  insides.set(vault, {
    polynomial: repository.config.polynomial,
    async using(id, cancel, work) {
      await using lock = await readLock(cancel)
      const stored = await find(id, cancel)
      const index = await indexed(cancel)
      await lock?.confirmed
      return work(index, stored)
    },
  })
  return vault
}

async function listBackups(
  repository: OpenRepository,
  vault: string,
  { onUnreadable, ...cancel }: NonNullable<Parameters<Vault['backups']>[0]>,
): Promise<Backup[]> {
  const stored = await readSnapshots(repository, { ...cancel, onUnreadable: (_id, error) => onUnreadable?.(error) })
  const noted = await notedIds(repository, cancel)
  const backups: Backup[] = []
  for (const one of stored)
    backups.push(toBackup(one, noted.has(one.id) ? await readNotes(repository, one.id, cancel) : {}, vault))
  return backups
}

/** Repositories know zstd alone; restic's levels are its levels 1 to 19. */
function levelOf({ compression }: Pick<VaultSettings, 'compression'>): number {
  if (compression === undefined) return DEFAULT_LEVEL
  if (compression.type !== 'zstd')
    throw new AppError('config.invalid', `a repository compresses with zstd, not with ${compression.type}`)
  return compression.level ?? DEFAULT_LEVEL
}
