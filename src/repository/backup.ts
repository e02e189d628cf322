/** Making one snapshot: a lock, the snapshot before, entries in, packs and indexes out, the snapshot last. */
import { isAbort, isAppError, toAppError } from '../base/errors.ts'
import type { Clock } from '../base/clock.ts'
import { throwIfAborted } from '../base/streams.ts'
import type { BackupOutcome, BackupRequest } from '../model/vault.ts'
import { ContentStore } from './content.ts'
import { counted, requestsText } from './counted.ts'
import { EntryStore } from './entry-store.ts'
import { goTime, timestampOf } from './go-time.ts'
import { userName } from '../base/user.ts'
import { Lanes } from './lanes.ts'
import { lockRepository, type RepositoryLock } from './lock.ts'
import { PackStore } from './pack-store.ts'
import { PackWriter, type WriterSettings } from './pack-writer.ts'
import { isObject } from './parse.ts'
import { Previous } from './previous.ts'
import { Progress } from './progress.ts'
import { loadIndex, readSnapshots, type IndexedRepository, type OpenRepository } from './repository.ts'
import { encodeSnapshot, type Snapshot, type StoredSnapshot } from './snapshot.ts'
import { toBackup } from './to-backup.ts'
import { TreeWriter } from './tree-writer.ts'
import { storeUnpacked } from './unpacked.ts'

export interface WriteOptions {
  /** Of zstd. */
  level: number
  /** Open each blob again before it counts as written. */
  verify: boolean
  packSize?: number
  /** As many as processors if not said. */
  threads?: number
}

export interface BackupContext {
  repository: OpenRepository
  /** Of the vault. */
  name: string
  clock: Clock
  /** `holdfast 1.2.3` */
  program: string
  writing: WriteOptions
}

export async function repositoryBackup(context: BackupContext, request: BackupRequest): Promise<BackupOutcome> {
  const { clock } = context
  const { storage, counts } = counted(context.repository.storage)
  const repository = { ...context.repository, storage }
  const { signal } = request
  const cancel = signal ? { signal } : {}
  await using lock = await lockRepository(repository, {
    exclusive: false,
    clock,
    ...cancel,
    onNote: (message) => request.onProgress?.({ type: 'log', level: 'info', message }),
  })
  // Before the index, so that what they need is in it.
  const snapshots = await readSnapshots(repository, { ...cancel, onUnreadable: () => undefined })
  const indexed = await loadIndex(repository, cancel)
  const parent = request.type === 'full' ? undefined : parentOf(snapshots, request)
  if (parent === undefined && request.type !== 'full' && request.type !== 'auto')
    request.onProgress?.({
      type: 'log',
      level: 'info',
      message: 'there is no snapshot of these paths yet: all is read',
    })
  if (parent !== undefined) request.reading.expectUnchanged?.()
  const outcome = await write(context, indexed, lock, parent, request)
  const message = `requests to the storage: ${requestsText(counts)}`
  request.onProgress?.({ type: 'log', level: 'info', message, fields: { ...counts } })
  return outcome
}

/** The latest of the same host and paths that is not later. */
function parentOf(snapshots: readonly StoredSnapshot[], request: BackupRequest): StoredSnapshot | undefined {
  const paths = [...request.paths].sort().join('\0')
  const now = goTime(timestampOf(request.time), () => 0)
  return snapshots.findLast(
    ({ snapshot }) =>
      snapshot.hostname === request.host &&
      [...snapshot.paths].sort().join('\0') === paths &&
      new Date(snapshot.time).getTime() <= new Date(now).getTime(),
  )
}

async function write(
  context: BackupContext,
  repository: IndexedRepository,
  lock: RepositoryLock,
  parent: StoredSnapshot | undefined,
  request: BackupRequest,
): Promise<BackupOutcome> {
  const { clock, writing } = context
  const { signal } = request
  const cancel = signal ? { signal } : {}
  const started = clock.now()
  const progress = new Progress(request, parent?.snapshot.summary)
  request.onProgress?.({
    type: 'stage',
    stage: 'backup',
    detail: parent === undefined ? 'first backup' : `after ${parent.id.slice(0, 8)}`,
  })
  const store = new PackStore(repository, {
    clock,
    ...cancel,
    onBytes: (bytes) => progress.stored(bytes),
    allowed: lock.confirmed,
    assertAllowed: () => lock.assertHeld(),
  })
  const settings: Omit<WriterSettings, 'type'> = {
    key: repository.key,
    index: repository.index,
    level: repository.config.version === 1 ? undefined : writing.level,
    verify: writing.verify,
    ...(writing.packSize !== undefined && { packSize: writing.packSize }),
  }
  const lanes = new Lanes({ ...settings, type: 'data' }, store, writing)
  const treeWriter = new PackWriter({ ...settings, type: 'tree' }, store.memory('tree'))
  try {
    const previous = new Previous(repository, cancel)
    const trees = new TreeWriter(treeWriter, await previous.folder(parent?.snapshot.tree), (change) => {
      progress.folders[change] += 1
    })
    const content = new ContentStore(lanes, repository.config.polynomial)
    await new EntryStore(
      { repository, trees, lanes, content, store, previous, progress, parent: parent?.snapshot },
      request,
    ).all()
    await lanes.end()
    store.rest(treeWriter)
    await store.end()
    request.onProgress?.({ type: 'stage', stage: 'commit' })
    throwIfAborted(signal)
    await lock.confirmed
    lock.assertHeld()
    const snapshot = snapshotOf(context, request, parent, progress, trees.tree as string)
    const [data, meta] = [lanes.counts, treeWriter.counts]
    const { files, folders } = progress
    snapshot.summary = {
      backup_start: goTime(timestampOf(started)),
      backup_end: goTime(timestampOf(clock.now())),
      files_new: files.new,
      files_changed: files.changed,
      files_unmodified: files.unmodified,
      dirs_new: folders.new,
      dirs_changed: folders.changed,
      dirs_unmodified: folders.unmodified,
      data_blobs: data.blobs,
      tree_blobs: meta.blobs,
      data_added: data.bytes + meta.bytes,
      data_added_packed: data.packed + meta.packed,
      total_files_processed: files.new + files.changed + files.unmodified,
      total_bytes_processed: progress.bytes,
    }
    const { storage, key, config } = repository
    const id = await storeUnpacked(storage, key, config.version, 'snapshots', encodeSnapshot(snapshot), cancel)
    return {
      backup: toBackup({ id, snapshot }, {}, context.name),
      filesNew: files.new,
      filesChanged: files.changed,
      filesUnmodified: files.unmodified,
      filesDeleted: files.deleted,
      filesMoved: 0,
      dataAdded: snapshot.summary.data_added,
      dataAddedPacked: snapshot.summary.data_added_packed,
    }
  } catch (error) {
    // What was sent need not be sent again, whatever ended this; no thread sends more behind that.
    await lanes.close()
    await store.keep()
    throw isAbort(error) || isAppError(error) ? error : toAppError(error)
  } finally {
    await lanes.close()
    await store.settle()
  }
}

function snapshotOf(
  { program }: BackupContext,
  request: BackupRequest,
  parent: StoredSnapshot | undefined,
  progress: Progress,
  tree: string,
): Snapshot {
  const facts = request.reading.facts?.()
  const labels = { ...request.reading.labels?.(), ...request.labels }
  return {
    time: goTime(timestampOf(request.time)),
    ...(parent && { parent: parent.id }),
    tree,
    paths: request.paths,
    hostname: request.host,
    username: userName(),
    uid: process.getuid?.() ?? 0,
    gid: process.getgid?.() ?? 0,
    tags: request.tags,
    program_version: program,
    holdfast: {
      job: request.job,
      source: request.source,
      warnings: progress.warnings,
      ...(isObject(facts) && { facts }),
      ...(Object.keys(labels).length > 0 && { labels }),
    },
  }
}
