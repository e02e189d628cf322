/** Making one backup: source entries in, payload and index out, the manifest last. */
import { AppError, isAbort, isAppError, toAppError } from '../base/errors.ts'
import { backupId } from '../base/ids.ts'
import { throwIfAborted } from '../base/streams.ts'
import type { BackupOutcome, BackupRequest } from '../model/vault.ts'
import { backupReport } from './backup-report.ts'
import { blockWriter } from './block-writer.ts'
import { codecPool } from './codec-pool.ts'
import type { ArchiveContext } from './context.ts'
import { EntryStore } from './entry-store.ts'
import { indexWriter } from './index-io.ts'
import { readLeases, takeLease, type VaultLease } from './lease.ts'
import { encodeManifest, MANIFEST_SUFFIX, type Manifest, type StoredPart } from './manifest.ts'
import { readInventory, toBackup } from './manifests.ts'
import { baseName, indexSuffix, payloadSuffix } from './names.ts'
import { storeParts } from './parts.ts'
import { planBackup, type BackupPlan } from './plan.ts'
import { previousCursor } from './previous.ts'
import { removeLeftovers } from './tidy.ts'
import { tarWriter } from './tar-writer.ts'
import { zipWriter } from './zip-writer.ts'

export async function archiveBackup(context: ArchiveContext, request: BackupRequest): Promise<BackupOutcome> {
  const { storage, clock } = context
  const lease = await takeLease(storage, clock, { kind: 'backup', job: request.job })
  let base: string | undefined
  try {
    await refuseSecondRun(context, request.job, lease)
    const { backups } = await readInventory(storage, request)
    const leases = await readLeases(storage, clock, [lease.key])
    const plan = planBackup(request, backups, leases)
    if (plan.why !== undefined && request.type !== 'auto') {
      request.onProgress?.({ type: 'log', level: 'warn', message: `making a full backup: ${plan.why}` })
    }
    const id = backupId(plan.type, request.time)
    base = await freeBase(context, request, plan, id)
    await lease.change({
      bases: [base],
      needs: plan.parent ? [plan.parent.manifest.id, ...plan.parent.manifest.needs] : [],
    })
    const outcome = await write(context, request, plan, { id, base, lease })
    await lease.release()
    return outcome
  } catch (error) {
    await cleanUp(context, base, lease)
    throw error
  }
}

/** Two runs of one job never overlap, wherever they run: the vault itself knows. */
async function refuseSecondRun({ storage, clock }: ArchiveContext, job: string, lease: VaultLease): Promise<void> {
  for (const other of await readLeases(storage, clock, [lease.key])) {
    if (!other.live || other.record.kind !== 'backup' || other.record.job !== job) continue
    const { pid, host } = other.record.owner
    throw new AppError('vault.locked', `job ${job} is being backed up to ${storage.name} by process ${pid} on ${host}`)
  }
}

/** The name from the template; with the id's random end if an object of that name exists. */
async function freeBase(
  context: ArchiveContext,
  request: BackupRequest,
  plan: BackupPlan,
  id: string,
): Promise<string> {
  const { template, timezone } = context.writing
  const base = baseName(template, { ...request, type: plan.type, backupId: id, timezone })
  for await (const { key } of context.storage.list(`${base}.`)) {
    if (key) return `${base}_${id.slice(-6)}`
  }
  return base
}

async function cleanUp(context: ArchiveContext, base: string | undefined, lease: VaultLease): Promise<void> {
  try {
    if (base !== undefined) await removeLeftovers(context.storage, base)
    await lease.release()
  } catch {
    // The lease stays: it names what is left, and the next run removes it once this process is gone.
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
  const report = backupReport(request)
  report.stage('backup', `${plan.type} backup`)
  const store = new EntryStore(context, plan.parent)
  try {
    const cursor = plan.parent && (await previousCursor(context, plan.parent, (entry) => store.deleted(entry)))
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
    await storage.put(key, encodeManifest(manifest), { ifAbsent: true, storageClass: 'warm' })
    const { stats } = manifest
    return {
      backup: toBackup({ key, manifest, notes: {} }, context.name, new Set(manifest.needs)),
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

/** In a zip each file is compressed by itself. */
function payloadCompression({
  container,
  compression,
}: ArchiveContext['writing']): ArchiveContext['writing']['compression'] {
  return container === 'zip' ? { type: 'none', level: 0 } : compression
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
