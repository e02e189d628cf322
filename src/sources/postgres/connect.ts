/** How PostgreSQL's own programs are found and reached. Nothing secret is ever an argument: libpq reads its environment. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { AppError } from '../../base/errors.ts'
import { findProgram, runProgram } from '../../base/program.ts'
import { registerSecret } from '../../base/redact.ts'
import type { ServerSettings } from '../../model/databases.ts'

export interface Server {
  /** For libpq, without the database. */
  env: Record<string, string>
  /** The database that the URL names. */
  database?: string
  /** For people. */
  name: string
}

export async function serverOf(settings: ServerSettings): Promise<Server> {
  const url = settings.url === undefined ? undefined : parseUrl(await settings.url.read())
  const host = settings.host ?? (url && decodeURIComponent(url.hostname))
  const port = settings.port ?? (url?.port || undefined)
  const user = settings.user ?? (url && decodeURIComponent(url.username))
  const inUrl = url === undefined ? '' : decodeURIComponent(url.password)
  if (inUrl !== '') registerSecret(inUrl)
  const password = (await settings.password?.read()) ?? inUrl
  const database = url === undefined ? '' : decodeURIComponent(url.pathname.slice(1))
  const mode = sslMode(settings.tls) ?? url?.searchParams.get('sslmode') ?? undefined
  return {
    name: `postgres://${host ?? 'localhost'}${port === undefined ? '' : `:${port}`}`,
    ...(database !== '' && { database }),
    env: {
      PGCONNECT_TIMEOUT: '30',
      PGAPPNAME: 'holdfast',
      PGOPTIONS: '-c statement_timeout=0 -c lock_timeout=0 -c idle_in_transaction_session_timeout=0',
      ...(host && { PGHOST: host }),
      ...(port !== undefined && { PGPORT: String(port) }),
      ...(user && { PGUSER: user }),
      ...(password !== '' && { PGPASSWORD: password }),
      ...(mode !== undefined && { PGSSLMODE: mode }),
      ...(settings.ca !== undefined && { PGSSLROOTCERT: settings.ca }),
    },
  }
}

function parseUrl(text: string): URL {
  try {
    return new URL(text)
  } catch {
    throw new AppError('config.invalid', 'the connection URL of PostgreSQL cannot be read')
  }
}

const sslMode = (tls: ServerSettings['tls']): string | undefined =>
  tls === true ? 'verify-full' : tls === false ? 'disable' : tls

/** Where the client programs of each version lie on the usual systems, the newest first. */
export function programFolders(): string[] {
  const under = (parent: string, tail: string): string[] => {
    try {
      const versions = readdirSync(parent).sort((a, b) => Number.parseFloat(b) - Number.parseFloat(a))
      return versions.map((version) => join(parent, version, tail))
    } catch {
      return []
    }
  }
  return under('/usr/lib/postgresql', 'bin')
}

export interface Programs {
  psql: string
  pgDump: string
  pgDumpall: string
  pgRestore: string
}

/** The programs that suit a server: never older than it. */
export async function programsFor(serverVersion: number, folder: string | undefined): Promise<Programs> {
  const major = Math.floor(serverVersion / 10_000)
  const folders = folder === undefined ? programFolders() : [folder]
  const dumps = [...folders.map((each) => join(each, 'pg_dump')), ...(folder === undefined ? ['pg_dump'] : [])]
  const seen: string[] = []
  let best: { major: number; folder: string } | undefined
  for (const name of dumps) {
    const path = findProgram(name)
    if (path === undefined) continue
    const version = (await runProgram({ program: path, args: ['--version'] })).toString()
    const found = Number(/\(PostgreSQL\) (\d+)/.exec(version)?.[1] ?? 0)
    seen.push(`${found} in ${path}`)
    // The closest that is not older: a newer one may write what older servers do not know.
    if (found >= major && (best === undefined || found < best.major))
      best = { major: found, folder: path.slice(0, path.lastIndexOf('/')) }
    if (best?.major === major) break
  }
  if (best === undefined)
    throw new AppError(
      'source.no-program',
      `the server is PostgreSQL ${major}, and there is ${seen.length === 0 ? 'no pg_dump' : `only pg_dump ${seen.join(', ')}`}`,
      {
        hint: `Install the client of PostgreSQL ${major}, such as the package postgresql-client-${major}, or set programs.`,
      },
    )
  const at = best.folder
  return {
    psql: join(at, 'psql'),
    pgDump: join(at, 'pg_dump'),
    pgDumpall: join(at, 'pg_dumpall'),
    pgRestore: join(at, 'pg_restore'),
  }
}

export function anyPsql(folder: string | undefined): string {
  const found = findProgram('psql', folder === undefined ? programFolders() : [folder])
  if (found !== undefined) return found
  throw new AppError('source.no-program', 'psql is not installed', {
    hint: 'Install the client of PostgreSQL, such as the package postgresql-client.',
  })
}

export interface SqlOptions {
  psql: string
  server: Server
  database: string
  signal?: AbortSignal
  idleMs?: number
}

/** What a statement gives, one line a row. The statement goes by stdin: it may hold what others should not see. */
export async function sql(
  statement: string,
  { psql, server, database, signal, idleMs }: SqlOptions,
): Promise<string[]> {
  try {
    const out = await runProgram({
      program: psql,
      args: ['-X', '-A', '-t', '-q', '-w', '-v', 'ON_ERROR_STOP=1'],
      env: { ...server.env, PGDATABASE: database },
      input: statement,
      ...(signal && { signal }),
      ...(idleMs !== undefined && { idleMs }),
    })
    return out.toString().split('\n').slice(0, -1)
  } catch (error) {
    throw error instanceof AppError ? asConnectionError(error, server, database) : error
  }
}

/** psql tells everything in words. */
export function asConnectionError(error: AppError, server: Server, database: string): AppError {
  if (error.code !== 'source.incomplete') return error
  const where = `${server.name}/${database}`
  const text = `${where}: ${error.message}`
  if (/authentication failed|no password supplied|no pg_hba\.conf|permission denied/.test(error.message))
    return new AppError('source.denied', text, {
      cause: error,
      hint: 'Check user, password and pg_hba.conf of the server.',
    })
  if (/database ".*" does not exist/.test(error.message))
    return new AppError('source.not-found', text, { cause: error })
  if (
    /Connection refused|could not translate|could not connect|timeout expired|No such file|certificate|SSL/.test(
      error.message,
    )
  )
    return new AppError('source.unreachable', text, {
      cause: error,
      details: { permanent: /certificate|SSL/.test(error.message) },
    })
  if (/too many clients|remaining connection slots|starting up|shutting down|in recovery mode/.test(error.message))
    return new AppError('source.unreachable', text, { cause: error })
  return error
}

export const identifier = (name: string): string => `"${name.replaceAll('"', '""')}"`
export const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`
