/**
 * Objects back into an s3db database. What is there decides what is done, before anything is written (see `plan.ts`);
 * `s3db.json` comes last, merged with what the database has, so that a restore that is cut short leaves no resource that
 * points to records which are not there. One that fails or is cancelled puts back what it changed.
 */
import { isDeepStrictEqual } from 'node:util'
import { AppError, isAppError, toAppError } from '../../base/errors.ts'
import { redact } from '../../base/redact.ts'
import { throwIfAborted } from '../../base/streams.ts'
import type { RestoredEntry } from '../../model/entry.ts'
import type { RestoreEffect, RestoreOutcome, Target, WriteTargetOptions } from '../../model/source.ts'
import { bodyOf, fetchContent, findObject } from './fetch.ts'
import { Lanes } from './lanes.ts'
import { restoreLock } from './restore-lock.ts'
import { Undo } from './undo.ts'
import { keyOf, METADATA_BEFORE, METADATA_KEY, recordOfReference, refuseUnsafe } from './keys.ts'
import { listKeys } from './listing.ts'
import { encodeDescription, merged, onlyResources, parseDescription } from './metadata.ts'
import { kindOf, type ObjectClient } from './object-client.ts'
import { decodeObject, type ObjectHead } from './object-format.ts'
import { select, type ResourceSelection } from './selection.ts'
import type { ClientOpener } from './source.ts'

export interface S3dbTargetSettings extends ResourceSelection {
  /**
   * What is done with an object that is there and differs: `refuse` rejects before anything is written, `never` keeps it,
   * `if-newer` replaces older ones, `always` replaces.
   */
  overwrite?: 'refuse' | 'never' | 'if-newer' | 'always'
  /** Remove from the restored resources what the backup does not have. */
  delete?: boolean
  dryRun?: boolean
  concurrency?: number
  /** Where what is replaced is kept until the restore has ended; the system's temporary folder if absent. */
  scratchDir?: string
}

interface Work {
  client: ObjectClient
  settings: S3dbTargetSettings
  options: WriteTargetOptions
  outcome: RestoreOutcome
  /** What is there, by key; the time of its last change. */
  there: Map<string, number>
  /** Keys of the backup, where what is beyond them matters. */
  seen: Set<string> | undefined
  undo: Undo
}

const LANES = { network: 32, memory: 32, sqlite: 16, file: 16 } as const
const MAX_OBJECT = 5 * 1024 ** 3

export function s3dbTarget(opener: ClientOpener, settings: S3dbTargetSettings = {}): Target {
  return {
    name: opener.name,
    async write(entries, options) {
      const { client, close } = await opener.open({ signal: options.signal })
      try {
        if (settings.dryRun === true) return await write(client, settings, entries, options)
        await using _locked = await restoreLock(client).catch((error: unknown) => {
          throw targetError(error, 'lock the database')
        })
        return await write(client, settings, entries, options)
      } finally {
        await close()
      }
    },
    async check(entries, options) {
      if (settings.dryRun === true || (settings.overwrite ?? 'refuse') !== 'refuse') return
      const { client, close } = await opener.open({ signal: options.signal })
      try {
        if (await isEmpty(client, settings, options.signal)) return
        await write(client, { ...settings, dryRun: true }, entries(), { ...options, onWarning: () => {} })
      } finally {
        await close()
      }
    },
  }
}

async function isEmpty(
  client: ObjectClient,
  settings: S3dbTargetSettings,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const selected = select(settings)
  for await (const page of listKeys(client, '', signal)) if (page.some(({ key }) => selected.key(key))) return false
  return true
}

async function write(
  client: ObjectClient,
  settings: S3dbTargetSettings,
  entries: AsyncIterable<RestoredEntry>,
  options: WriteTargetOptions,
): Promise<RestoreOutcome> {
  const { signal } = options
  const outcome: RestoreOutcome = {
    files: 0,
    bytes: 0,
    effects: { create: 0, replace: 0, metadata: 0, unchanged: 0, keep: 0, delete: 0 },
  }
  const there = await whatIsThere(client, settings, signal)
  const replaces = settings.overwrite === 'always' || settings.overwrite === 'if-newer'
  const seen = there.size > 0 && (settings.delete === true || replaces) ? new Set<string>() : undefined
  await using undo = new Undo(settings.scratchDir)
  const work: Work = { client, settings, options, outcome, there, seen, undo }
  const selected = select(settings)
  const lanes = new Lanes(settings.concurrency ?? LANES[kindOf(client)])
  let description: { entry: RestoredEntry; content: Buffer } | undefined
  try {
    for await (const entry of entries) {
      throwIfAborted(signal)
      lanes.check()
      if (entry.open === undefined) continue
      const key = keyOf(entry.path)
      if (key === METADATA_BEFORE) continue
      refuseUnsafe(key)
      if (key !== METADATA_KEY && !selected.key(key)) continue
      const content = await owned(entry.open(), key)
      if (key === METADATA_KEY) {
        description = { entry, content }
        continue
      }
      seen?.add(key)
      await lanes.run(content.length, () => restoreObject(work, entry, key, content))
    }
    await lanes.end()
    if (seen !== undefined) await removeBeyond(work, seen, description?.content, lanes)
    if (description !== undefined) await restoreDescription(work, description.entry, description.content)
  } catch (error) {
    await lanes.end().catch(() => undefined)
    await putBack(client, undo, error)
    throw error
  }
  return outcome
}

/** The database as it was before. */
async function putBack(client: ObjectClient, undo: Undo, why: unknown): Promise<void> {
  const lanes = new Lanes(LANES[kindOf(client)])
  try {
    for await (const { key, before } of undo.kept())
      await lanes.run(before?.length ?? 0, async () => {
        if (before === undefined) return remove(client, key)
        const { head, body } = decodeObject(before, key)
        await client.putObject({ key, ...head, ...(body.length > 0 && { body }), contentLength: body.length })
      })
    await lanes.end()
  } catch (error) {
    const { code, message } = toAppError(why)
    throw new AppError(
      code,
      `${message}; and what was changed before could not be put back: ${toAppError(error).message}`,
      {
        cause: why,
        hint: 'The database is between two states: restore again once it can be written to, with overwrite.',
      },
    )
  }
}

async function restoreObject(work: Work, entry: RestoredEntry, key: string, content: Buffer): Promise<void> {
  const { client, settings, there } = work
  const { head, body } = decodeObject(content, key)
  const changed = there.get(key)
  if (changed === undefined) {
    await put(work, key, head, body, undefined)
    return done(work, entry, 'create', content.length)
  }
  const now = await fetchContent(client, key)
  if (now !== undefined && now.equals(content)) return done(work, entry, 'unchanged', 0)
  const { overwrite = 'refuse' } = settings
  if (overwrite === 'refuse') throw exists(key, 'differs from the backup')
  const older = changed < entry.mtime.s * 1000 + entry.mtime.ns / 1e6
  if (overwrite === 'never' || (overwrite === 'if-newer' && !older)) return done(work, entry, 'keep', 0)
  await put(work, key, head, body, now)
  done(work, entry, 'replace', content.length)
}

const exists = (key: string, why: string): AppError =>
  new AppError('restore.exists', `${key} is in the database and ${why}`, {
    hint: 'Nothing was changed. Overwrite, restore other resources, or restore to another database.',
    details: { key },
  })

function done({ outcome, options }: Work, entry: RestoredEntry, effect: RestoreEffect, bytes: number): void {
  outcome.effects[effect] += 1
  outcome.files += effect === 'create' || effect === 'replace' ? 1 : 0
  outcome.bytes += bytes
  if (bytes > 0) options.onBytes?.(bytes)
  options.onEntry?.(entry, effect)
}

async function put(
  { client, settings, undo }: Work,
  key: string,
  head: ObjectHead,
  body: Buffer,
  before: Buffer | undefined,
): Promise<void> {
  if (settings.dryRun === true) return
  await undo.keep(key, before)
  try {
    await client.putObject({ key, ...head, ...(body.length > 0 && { body }), contentLength: body.length })
  } catch (error) {
    throw targetError(error, `write ${key}`)
  }
}

async function whatIsThere(
  client: ObjectClient,
  settings: S3dbTargetSettings,
  signal: AbortSignal | undefined,
): Promise<Map<string, number>> {
  const there = new Map<string, number>()
  const selected = select(settings)
  for await (const page of listKeys(client, '', signal))
    for (const { key, modified } of page) if (selected.key(key)) there.set(key, modified)
  const metadata = await findObject(client, METADATA_KEY)
  if (metadata === undefined || kindOf(client) !== 'sqlite') return there
  // It lists its index of partitions only to who asks for it.
  const { resources } = parseDescription(await bodyOf(metadata, METADATA_KEY))
  for (const name of Object.keys(resources).filter((each) => selected.resource(each)))
    for await (const page of listKeys(client, `resource=${name}/partition=`, signal))
      for (const { key, modified } of page) there.set(key, modified)
  return there
}

/**
 * A record that was put back may have been referred to by other partitions before: those references would find it where
 * it does not belong. With `delete`, whatever the backup does not have goes too, in the resources that it has.
 */
async function removeBeyond(
  work: Work,
  seen: ReadonlySet<string>,
  description: Buffer | undefined,
  lanes: Lanes,
): Promise<void> {
  const { client, settings, there, outcome, options } = work
  const restored = new Set([...seen].map((key) => key.slice(0, key.indexOf('/') + 1)))
  // One that was empty when it was backed up is empty again.
  if (description !== undefined) {
    const { resources } = parseDescription(decodeObject(description, METADATA_KEY).body)
    const selected = select(settings)
    for (const name of Object.keys(resources)) if (selected.resource(name)) restored.add(`resource=${name}/`)
  }
  for (const key of there.keys()) {
    if (seen.has(key)) continue
    const record = recordOfReference(key)
    const stale = record !== undefined && seen.has(record)
    const extra = settings.delete === true && restored.has(key.slice(0, key.indexOf('/') + 1)) && key.includes('/')
    if (!stale && !extra) continue
    throwIfAborted(options.signal)
    await lanes.run(0, async () => {
      if (settings.dryRun !== true) {
        await work.undo.keep(key, await fetchContent(client, key))
        await remove(client, key)
      }
      outcome.effects.delete += 1
    })
  }
  await lanes.end()
}

async function remove(client: ObjectClient, key: string): Promise<void> {
  try {
    await client.deleteObject(key)
  } catch (error) {
    throw targetError(error, `remove ${key}`)
  }
}

async function restoreDescription(work: Work, entry: RestoredEntry, content: Buffer): Promise<void> {
  const { client, settings } = work
  const { head, body } = decodeObject(content, METADATA_KEY)
  const selected = select(settings)
  const from = onlyResources(parseDescription(body, 'the s3db.json of the backup'), (name) => selected.resource(name))
  const object = await findObject(client, METADATA_KEY)
  const now = object && parseDescription(await bodyOf(object, METADATA_KEY))
  const { overwrite = 'refuse' } = settings
  const keeps = overwrite === 'refuse' || overwrite === 'never'
  const after = merged(now, from, keeps ? 'there' : settings.delete === true ? 'exact' : 'backup')
  const bytes = now === undefined && selected.all ? body : encodeDescription(after)
  if (
    now !== undefined &&
    isDeepStrictEqual({ ...after.raw, resources: after.resources }, { ...now.raw, resources: now.resources })
  )
    return done(work, entry, 'unchanged', 0)
  await put(work, METADATA_KEY, head, bytes, object && (await fetchContent(client, METADATA_KEY)))
  done(work, entry, object === undefined ? 'create' : 'replace', bytes.length)
}

function targetError(error: unknown, tried: string): AppError {
  if (isAppError(error)) return error
  const why = error instanceof Error ? error.message : String(error)
  const busy = /database is locked|SQLITE_BUSY/.test(why)
  return new AppError(
    busy ? 'target.in-use' : 'restore.failed',
    redact(`could not ${tried}: ${why.split('\n')[0] ?? ''}`),
    { cause: error },
  )
}

/** A copy: a chunk's memory is used again for the next. */
async function owned(content: AsyncIterable<Uint8Array>, key: string): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of content) {
    size += chunk.length
    if (size > MAX_OBJECT) throw new AppError('restore.unsafe', `${key} is larger than an object can be`)
    chunks.push(Buffer.from(chunk))
  }
  return chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)
}
