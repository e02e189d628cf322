/** Whether what is stored is what was written: sizes (V0), bytes (V1), and everything that can be parsed (V2). */
import { createHash } from 'node:crypto'
import { AppError, isAppError, toAppError } from '../base/errors.ts'
import { displayPath } from '../base/paths.ts'
import { throwIfAborted } from '../base/streams.ts'
import type { CheckOptions, CheckResult, Damage } from '../model/vault.ts'
import { DESCRIPTION, readDescription } from './description.ts'
import { codecPool } from './codec-pool.ts'
import { openStored, type ArchiveContext } from './context.ts'
import { openIndex } from './index-io.ts'
import { hasFrames, type StoredPart } from './manifest.ts'
import { baseOf, readInventory, type Inventory, type KnownBackup } from './manifests.ts'
import { NOTES_SUFFIX } from './notes.ts'
import { folderOf } from './parts.ts'
import { openEntries, readLines } from './read.ts'

const PATHS_SHOWN = 20

interface PartAt extends StoredPart {
  key: string
  owner: KnownBackup
  which: 'payload' | 'index'
}

export async function verifyBackup(
  context: ArchiveContext,
  inventory: Inventory,
  backup: KnownBackup,
  level: 'V0' | 'V1' | 'V2',
  options: CheckOptions,
): Promise<CheckResult> {
  const chain = chainOf(inventory, backup)
  const missing = backup.manifest.needs.filter((id) => !inventory.backups.some(({ manifest }) => manifest.id === id))
  const parts = chain.flatMap((each) =>
    partsOf(each).filter(({ which }) => which === 'payload' || each === backup || hasFrames(each.manifest)),
  )
  const result = await checkParts(context, chain, parts, { ...options, readData: level !== 'V0' })
  for (const id of missing) result.damage.push(missingLink(backup, id))
  if (level === 'V2' && missing.length === 0) await parseAll(context, inventory, backup, result, options)
  for (const damage of result.damage) damage.backups = [backup.manifest.id]
  result.ok = result.damage.length === 0
  return result
}

const chainOf = (inventory: Inventory, backup: KnownBackup): KnownBackup[] => [
  backup,
  ...inventory.backups.filter(({ manifest }) => backup.manifest.needs.includes(manifest.id)),
]

/** Of the whole chain; each part once. */
export function payloadsOf(inventory: Inventory, backup: KnownBackup): string[] {
  return chainOf(inventory, backup).flatMap((each) =>
    partsOf(each).flatMap(({ which, key }) => (which === 'payload' ? [key] : [])),
  )
}

/** With what is said about it: manifests, indexes, and the description of the vault. */
export function* needsOf(inventory: Inventory, backup: KnownBackup): Generator<string> {
  yield DESCRIPTION
  for (const each of chainOf(inventory, backup)) {
    yield each.key
    for (const { key } of partsOf(each)) yield key
  }
}

export async function checkVault(context: ArchiveContext, options: CheckOptions): Promise<CheckResult> {
  const inventory = await readInventory(context.storage, options)
  const result = await checkParts(context, inventory.backups, inventory.backups.flatMap(partsOf), options)
  const ids = new Set(inventory.backups.map(({ manifest }) => manifest.id))
  await checkAside(context, inventory, result)
  for (const { key, error } of inventory.damaged) {
    result.damage.push({ key, problem: error.message, backups: dependents(inventory, key), paths: [], pathCount: 0 })
  }
  for (const backup of inventory.backups) {
    for (const id of backup.manifest.needs) if (!ids.has(id)) result.damage.push(missingLink(backup, id))
  }
  result.ok = result.damage.length === 0
  return result
}

/** What no restore needs, but what is damaged all the same: the vault's description, and notes. */
async function checkAside({ storage }: ArchiveContext, { backups }: Inventory, result: CheckResult): Promise<void> {
  const none = { backups: [], paths: [], pathCount: 0 }
  try {
    if ((await readDescription(storage)) === undefined)
      result.notes.push(`${DESCRIPTION} is missing: the next backup writes it anew`)
  } catch (error) {
    if (!isAppError(error, 'backup.damaged', 'vault.unsupported')) throw error
    result.damage.push({ ...none, key: DESCRIPTION, problem: error.message })
  }
  for (const { key, notes } of backups)
    if (notes.damaged !== undefined)
      result.damage.push({ ...none, key: baseOf(key) + NOTES_SUFFIX, problem: notes.damaged.message })
}

/** Of a manifest that cannot be read only the name tells which backup it was. */
function dependents(inventory: Inventory, key: string): string[] {
  const known = new Set(inventory.backups.map(({ manifest }) => manifest.id))
  const orphaned = inventory.backups.filter(({ manifest }) => manifest.needs.some((id) => !known.has(id)))
  return [key, ...orphaned.map(({ manifest }) => manifest.id)]
}

const missingLink = (backup: KnownBackup, id: string): Damage => ({
  key: id,
  problem: `backup ${id}, which holds content of ${backup.manifest.id}, is not in the vault`,
  backups: [backup.manifest.id],
  paths: [],
  pathCount: 0,
})

async function checkParts(
  context: ArchiveContext,
  backups: readonly KnownBackup[],
  parts: readonly PartAt[],
  options: CheckOptions,
): Promise<CheckResult> {
  const result: CheckResult = {
    ok: true,
    checked: { backups: backups.length, objects: 0, bytes: 0 },
    damage: [],
    notes: [],
  }
  const totalBytes = parts.reduce((sum, { size }) => sum + size, 0)
  for (const part of parts) {
    throwIfAborted(options.signal)
    const read = options.readData === true && Math.random() < (options.readDataShare ?? 1)
    const problem = await checkPart(context, part, read, options)
    result.checked.objects += 1
    if (read) result.checked.bytes += part.size
    if (problem !== undefined) result.damage.push(await damageOf(context, backups, part, problem))
    const counters = {
      filesDone: result.checked.objects,
      filesTotal: parts.length,
      bytesDone: result.checked.bytes,
      bytesTotal: totalBytes,
      bytesStored: 0,
      current: part.key,
    }
    options.onProgress?.({ type: 'progress', stage: 'check', counters })
  }
  result.ok = result.damage.length === 0
  return result
}

function partsOf(owner: KnownBackup): PartAt[] {
  const folder = folderOf(owner.key)
  const { payload, index } = owner.manifest
  return [
    ...payload.parts.map((part): PartAt => ({ ...part, key: folder + part.name, owner, which: 'payload' })),
    { ...index, key: folder + index.name, owner, which: 'index' },
  ]
}

async function checkPart(
  { storage }: ArchiveContext,
  part: PartAt,
  read: boolean,
  { signal }: CheckOptions,
): Promise<string | undefined> {
  const stored = await storage.stat(part.key, signal ? { signal } : {})
  if (stored === undefined) return 'is missing'
  if (stored.size !== part.size) return `has ${stored.size} bytes instead of ${part.size}`
  if (!read) return undefined
  const hash = createHash('sha256')
  try {
    for await (const chunk of storage.get(part.key, signal ? { signal } : {})) hash.update(chunk)
  } catch (error) {
    if (!isAppError(error, 'storage.not-found', 'storage.truncated', 'storage.checksum')) throw error
    return `cannot be read: ${error.message}`
  }
  return hash.digest('hex') === part.sha256 ? undefined : 'has other bytes than were written'
}

/** Which backups a damaged part touches, and which of their files, as far as the index can still be read. */
async function damageOf(
  context: ArchiveContext,
  backups: readonly KnownBackup[],
  part: PartAt,
  problem: string,
): Promise<Damage> {
  const { id } = part.owner.manifest
  const touched =
    part.which === 'index' && !hasFrames(part.owner.manifest)
      ? [part.owner]
      : backups.filter(({ manifest }) => manifest.id === id || manifest.needs.includes(id))
  const damage: Damage = {
    key: part.key,
    problem,
    backups: touched.map(({ manifest }) => manifest.id),
    paths: [],
    pathCount: 0,
  }
  if (part.which === 'index') return damage
  const newest = touched.at(-1)
  if (newest !== undefined) await addPaths(context, newest, id, damage)
  return damage
}

async function addPaths(
  context: ArchiveContext,
  backup: KnownBackup,
  payloadId: string,
  damage: Damage,
): Promise<void> {
  try {
    const { header, close } = await openIndex(await openStored(context, backup, 'index'))
    await close()
    const position = header.payloads.indexOf(payloadId)
    for await (const line of readLines(context, backup)) {
      if (line.kind !== 'entry' || line.entry.content?.payload !== position) continue
      damage.pathCount += 1
      if (damage.paths.length < PATHS_SHOWN) damage.paths.push(displayPath(line.entry.path))
    }
  } catch (error) {
    // Without the key, or with the index damaged too, the paths stay unknown; the damage itself is reported.
    if (!isAppError(error)) throw error
  }
}

/** Reads the backup as a restore would, to nowhere: every content is compared with its hash. */
async function parseAll(
  context: ArchiveContext,
  inventory: Inventory,
  backup: KnownBackup,
  result: CheckResult,
  options: CheckOptions,
): Promise<void> {
  const pool = codecPool()
  const { signal } = options
  const find = (id: string): KnownBackup | undefined => inventory.backups.find(({ manifest }) => manifest.id === id)
  let entries = 0
  const counters = {
    filesDone: 0,
    bytesDone: 0,
    bytesStored: 0,
    filesTotal: backup.manifest.stats.files,
    bytesTotal: backup.manifest.stats.bytes,
  }
  try {
    for await (const entry of openEntries({
      context,
      backup,
      find,
      pool,
      transient: true,
      selection: signal ? { signal } : {},
    })) {
      entries += 1
      if (entry.open === undefined) continue
      counters.filesDone += 1
      try {
        for await (const chunk of entry.open()) counters.bytesDone += chunk.length
      } catch (error) {
        if (!isAppError(error, 'backup.damaged') || typeof error.details['path'] !== 'string') throw error
        result.damage.push({
          key: backup.key,
          problem: error.message,
          backups: [],
          paths: [displayPath(entry.path)],
          pathCount: 1,
        })
      }
      options.onProgress?.({ type: 'progress', stage: 'verify', counters: { ...counters } })
    }
    const expected = backup.manifest.index.entries
    if (entries !== expected)
      throw new AppError('backup.damaged', `the index of ${backup.manifest.id} has ${entries} of ${expected} entries`)
  } catch (error) {
    const known = toAppError(error)
    if (!isAppError(known, 'backup.damaged', 'backup.chain-broken')) throw known
    result.damage.push({ key: backup.key, problem: known.message, backups: [], paths: [], pathCount: 0 })
  } finally {
    await pool.close()
  }
}
