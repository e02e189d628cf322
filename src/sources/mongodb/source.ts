import type { Document } from 'mongodb'
import { AppError } from '../../base/errors.ts'
import { comparePaths } from '../../base/paths.ts'
import { throwIfAborted } from '../../base/streams.ts'
import type { MongodbSettings } from '../../model/databases.ts'
import type { SourceEntry } from '../../model/entry.ts'
import { notYet } from '../../model/later.ts'
import type { ReadOptions, Source, SourceCheck, SourceReading } from '../../model/source.ts'
import { dumpFile, dumpFolder, dumpReading, jsonBytes, timestampOf } from '../dump-reading.ts'
import { matchesAny } from '../names.ts'
import { BLOCK, readPieces, type Outlet, type Piece } from '../pieces.ts'
import { asMongoError, connect, type Connected } from './connect.ts'
import { aboutName, bsonPath, metadataPath, type AboutMongo } from './layout.ts'

/** Collections that are read at once. */
const AT_ONCE = 4

/** Databases of a MongoDB, in the layout of mongodump: raw documents, options and indexes of each collection. */
export function mongodb(settings: MongodbSettings): Source {
  if (settings.oplog === true) throw notYet('mongodb (oplog)')
  const named = settings.databases ?? (settings.database === undefined ? [] : [settings.database])
  const where = settings.host ?? (settings.url === undefined ? 'localhost' : 'server')
  return {
    type: 'mongodb',
    name: `mongodb://${where}${named.length > 0 ? `/${named.join(',')}` : ''}`,
    paths: [`mongodb://${where}:${settings.port ?? 27_017}`],
    test: async () => check(settings),
    read: async (options) => read(settings, options),
  }
}

interface Collection {
  database: string
  name: string
  type: string
  metadata: Buffer
  /** Where the documents lie: of a time series in its buckets. */
  rows?: string
}

const OWN = ['local', 'config']
/** Of the database admin: who may do what. */
const ACCESS = ['system.users', 'system.roles', 'system.version']

async function databasesOf(settings: MongodbSettings, { client, name, database }: Connected): Promise<string[]> {
  const { databases } = await client.db('admin').command({ listDatabases: 1, nameOnly: true })
  const all = namesIn(databases)
  const wanted = [...(settings.databases ?? []), ...(settings.database === undefined ? [] : [settings.database])]
  if (wanted.length === 0 && database !== undefined) wanted.push(database)
  const missing = wanted.find((pattern) => !all.some((each) => matchesAny([pattern], each)))
  if (missing !== undefined) throw new AppError('source.not-found', `${name} has no database ${missing}`)
  const found = all.filter(
    (each) =>
      (wanted.length === 0 ? !OWN.includes(each) : matchesAny(wanted, each)) &&
      !matchesAny(settings.excludeDatabases ?? [], each),
  )
  if (found.length === 0) throw new AppError('source.not-found', `no database of ${name} is to be backed up`)
  return found
}

const namesIn = (databases: unknown): string[] =>
  Array.isArray(databases)
    ? databases.flatMap((each: unknown) =>
        typeof each === 'object' && each !== null && 'name' in each && typeof each.name === 'string' ? [each.name] : [],
      )
    : []

/** What is there, with options and indexes as they stand. */
async function collectionsOf(
  settings: MongodbSettings,
  { client, driver }: Connected,
  database: string,
): Promise<Collection[]> {
  const { collections: wanted, excludeCollections = [] } = settings
  const exact = { promoteValues: false, promoteLongs: false }
  const db = client.db(database)
  const found: Collection[] = []
  for await (const info of db.listCollections({}, exact)) {
    const { name, type = 'collection', options = {}, info: more } = info as Document & { name: string; type?: string }
    const isAccess = database === 'admin' && ACCESS.includes(name)
    if (name.startsWith('system.') && !isAccess) continue
    if (wanted !== undefined && !matchesAny(wanted, name)) continue
    if (matchesAny(excludeCollections, name)) continue
    const indexes: Document[] = type === 'view' ? [] : await db.collection(name).listIndexes(exact).toArray()
    const metadata = driver.BSON.EJSON.stringify(
      { options, indexes, ...(more?.uuid !== undefined && { uuid: uuidOf(more.uuid) }), collectionName: name, type },
      { relaxed: false },
    )
    found.push({
      database,
      name,
      type,
      metadata: Buffer.from(metadata),
      ...(type !== 'view' && { rows: type === 'timeseries' ? `system.buckets.${name}` : name }),
    })
  }
  return found
}

/** 32 hexadecimal digits, as mongodump writes it. */
function uuidOf(value: unknown): string {
  const text =
    typeof value === 'object' && value !== null && 'toHexString' in value && typeof value.toHexString === 'function'
      ? String(value.toHexString())
      : String(value)
  return text.replaceAll('-', '')
}

interface RowsPiece extends Piece<Connected> {
  collection: Collection
  documents(): number
}

function pieceOf(collection: Collection, rows: string): RowsPiece {
  let documents = 0
  return {
    collection,
    path: bsonPath(collection.database, rows),
    documents: () => documents,
    async read({ client, name }, outlet) {
      try {
        documents = await readRaw(client.db(collection.database).collection(rows).find({}, { raw: true }), outlet)
      } catch (error) {
        throw asMongoError(error, `${name}: ${collection.database}.${collection.name}`)
      }
    },
  }
}

/** Documents as they are on the wire, one after the other. */
async function readRaw(cursor: AsyncIterable<unknown>, outlet: Outlet): Promise<number> {
  let block = outlet.block()
  let filled = 0
  let documents = 0
  const flush = async (): Promise<void> => {
    if (filled > 0) outlet.write(block.subarray(0, filled))
    filled = 0
    await outlet.ready()
  }
  for await (const document of cursor) {
    if (!(document instanceof Uint8Array)) throw new AppError('internal.bug', 'the driver parsed what it should not')
    if (filled + document.length > block.length) {
      await flush()
      block = document.length > BLOCK ? Buffer.allocUnsafeSlow(document.length) : outlet.block()
    }
    block.set(document, filled)
    filled += document.length
    documents += 1
  }
  await flush()
  return documents
}

async function read(settings: MongodbSettings, { signal, onWarning }: ReadOptions): Promise<SourceReading> {
  const connected = await connect(settings)
  const { client, name, replicaSet, version } = connected
  const cancel = signal ? { signal } : {}
  const mtime = timestampOf(new Date())
  let about: AboutMongo | undefined
  // What waits for the server ends with the connection.
  const onAbort = (): void => void client.close()
  signal?.addEventListener('abort', onAbort, { once: true })
  try {
    const databases = await databasesOf(settings, connected)
    const collections: Collection[] = []
    for (const database of databases) {
      throwIfAborted(signal)
      collections.push(...(await collectionsOf(settings, connected, database)))
    }
    onWarning({
      code: 'note',
      message:
        replicaSet === undefined
          ? 'a standalone server has no oplog: each collection is as of the moments in which it was read'
          : 'each collection is as of the moments in which it was read: the oplog is not followed yet',
    })
    return dumpReading({
      entries: () => entriesOf(databases, collections),
      facts: () => ({ ...about }),
      close: async () => {
        signal?.removeEventListener('abort', onAbort)
        await connected[Symbol.asyncDispose]()
      },
    })
  } catch (error) {
    await client.close()
    throw asMongoError(error, name)
  }

  async function* entriesOf(databases: string[], collections: Collection[]): AsyncGenerator<SourceEntry> {
    const pieces = collections.flatMap((each) => (each.rows === undefined ? [] : pieceOf(each, each.rows)))
    pieces.sort((a, b) => comparePaths(a.path, b.path))
    const lanes = Array.from({ length: Math.min(settings.parallel ?? AT_ONCE, pieces.length) }, () => connected)
    await using reading = readPieces(pieces, lanes, mtime, cancel)
    const small = [
      ...databases.map((database) => dumpFolder(database, mtime)),
      ...collections.map((each) => dumpFile(metadataPath(each.database, each.name), mtime, each.metadata)),
    ]
    const steps: { path: string; entry: () => SourceEntry | Promise<SourceEntry> }[] = [
      ...small.map((entry) => ({ path: entry.path, entry: () => entry })),
      ...pieces.map(({ path }, index) => ({ path, entry: async () => reading.entry(index) })),
    ].sort((a, b) => comparePaths(a.path, b.path))
    try {
      for (const { entry } of steps) {
        throwIfAborted(signal)
        yield await entry()
      }
      await reading.done()
    } catch (error) {
      await client.close()
      throw error
    }
    about = {
      holdfast: 'mongodb',
      version: 1,
      server: version,
      ...(replicaSet !== undefined && { replicaSet }),
      collections: collections.map(({ database, name: of, type }) => ({
        database,
        name: of,
        type,
        documents:
          pieces.find(({ collection }) => collection.database === database && collection.name === of)?.documents() ?? 0,
      })),
    }
    yield dumpFile(aboutName(databases), mtime, jsonBytes(about))
  }
}

async function check(settings: MongodbSettings): Promise<SourceCheck[]> {
  await using connected = await connect(settings)
  const { name, version, replicaSet } = connected
  try {
    const databases = await databasesOf(settings, connected)
    const checks: SourceCheck[] = [
      { name, ok: true, detail: `MongoDB ${version}, ${databases.length} databases` },
      replicaSet === undefined
        ? { name: 'oplog', ok: true, detail: 'a standalone server has none: backups are full, and no points in time' }
        : { name: 'oplog', ok: true, detail: `replica set ${replicaSet}` },
    ]
    for (const database of databases) {
      const found = await collectionsOf(settings, connected, database)
      checks.push({ database, name: database, ok: true, detail: `${found.length} collections` })
    }
    return checks
  } catch (error) {
    throw asMongoError(error, name)
  }
}
