/** The official driver, loaded when a MongoDB is wanted: it is an optional peer. */
import type { MongoClient, MongoClientOptions } from 'mongodb'
import { AppError, isAppError } from '../../base/errors.ts'
import { registerSecret } from '../../base/redact.ts'
import type { ServerSettings } from '../../model/databases.ts'

export type Driver = typeof import('mongodb')

export interface Connected extends AsyncDisposable {
  driver: Driver
  client: MongoClient
  /** For people. */
  name: string
  /** The database that the URL names. */
  database?: string
  version: string
  /** Absent: a standalone server. */
  replicaSet?: string
}

/** The driver tries again for so long. */
const CONNECT_MS = 5000

async function loadDriver(): Promise<Driver> {
  try {
    return await import('mongodb')
  } catch (cause) {
    throw new AppError('source.unsupported', 'MongoDB needs the package mongodb, which is not installed', {
      cause,
      hint: 'Install it beside Holdfast: `npm install mongodb@7`.',
    })
  }
}

/** The URL without what is secret, and the options beside it. */
async function addressOf(settings: ServerSettings): Promise<{ url: string; name: string; database?: string }> {
  const { host, port, user } = settings
  const text =
    (await settings.url?.read()) ?? `mongodb://${host ?? '127.0.0.1'}:${port ?? 27_017}/?directConnection=true`
  const found = /^(mongodb(?:\+srv)?):\/\/(?:([^@/]*)@)?([^/?]+)(?:\/([^?]*))?(?:\?(.*))?$/i.exec(text)
  if (found === null) throw new AppError('config.invalid', 'the connection URL of MongoDB cannot be read')
  const [, scheme = '', login = '', hosts = '', path = '', query = ''] = found
  const inUrl = decodeURIComponent(login.split(':').slice(1).join(':'))
  if (inUrl !== '') registerSecret(inUrl)
  const password = (await settings.password?.read()) ?? inUrl
  const name = user ?? decodeURIComponent(login.split(':')[0] ?? '')
  const credentials =
    name === '' ? '' : `${encodeURIComponent(name)}${password === '' ? '' : `:${encodeURIComponent(password)}`}@`
  if (credentials !== '') registerSecret(encodeURIComponent(password) || password)
  const database = decodeURIComponent(path)
  // A database in the URL would be where the user is looked for.
  const parameters = query === '' ? [] : query.split('&')
  if (database !== '' && credentials !== '' && !/(^|&)authSource=/i.test(query))
    parameters.push(`authSource=${encodeURIComponent(database)}`)
  return {
    url: `${scheme}://${credentials}${hosts}/${parameters.length > 0 ? `?${parameters.join('&')}` : ''}`,
    name: `${scheme}://${hosts}`,
    ...(database !== '' && { database }),
  }
}

function tlsOf({ tls, ca }: ServerSettings): MongoClientOptions {
  const file = ca === undefined ? {} : { tlsCAFile: ca }
  switch (tls) {
    case undefined:
      return ca === undefined ? {} : { tls: true, ...file }
    case false:
    case 'disable':
      return { tls: false }
    case 'prefer':
      throw new AppError('config.invalid', 'MongoDB has no TLS that is only preferred', {
        hint: 'Say --tls require, verify-full or disable.',
      })
    case 'require':
      return { tls: true, tlsAllowInvalidCertificates: true, tlsAllowInvalidHostnames: true }
    case 'verify-ca':
      return { tls: true, tlsAllowInvalidHostnames: true, ...file }
    default:
      return { tls: true, ...file }
  }
}

export async function connect(settings: ServerSettings): Promise<Connected> {
  const driver = await loadDriver()
  const { url, name, database } = await addressOf(settings)
  let client: MongoClient
  try {
    client = new driver.MongoClient(url, {
      appName: 'holdfast',
      serverSelectionTimeoutMS: CONNECT_MS,
      retryReads: true,
      ...tlsOf(settings),
    })
  } catch (error) {
    throw new AppError('config.invalid', `the settings of MongoDB are refused: ${messageOf(error)}`, { cause: error })
  }
  try {
    await client.connect()
    const admin = client.db('admin')
    const hello = await admin.command({ hello: 1 })
    const { version } = await admin.command({ buildInfo: 1 })
    const { setName } = hello
    return {
      driver,
      client,
      name,
      version: String(version),
      ...(database !== undefined && { database }),
      ...(typeof setName === 'string' && { replicaSet: setName }),
      [Symbol.asyncDispose]: async () => client.close(),
    }
  } catch (error) {
    await client.close()
    throw asMongoError(error, name)
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** 13 and 18: not allowed, or not let in. */
export function asMongoError(error: unknown, name: string): AppError {
  if (isAppError(error)) return error
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  const text = `${name}: ${messageOf(error)}`
  if (code === 13 || code === 18 || code === 8000 || /auth/i.test(messageOf(error)))
    return new AppError('source.denied', text, {
      cause: error,
      hint: 'The user of a backup needs the role `backup` on admin: db.grantRolesToUser("USER", [{ role: "backup", db: "admin" }]).',
    })
  if (error instanceof Error && /Network|ServerSelection|Topology|Timeout/.test(error.name))
    return new AppError('source.unreachable', text, { cause: error })
  return new AppError('source.incomplete', text, { cause: error })
}
