/** How a server is reached, from what is configured. */
import { existsSync } from 'node:fs'
import { systemClock } from '../../base/clock.ts'
import { AppError, isAppError } from '../../base/errors.ts'
import { registerSecret } from '../../base/redact.ts'
import { retry } from '../../base/retry.ts'
import { parseDuration } from '../../base/units.ts'
import type { ServerSettings } from '../../model/databases.ts'
import { openConnection, type Connection, type Login } from './connection.ts'

const SOCKETS = ['/run/mysqld/mysqld.sock', '/var/lib/mysql/mysql.sock', '/tmp/mysql.sock']
const PORT = 3306
const IDLE = '30m'

export interface Server {
  login: Login
  /** The database that the URL names. */
  database?: string
  /** For people. */
  name: string
}

export async function serverOf(settings: ServerSettings): Promise<Server> {
  const url = settings.url === undefined ? undefined : parseUrl(await settings.url.read())
  const text = (value: string | undefined): string | undefined =>
    value === undefined || value === '' ? undefined : decodeURIComponent(value)
  const named = settings.host ?? text(url?.hostname)
  const inUrl = text(url?.password) ?? ''
  if (inUrl !== '') registerSecret(inUrl)
  const password = (await settings.password?.read()) ?? inUrl
  const database = text(url?.pathname.slice(1))
  const port = settings.port ?? (url === undefined || url.port === '' ? undefined : Number(url.port))
  const host = named ?? (port === undefined ? SOCKETS.find((path) => existsSync(path)) : undefined) ?? '127.0.0.1'
  const { tls, ca } = settings
  return {
    name: host.startsWith('/') ? `mysql:${host}` : `mysql://${host}:${port ?? PORT}`,
    ...(database !== undefined && { database }),
    login: {
      host,
      port: port ?? PORT,
      user: settings.user ?? text(url?.username) ?? process.env['USER'] ?? 'root',
      password,
      tls: tls === true ? 'verify-full' : tls === false ? 'disable' : (tls ?? modeOf(url) ?? 'prefer'),
      ...(ca !== undefined && { ca }),
      idleMs: parseDuration(settings.idleTimeout ?? IDLE),
    },
  }
}

function parseUrl(text: string): URL {
  try {
    return new URL(text)
  } catch {
    throw new AppError('config.invalid', 'the connection URL of the MySQL or MariaDB server cannot be read')
  }
}

/** As MySQL's own programs call it: `?ssl-mode=VERIFY_CA`. */
function modeOf(url: URL | undefined): Login['tls'] | undefined {
  const mode = (url?.searchParams.get('ssl-mode') ?? url?.searchParams.get('ssl') ?? '').toLowerCase()
  switch (mode) {
    case '':
      return undefined
    case 'disabled':
    case 'false':
      return 'disable'
    case 'preferred':
      return 'prefer'
    case 'required':
    case 'true':
      return 'require'
    case 'verify_ca':
      return 'verify-ca'
    case 'verify_identity':
      return 'verify-full'
    default:
      throw new AppError('config.invalid', `ssl-mode=${mode} in the URL is not known`)
  }
}

/** What is wrong with the network or a busy server is tried again; a wrong password is not. */
const RETRY = { attempts: 4, baseMs: 300, maxMs: 3000, clock: systemClock }

export async function connect({ login, name }: Server, signal?: AbortSignal): Promise<Connection> {
  try {
    return await retry(async () => openConnection(login, signal), { ...RETRY, signal })
  } catch (error) {
    if (!isAppError(error) || error.code === 'run.cancelled') throw error
    throw new AppError(error.code, `${name}: ${error.message}`, {
      cause: error,
      hint:
        error.code === 'source.denied'
          ? 'Check user, password and the hosts from which this user may connect (SELECT user, host FROM mysql.user).'
          : error.hint,
      details: error.details,
    })
  }
}
