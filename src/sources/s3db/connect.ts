/** A client of s3db.js for a connection string. The only place that loads s3db.js, and only when it is needed. */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { AppError, isAppError } from '../../base/errors.ts'
import { redact, registerSecret } from '../../base/redact.ts'
import type { Secret } from '../../model/settings.ts'
import { sourceError } from './fetch.ts'
import type { ObjectClient } from './object-client.ts'
import type { ClientOpener } from './source.ts'
import { isRecord } from './object-format.ts'

type Constructor<Options, Made> = new (options: Options) => Made

interface ParsedConnection {
  bucket?: string
  keyPrefix?: string
  region?: string
  basePath?: string
}

/** What is used of `s3db.js/lite`. */
interface Library {
  ConnectionString: Constructor<string, ParsedConnection>
  MemoryClient: Constructor<object, ObjectClient>
  FileSystemClient: Constructor<object, ObjectClient>
  SqliteClient: Constructor<object, ObjectClient>
  S3Client: Constructor<object, ObjectClient>
}

const NAMES = ['ConnectionString', 'MemoryClient', 'FileSystemClient', 'SqliteClient', 'S3Client'] as const

/** `create`: a database that is not there yet is made, for a restore. */
export function connectS3db(connection: Secret | string, { create = false } = {}): ClientOpener {
  return {
    name: typeof connection === 'string' ? safeName(connection) : 's3db',
    async open() {
      const text = typeof connection === 'string' ? connection : await connection.read()
      const client = await clientOf(text, create)
      return {
        client,
        close: async () => {
          await client.destroy?.()
        },
      }
    },
  }
}

/** Without credentials, for people and as the identity of the source. */
export function safeName(connection: string): string {
  if (!URL.canParse(connection)) return 's3db'
  const url = new URL(connection)
  const path = `${url.host}${url.pathname}`.replace(/\/+$/, '')
  return redact(`${url.protocol}//${path}`)
}

async function clientOf(text: string, create: boolean): Promise<ObjectClient> {
  if (!URL.canParse(text))
    throw new AppError('config.invalid', 'the connection string of the s3db database is no URL', {
      hint: 'Write s3://KEY:SECRET@BUCKET/prefix, file:///folder, sqlite:///file.db, memory://name, or http://KEY:SECRET@host:port/bucket.',
    })
  const { protocol, password } = new URL(text)
  if (password !== '') registerSecret(decodeURIComponent(password))
  const library = await loadLibrary()
  try {
    const parsed = new library.ConnectionString(text)
    const { bucket, keyPrefix, region, basePath } = parsed
    const place = { bucket, keyPrefix, basePath, region, logLevel: 'silent' }
    if (protocol === 'memory:') return new library.MemoryClient({ bucket, keyPrefix, logLevel: 'silent' })
    if (protocol === 'file:') return new library.FileSystemClient(place)
    if (protocol === 'sqlite:') {
      // The client makes an empty database of a mistyped name.
      if (!create && basePath !== undefined && !existsSync(basePath))
        throw new AppError('source.not-found', `there is no database file ${basePath}`)
      return new library.SqliteClient(place)
    }
    if (['s3:', 'http:', 'https:'].includes(protocol)) {
      const httpClientOptions = { useReckerHandler: false, maxSockets: 64 }
      return new library.S3Client({ connectionString: text, logLevel: 'silent', httpClientOptions })
    }
  } catch (error) {
    throw isAppError(error) ? error : sourceError(error, 'use the connection string of the s3db database')
  }
  throw new AppError('source.unsupported', `connections by ${protocol} are not known`, {
    hint: 'Use s3:, http:, https:, file:, sqlite: or memory:, or give a client of s3db.js to the library.',
  })
}

let loaded: Promise<Library> | undefined

async function loadLibrary(): Promise<Library> {
  loaded ??= importLibrary().catch((error: unknown) => {
    loaded = undefined
    throw error
  })
  return loaded
}

/** From beside Holdfast, else from the project in the working directory. */
async function importLibrary(): Promise<Library> {
  const problems: unknown[] = []
  const places = ['s3db.js/lite', entryIn(process.cwd())].filter((place) => place !== undefined)
  for (const place of places) {
    try {
      const found: unknown = await import(place)
      if (isLibrary(found)) return found
      throw new AppError('source.unsupported', 's3db.js is there, in a version that is not known', {
        hint: 'Install s3db.js 21.',
      })
    } catch (error) {
      if (isAppError(error)) throw error
      problems.push(error)
    }
  }
  throw new AppError('source.unsupported', 's3db databases need the package s3db.js, which is not installed', {
    cause: problems.at(-1),
    hint: 'Install it beside Holdfast or in the working directory: `npm install s3db.js@21`.',
  })
}

const isLibrary = (value: unknown): value is Library =>
  typeof value === 'object' && value !== null && NAMES.every((name) => typeof Reflect.get(value, name) === 'function')

/** Packages that have no entry for `require` cannot be resolved from another place: their manifest is read. */
function entryIn(folder: string): string | undefined {
  for (let at = folder; ; at = dirname(at)) {
    const manifest = join(at, 'node_modules/s3db.js/package.json')
    if (existsSync(manifest)) {
      const read: unknown = JSON.parse(readFileSync(manifest, 'utf8'))
      const lite = isRecord(read) && isRecord(read['exports']) ? read['exports']['./lite'] : undefined
      const entry = isRecord(lite) ? lite['import'] : undefined
      return typeof entry === 'string' ? pathToFileURL(join(dirname(manifest), entry)).href : undefined
    }
    if (dirname(at) === at) return undefined
  }
}
