/** An s3db database, object by object as its client gives them: nothing is decoded, decrypted or counted as a row. */
import { AppError } from '../../base/errors.ts'
import { readerOfBytes, readerOfStream, type ByteReader } from '../../base/reader.ts'
import { throwIfAborted } from '../../base/streams.ts'
import type { SourceEntry } from '../../model/entry.ts'
import type { ReadOptions, Source, SourceCheck, SourceReading } from '../../model/source.ts'
import { bodyOf, fetchContent, findObject, streamContent } from './fetch.ts'
import { METADATA_BEFORE, METADATA_KEY, resourceOf } from './keys.ts'
import { listKeys } from './listing.ts'
import {
  encodeDescription,
  hasPartitions,
  onlyResources,
  parseDescription,
  type DatabaseDescription,
} from './metadata.ts'
import { kindOf, nameOf, type ObjectClient } from './object-client.ts'
import { encodeObject, headOf } from './object-format.ts'
import { FETCH_WHOLE, readAhead } from './read-ahead.ts'
import { select, type ResourceSelection, type Selected } from './selection.ts'
import { SortedKeys, type ListedObject } from './sorted-keys.ts'

export interface S3dbSettings extends ResourceSelection {
  /** Reads in flight, 1 to 64; 32 by default, and 16 where objects are files. */
  concurrency?: number
  /** A database without anything in it is one all the same, not a mistyped address. */
  allowEmpty?: boolean
  /** Names of resources that must be there; `source.not-found` says which is not. */
  required?: readonly string[]
  /** Where long lists of keys are sorted; the system's temporary folder if absent. */
  scratchDir?: string
  /** Keys that begin so are left out: a vault that lies in the same bucket. */
  leaveOut?: readonly string[]
}

/** Opens the client that a reading uses; what was opened for it alone is closed with it. */
export interface ClientOpener {
  readonly name: string
  open(options: { signal?: AbortSignal | undefined }): Promise<{ client: ObjectClient; close(): Promise<void> }>
}

export const openClient = (client: ObjectClient): ClientOpener => ({
  name: nameOf(client),
  open: async () => ({ client, close: async () => {} }),
})

const LANES = { network: 32, memory: 32, sqlite: 32, file: 16 } as const

/**
 * So long before the reading began an object must have been changed, or it is read again next time: its time of change
 * is told in whole seconds, or by a clock that is not ours. What was read again and has not changed is stored once.
 */
const UNSETTLED_MS = { network: 60_000, memory: 2000, sqlite: 2000, file: 2000 } as const

export function s3db(opener: ClientOpener, settings: S3dbSettings = {}): Source {
  const { concurrency } = settings
  if (concurrency !== undefined && !(Number.isInteger(concurrency) && concurrency >= 1 && concurrency <= 64))
    throw new AppError('config.invalid', `${concurrency} reads at once: say 1 to 64`)
  const selected = select(settings)
  return {
    type: 's3db',
    name: opener.name,
    paths: [opener.name],
    test: (options) => check(opener, selected, options),
    read: (options) => read(opener, settings, selected, options),
  }
}

async function check(
  opener: ClientOpener,
  selected: Selected,
  options: { signal?: AbortSignal },
): Promise<SourceCheck[]> {
  const { client, close } = await opener.open(options)
  try {
    const { description } = await describe(client)
    const names = Object.keys(description?.resources ?? {}).filter((name) => selected.resource(name))
    const found = description !== undefined
    return [
      { name: 'reachable', ok: true, detail: `${opener.name} answers` },
      { name: 'database', ok: found, detail: found ? `${names.length} resources` : `there is no ${METADATA_KEY}` },
    ]
  } finally {
    await close()
  }
}

interface Described {
  /** As the content of an entry, with the selected resources only. */
  content?: Buffer
  description?: DatabaseDescription
}

async function describe(client: ObjectClient, selected?: Selected): Promise<Described> {
  const object = await findObject(client, METADATA_KEY)
  if (object === undefined) return {}
  const body = await bodyOf(object, METADATA_KEY)
  const description = parseDescription(body)
  if (selected === undefined || selected.all) return { content: encodeObject(headOf(object), body), description }
  const partial = onlyResources(description, (name) => selected.resource(name))
  return { content: encodeObject(headOf(object), encodeDescription(partial)), description: partial }
}

interface Facts {
  client: string
  objects: number
  bytes: number
  resources: Record<string, { records: number; references: number; others: number }>
  [name: string]: unknown
}

async function read(
  opener: ClientOpener,
  settings: S3dbSettings,
  selected: Selected,
  { signal, onWarning }: ReadOptions,
): Promise<SourceReading> {
  throwIfAborted(signal)
  const { client, close } = await opener.open({ signal })
  const startedAt = Date.now()
  const facts: Facts = { client: kindOf(client), objects: 0, bytes: 0, resources: {} }
  const { scratchDir } = settings
  const keys = new SortedKeys(scratchDir === undefined ? {} : { scratchDir })
  async function end(): Promise<void> {
    await keys[Symbol.asyncDispose]()
    await close()
  }
  let before: Described
  try {
    before = await describe(client, selected)
    await listInto(keys, client, { settings, selected, before, signal })
    if (before.description === undefined && settings.allowEmpty !== true && keys.size === 0)
      throw new AppError('source.not-found', `there is no s3db database at ${opener.name}`)
    const missing = settings.required?.filter((name) => before.description?.resources[name] === undefined) ?? []
    if (missing.length > 0)
      throw new AppError('source.not-found', `${opener.name} has no resource ${missing.join(', ')}`)
  } catch (error) {
    await end()
    throw error
  }
  const settled = startedAt - UNSETTLED_MS[kindOf(client)]

  async function* entries(): AsyncGenerator<SourceEntry> {
    const fetch = ({ key }: ListedObject): Promise<Buffer | undefined> =>
      key === METADATA_KEY ? lastDescription() : fetchContent(client, key)
    let after: Described | undefined
    const lastDescription = async (): Promise<Buffer | undefined> =>
      (after ??= await describe(client, selected)).content
    const lanes = settings.concurrency ?? LANES[kindOf(client)]
    for await (const { object, content, opened } of readAhead(keys.sorted(), fetch, lanes)) {
      throwIfAborted(signal)
      count(facts, object)
      const whole = (bytes: Buffer): ByteReader => ({ ...readerOfBytes(bytes), size: bytes.length })
      const isSettled = object.modified > 0 && object.modified < settled && object.key !== METADATA_KEY
      yield entryOf(object, isSettled, () => {
        opened()
        if (content !== undefined) return whole(content)
        if (object.size > FETCH_WHOLE && object.key !== METADATA_KEY)
          return readerOfStream(streamContent(client, object.key))
        return fetch(object).then((bytes) => {
          if (bytes === undefined) throw new AppError('source.not-found', `${object.key} is not there any more`)
          return whole(bytes)
        })
      })
      if (object.key !== METADATA_KEY) continue
      await lastDescription()
      const first = before.content
      if (first === undefined || after?.content?.equals(first) === true) continue
      onWarning({ code: 'note', message: `${METADATA_KEY} changed while the database was read: both states are kept` })
      const was = { key: METADATA_BEFORE, path: METADATA_BEFORE, size: first.length, modified: object.modified }
      yield entryOf(was, false, () => whole(first))
    }
  }
  /** How many records each resource has; resources without any too. */
  const labels = (): Record<string, string> => {
    const names = [...Object.keys(before.description?.resources ?? {}), ...Object.keys(facts.resources)]
    const counts = [...new Set(names)].sort().map((name) => [name, facts.resources[name]?.records ?? 0])
    return { resources: JSON.stringify(Object.fromEntries(counts)) }
  }
  return { entries, facts: () => facts, labels, close: end }
}

function entryOf(
  { path, size, modified }: ListedObject,
  settled: boolean,
  open: NonNullable<SourceEntry['open']>,
): SourceEntry {
  // Whole seconds: what is changed again within one is not settled, and a tar needs a header more for parts of them.
  const time = { s: Math.floor(modified / 1000), ns: 0 }
  return {
    path,
    kind: 'file',
    mode: 0o600,
    mtime: time,
    ctime: time,
    size,
    // A vault takes a file for unchanged only where it knows an inode.
    ...(settled && { inode: 1 }),
    ...(size > FETCH_WHOLE && { sizeUnknown: true }),
    open,
  }
}

interface ListContext {
  settings: S3dbSettings
  selected: Selected
  before: Described
  signal: AbortSignal | undefined
}

async function listInto(keys: SortedKeys, client: ObjectClient, context: ListContext): Promise<void> {
  const { settings, selected, before, signal } = context
  const { include, leaveOut = [] } = settings
  const resources = Object.entries(before.description?.resources ?? {}).filter(([name]) => selected.resource(name))
  /** Resources some of whose references came with the rest. */
  const referred = new Set<string>()
  const add = async (prefix: string): Promise<void> => {
    for await (const page of listKeys(client, prefix, signal)) {
      for (const { key, size, modified } of page) {
        if (!selected.key(key) || leaveOut.some((start) => key.startsWith(start))) continue
        if (key.includes('/partition=')) referred.add(resourceOf(key) ?? '')
        const spilling = keys.add(key, size, modified)
        if (spilling !== undefined) await spilling
      }
    }
  }
  if (include === undefined) await add('')
  else {
    for (const [name] of resources) await add(`resource=${name}/`)
    if (before.content !== undefined) await keys.add(METADATA_KEY, before.content.length, Date.now())
  }
  // The SQLite client lists its index of partitions only to who asks for partitions.
  for (const [name, resource] of resources)
    if (!referred.has(name) && hasPartitions(resource)) await add(`resource=${name}/partition=`)
}

function count(facts: Facts, { key, size }: ListedObject): void {
  facts.objects += 1
  facts.bytes += size
  const name = resourceOf(key)
  if (name === undefined) return
  const counts = (facts.resources[name] ??= { records: 0, references: 0, others: 0 })
  const rest = key.slice('resource='.length + name.length + 1)
  if (rest.startsWith('data/')) counts.records += 1
  else if (rest.startsWith('partition=')) counts.references += 1
  else counts.others += 1
}
