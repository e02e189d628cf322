import { randomBytes } from 'node:crypto'
import type { Db, Document } from 'mongodb'
import * as z from 'zod'
import { AppError, isAppError, type ErrorCode } from '../../base/errors.ts'
import { throwIfAborted } from '../../base/streams.ts'
import type { DatabaseTargetSettings } from '../../model/databases.ts'
import type { Entry, RestoredEntry } from '../../model/entry.ts'
import type { RestoreOutcome, Target, WriteTargetOptions } from '../../model/source.ts'
import { matchesAny } from '../names.ts'
import { bytesOf, contentOf, noOutcome } from '../restored.ts'
import { asMongoError, connect, type Connected } from './connect.ts'
import { documentsOf, sendable } from './documents.ts'
import { isAbout, parseAbout, parsePath, type AboutMongo } from './layout.ts'

/** Of one command; a document may have 16 MiB itself. */
const BATCH_BYTES = 4 * 1024 * 1024
const BATCH_DOCUMENTS = 2000
const AT_ONCE = 4

/**
 * Collections of one database. Each is made under a name of its own, filled, indexed, counted and compared; when all are,
 * they get their names. With `replace` those that are there are renamed before, and kept.
 */
export function mongoTarget(settings: DatabaseTargetSettings): Target {
  const { from, only } = settings
  const ours = ({ kind, path }: Entry, is: 'rows' | 'metadata'): boolean => {
    const found = kind === 'file' ? parsePath(path) : undefined
    if (found?.is !== is || (from !== undefined && found.database !== from)) return false
    return only === undefined || matchesAny(only, found.collection.replace(/^system\.buckets\./, ''))
  }
  return {
    name: settings.database ?? from ?? 'mongodb',
    rounds: [({ path }) => isAbout(path), (entry) => ours(entry, 'metadata'), (entry) => ours(entry, 'rows')],
    async write(entries, options) {
      try {
        await using connected = await connect(settings.server)
        const restore = new Restore(settings, connected, options)
        try {
          for await (const entry of entries) {
            throwIfAborted(options.signal)
            await restore.take(entry)
          }
          return await restore.finish()
        } finally {
          await restore.close()
        }
      } catch (error) {
        throw asTargetError(error)
      }
    },
  }
}

const CODES: Partial<Record<ErrorCode, ErrorCode>> = {
  'source.denied': 'target.denied',
  'source.unreachable': 'target.unreachable',
  'source.incomplete': 'restore.failed',
}

function asTargetError(error: unknown): AppError {
  const known = asMongoError(error, 'MongoDB')
  const code = CODES[known.code]
  return code === undefined ? known : new AppError(code, known.message, { cause: known })
}

const metadata = z.object({
  options: z.record(z.string(), z.unknown()).optional(),
  indexes: z.array(z.record(z.string(), z.unknown())).optional(),
  collectionName: z.string(),
  type: z.string().optional(),
})

interface Wanted {
  collection: string
  /** The name until the end. */
  made: string
  type: string
  options: Document
  indexes: Document[]
}

class Restore {
  readonly #settings: DatabaseTargetSettings
  readonly #connected: Connected
  readonly #options: WriteTargetOptions
  readonly #suffix = randomBytes(4).toString('hex')
  readonly #outcome = noOutcome()
  readonly #wanted: Wanted[] = []
  #about: AboutMongo | undefined
  #from: string | undefined
  #there: Set<string> | undefined
  #placed = false

  constructor(settings: DatabaseTargetSettings, connected: Connected, options: WriteTargetOptions) {
    this.#settings = settings
    this.#connected = connected
    this.#options = options
  }

  get #db(): Db {
    return this.#connected.client.db(this.#settings.database ?? this.#connected.database ?? this.#from ?? '')
  }

  async take(entry: RestoredEntry): Promise<void> {
    if (isAbout(entry.path)) {
      this.#about = parseAbout(await bytesOf(entry), entry.path)
      return
    }
    const path = parsePath(entry.path)
    if (path === undefined) return
    if (this.#from !== undefined && this.#from !== path.database)
      throw new AppError('usage.invalid', 'there are several databases in this backup', {
        hint: `Name one with --from-database, such as ${this.#from} or ${path.database}.`,
      })
    this.#from = path.database
    if (path.is === 'metadata') await this.#describe(await bytesOf(entry), entry.path)
    else await this.#rows(entry, path.collection)
  }

  async #describe(bytes: Uint8Array, what: string): Promise<void> {
    const { EJSON } = this.#connected.driver.BSON
    let value: unknown
    try {
      value = EJSON.parse(Buffer.from(bytes).toString(), { relaxed: false })
    } catch (cause) {
      throw new AppError('backup.damaged', `${what} is not extended JSON`, { cause })
    }
    const parsed = metadata.safeParse(value, { jitless: true })
    if (!parsed.success) throw new AppError('backup.damaged', `${what} does not describe a collection`)
    const { collectionName: collection, type = 'collection', options = {}, indexes = [] } = parsed.data
    // What says who may do what belongs to the server that it came from.
    if (collection.startsWith('system.')) {
      this.#options.onWarning({
        code: 'note',
        message: `${collection} is not restored: bring it back with --to FOLDER and mongorestore`,
      })
      return
    }
    const direct = type === 'view' || type === 'timeseries'
    this.#wanted.push({
      collection,
      made: direct ? collection : `holdfast_restore_${this.#suffix}_${collection}`,
      type,
      options,
      indexes,
    })
  }

  /** Made when all of them are known: nothing is begun where something is in the way. */
  async #begin(): Promise<void> {
    if (this.#there !== undefined) return
    const names = await this.#db.listCollections({}, { nameOnly: true }).toArray()
    this.#there = new Set(names.map(({ name }) => name))
    const inTheWay = this.#inTheWay()
    const { replace, dryRun } = this.#settings
    if (inTheWay.length > 0 && replace !== true && dryRun !== true)
      throw new AppError(
        'restore.exists',
        `${this.#db.databaseName} has ${inTheWay.length === 1 ? inTheWay[0] : `${inTheWay.length} of these collections`} already`,
        {
          hint: 'Choose another name with --database, or say --overwrite always: what is there is then renamed and kept.',
        },
      )
    if (dryRun === true) return
    for (const { made, type, options } of this.#wanted)
      if (type === 'collection') await this.#db.command({ create: made, ...options })
  }

  #inTheWay(): string[] {
    return this.#wanted.map(({ collection }) => collection).filter((name) => this.#there?.has(name) === true)
  }

  async #rows(entry: RestoredEntry, name: string): Promise<void> {
    await this.#begin()
    const wanted = this.#wanted.find(({ collection }) => collection === name)
    if (wanted === undefined) {
      if (name.startsWith('system.buckets.'))
        throw new AppError('source.unsupported', `${name}: time series are restored by mongorestore only`, {
          hint: 'Leave it out with --only, and bring its files back with --to FOLDER.',
        })
      return
    }
    this.#outcome.bytes += entry.size
    if (this.#settings.dryRun === true) return
    const running = new Set<Promise<void>>()
    let failure: unknown
    const send = async (documents: Document[]): Promise<void> => {
      while (running.size >= (this.#settings.parallel ?? AT_ONCE)) await Promise.race(running)
      if (failure !== undefined) throw failure
      const task = this.#insert(wanted.made, documents)
        .catch((error: unknown) => {
          failure ??= error
        })
        .finally(() => running.delete(task))
      running.add(task)
    }
    let batch: Document[] = []
    let bytes = 0
    for await (const document of documentsOf(contentOf(entry), entry.path)) {
      if (batch.length > 0 && (bytes + document.length > BATCH_BYTES || batch.length >= BATCH_DOCUMENTS)) {
        await send(batch)
        batch = []
        bytes = 0
      }
      batch.push(sendable(this.#connected.driver, document, entry.path))
      bytes += document.length
      this.#options.onBytes?.(document.length)
    }
    if (batch.length > 0) await send(batch)
    await Promise.all(running)
    if (failure !== undefined) throw failure
  }

  async #insert(collection: string, documents: Document[]): Promise<void> {
    const answer = await this.#db.command({
      insert: collection,
      documents,
      ordered: true,
      bypassDocumentValidation: true,
    })
    const errors: unknown = answer['writeErrors']
    if (Array.isArray(errors) && errors.length > 0)
      throw new AppError('restore.failed', `${collection}: ${JSON.stringify(errors[0]).slice(0, 300)}`)
  }

  async finish(): Promise<RestoreOutcome> {
    if (this.#about === undefined || this.#from === undefined || this.#wanted.length === 0)
      throw new AppError('backup.not-found', 'there is no such database or collection in the backup', {
        hint: 'See what is in it with `holdfast ls`.',
      })
    await this.#begin()
    const replaced = new Set(this.#inTheWay())
    for (const { collection } of this.#wanted) {
      const effect = replaced.has(collection) ? 'replace' : 'create'
      this.#outcome.files += 1
      this.#outcome.effects[effect] += 1
      const path = `${this.#db.databaseName}/${collection}`
      this.#options.onEntry?.({ path, kind: 'file', mode: 0o600, mtime: { s: 0, ns: 0 }, size: 0 }, effect)
    }
    if (this.#settings.dryRun === true) return this.#outcome
    for (const wanted of this.#wanted) await this.#complete(wanted)
    await this.#place(replaced)
    return this.#outcome
  }

  async #complete({ collection, made, type, indexes }: Wanted): Promise<void> {
    if (type !== 'collection') return
    const more = indexes.filter(({ name }) => name !== '_id_').map(({ ns: _ns, v: _v, ...spec }) => spec)
    this.#options.onStep?.(`${collection}: ${more.length} indexes`)
    if (more.length > 0) await this.#db.command({ createIndexes: made, indexes: more })
    const had = this.#about?.collections.find(
      ({ database, name }) => database === this.#from && name === collection,
    )?.documents
    const has = await this.#db.collection(made).countDocuments()
    if (had !== undefined && has !== had)
      throw new AppError('backup.damaged', `${collection} has ${has} documents after the restore, and had ${had}`)
  }

  async #place(replaced: ReadonlySet<string>): Promise<void> {
    for (const { collection, made, type } of this.#wanted) {
      if (replaced.has(collection)) {
        const aside = `${collection}_before_${this.#suffix}`
        await this.#db.renameCollection(collection, aside)
        this.#options.onWarning({ code: 'note', message: `the collection that was there is now called ${aside}` })
      }
      if (type === 'collection') await this.#db.renameCollection(made, collection)
    }
    // Views last: they are of collections that have to be there.
    for (const { collection, type, options } of this.#wanted)
      if (type === 'view') await this.#db.command({ create: collection, ...options })
    this.#placed = true
  }

  /** Removes what did not come to its end. */
  async close(): Promise<void> {
    if (this.#placed || this.#there === undefined || this.#settings.dryRun === true) return
    for (const { made, type } of this.#wanted) {
      if (type !== 'collection') continue
      try {
        await this.#db.dropCollection(made)
      } catch (error) {
        if (isAppError(error) || !/ns not found|not found/i.test(String(error)))
          this.#options.onWarning({ code: 'left', message: `${made} could not be removed: ${String(error)}` })
      }
    }
  }
}
