/** Making one backup: source entries in, payload and index out, the manifest last. */
import { AppError, isAbort, isAppError, toAppError } from '../base/errors.ts'
import { collect, throwIfAborted } from '../base/streams.ts'
import type { Storage } from '../model/storage.ts'
import type { BackupOutcome, BackupRequest } from '../model/vault.ts'
import { backupReport } from './backup-report.ts'
import { blockWriter } from './block-writer.ts'
import { choose } from './choose.ts'
import { codecPool } from './codec-pool.ts'
import type { ArchiveContext } from './context.ts'
import { EntryStore } from './entry-store.ts'
import { indexWriter } from './index-io.ts'
import { takeLease, type VaultLease } from './lease.ts'
import { encodeManifest, MANIFEST_SUFFIX, type Manifest, type StoredPart } from './manifest.ts'
import { toBackup } from './manifests.ts'
import { indexSuffix, payloadSuffix } from './names.ts'
import { folderOf, storeParts } from './parts.ts'
import type { BackupPlan } from './plan.ts'
import { previousCursor } from './previous.ts'
import { removeLeftovers } from './tidy.ts'
import { tarWriter } from './tar-writer.ts'
import { zipWriter } from './zip-writer.ts'

export async function archiveBackup(context: ArchiveContext, request: BackupRequest): Promise<BackupOutcome> {
  const { storage, clock } = context
  const lease = await takeLease(storage, clock, { kind: 'backup', job: request.job }, request.signal)
  let base: string | undefined
  try {
    const chosen = await choose(context, request, lease)
    const { plan } = chosen
    base = chosen.base
    if (plan.why !== undefined && request.type !== 'auto') {
      request.onProgress?.({ type: 'log', level: 'warn', message: `making a full backup: ${plan.why}` })
    }
    const outcome = await write(context, request, plan, { ...chosen, lease })
    await lease.release()
    return outcome
  } catch (error) {
    await cleanUp(context, base, lease)
    throw error
  }
}

const CLEAN_UP_MS = 30_000

async function cleanUp({ storage }: ArchiveContext, base: string | undefined, lease: VaultLease): Promise<void> {
  try {
    if (base !== undefined) await removeLeftovers(storage, base, { signal: AbortSignal.timeout(CLEAN_UP_MS) })
    await lease.release()
  } catch {
    await lease.abandon()
  }
}

interface Place {
  id: string
  base: string
  lease: VaultLease
}

async function write(
  context: ArchiveContext,
  request: BackupRequest,
  plan: BackupPlan,
  place: Place,
): Promise<BackupOutcome> {
  const { storage, writing } = context
  const sealer = await context.sealer()
  const pool = codecPool()
  const report = backupReport(request, plan.last?.manifest.stats)
  report.stage('backup', `${plan.type} backup`)
  const chain = reading(context, request.signal)
  const store = new EntryStore(chain, plan.parent)
  try {
    if (plan.parent !== undefined) request.reading.expectUnchanged?.()
    const cursor = plan.parent && (await previousCursor(chain, plan.parent, (entry) => store.deleted(entry)))
    const blocks = blockWriter({ compression: payloadCompression(writing), pool })
    const container = writing.container === 'zip' ? zipWriter(blocks, writing.compression.level) : tarWriter(blocks)
    const payloads = [...(cursor?.header.payloads ?? []), place.id]
    const index = indexWriter({ holdfast: 'index', version: 1, id: place.id, payloads })
    const stop = (error: unknown): void => {
      blocks.fail(error)
      index.fail(error)
    }
    const payloadKey = place.base + payloadSuffix(writing.container, writing.compression.type, sealer.info.type)
    const { signal } = request
    const onBytes = (bytes: number): void => report.stored(bytes)
    const payloadStored = storeParts(storage, sealer.seal(blocks.output()), {
      key: payloadKey,
      partSize: writing.partSize,
      signal,
      onBytes,
    })
    const indexKey = place.base + indexSuffix(sealer.info.type)
    const indexStored = storeParts(storage, sealer.seal(index.output()), {
      key: indexKey,
      partSize: Infinity,
      signal,
      storageClass: 'warm',
      onBytes,
    })
    payloadStored.catch(stop)
    indexStored.catch(stop)

    let containerSize = 0
    try {
      await store.all(request, { cursor, container, blocks, index, payload: payloads.length - 1, report })
      await container.end()
      containerSize = blocks.offset
      await blocks.end()
      // The frame table is complete once the payload is stored; the index ends with it.
      await payloadStored
      await store.finish(index, blocks, request)
      await index.end()
    } catch (error) {
      stop(error)
      await Promise.allSettled([payloadStored, indexStored])
      throw error
    } finally {
      await cursor?.close()
    }
    const parts = await payloadStored
    const [indexPart] = (await indexStored) as [StoredPart]
    report.stage('commit')
    throwIfAborted(signal)
    const manifest = manifestOf(context, request, plan, place, store, {
      parts,
      containerSize,
      index: indexPart,
      encryption: sealer.info,
      payloads,
    })
    place.lease.assertHeld()
    const key = place.base + MANIFEST_SUFFIX
    await assertStored(storage, folderOf(key), [...parts, indexPart], signal)
    await commit(storage, key, encodeManifest(manifest), signal)
    const { stats } = manifest
    return {
      backup: toBackup({ key, manifest, notes: {} }, context.name),
      filesNew: stats.filesNew,
      filesChanged: stats.filesChanged,
      filesUnmodified: stats.filesUnmodified,
      filesDeleted: stats.filesDeleted,
      filesMoved: stats.filesMoved,
      dataAdded: stats.bytesAdded,
      dataAddedPacked: manifest.payload.size + manifest.index.size,
    }
  } catch (error) {
    throw isAbort(error) || isAppError(error) ? error : toAppError(error)
  } finally {
    await pool.close()
  }
}

/** The same vault, whose reads end with the request. */
function reading(context: ArchiveContext, signal: AbortSignal | undefined): ArchiveContext {
  if (signal === undefined) return context
  const { storage } = context
  return { ...context, storage: { ...storage, get: (key, options) => storage.get(key, { signal, ...options }) } }
}

/** Somebody who took this process for dead (its clock may be wrong) has cleaned up: then there is no backup to commit. */
async function assertStored(
  storage: Storage,
  folder: string,
  parts: readonly StoredPart[],
  signal: AbortSignal | undefined,
): Promise<void> {
  for (const { name, size } of parts) {
    const stored = await storage.stat(folder + name, signal ? { signal } : {})
    if (stored?.size !== size)
      throw new AppError('vault.locked', `${folder}${name} was removed from ${storage.name} while the backup was made`)
  }
}

/** When the answer to the last write is lost, the storage is asked whether it has been done. */
async function commit(storage: Storage, key: string, bytes: Buffer, signal: AbortSignal | undefined): Promise<void> {
  try {
    await storage.put(key, bytes, { ifAbsent: true, storageClass: 'warm', ...(signal && { signal }) })
  } catch (error) {
    try {
      const stored = await collect(storage.get(key, { signal: AbortSignal.timeout(CLEAN_UP_MS) }))
      if (bytes.equals(stored)) return
    } catch {
      // Not there, or not to be had: the first error counts.
    }
    throw error
  }
}

/** In a zip each file is compressed by itself. */
function payloadCompression({
  container,
  compression,
}: ArchiveContext['writing']): ArchiveContext['writing']['compression'] {
  return container === 'zip' ? { type: 'none', level: 0 } : compression
}

function labelsOf({ labels, reading }: BackupRequest): Pick<Manifest, 'labels'> {
  const all = { ...reading.labels?.(), ...labels }
  return Object.keys(all).length === 0 ? {} : { labels: all }
}

interface Written {
  parts: StoredPart[]
  containerSize: number
  index: StoredPart
  encryption: Manifest['encryption']
  payloads: string[]
}

function manifestOf(
  context: ArchiveContext,
  request: BackupRequest,
  plan: BackupPlan,
  place: Place,
  store: EntryStore,
  written: Written,
): Manifest {
  const { writing, clock } = context
  const parent = plan.parent?.manifest
  return {
    holdfast: 'backup',
    version: 1,
    id: place.id,
    job: request.job,
    host: request.host,
    source: request.source,
    paths: request.paths,
    type: plan.type,
    time: request.time.toISOString(),
    ended: clock.now().toISOString(),
    chain: parent ? [...parent.chain, parent.id] : [],
    needs: written.payloads.slice(0, -1).filter((_, position) => store.used.has(position)),
    tags: request.tags,
    ...labelsOf(request),
    container: writing.container,
    compression: writing.container === 'zip' ? { type: 'none' } : writing.compression,
    encryption: written.encryption,
    payload: {
      parts: written.parts,
      size: written.parts.reduce((sum, { size }) => sum + size, 0),
      containerSize: written.containerSize,
    },
    index: { ...written.index, entries: store.entries },
    stats: store.stats,
    program: writing.program,
  }
}
