import { AppError } from '../../base/errors.ts'
import { comparePaths } from '../../base/paths.ts'
import { runProgram, startProgram } from '../../base/program.ts'
import { throwIfAborted } from '../../base/streams.ts'
import { parseDuration } from '../../base/units.ts'
import type { PostgresSettings } from '../../model/databases.ts'
import type { SourceEntry } from '../../model/entry.ts'
import { notYet } from '../../model/later.ts'
import type { ReadOptions, Source, SourceCheck, SourceReading } from '../../model/source.ts'
import { dumpFile, dumpFolder, dumpReading, dumpStream, jsonBytes, timestampOf } from '../dump-reading.ts'
import { folderName, matches } from '../names.ts'
import { anyPsql, programsFor, serverOf, sql, type Programs, type Server } from './connect.ts'
import { dumpOnly } from './dump-check.ts'
import { ABOUT, DUMP, GLOBALS, type AboutPostgres } from './layout.ts'
import { openSnapshot } from './snapshot.ts'

const MAINTENANCE = 'postgres'
const IDLE = '30m'

/** Databases of a PostgreSQL server, each as of one snapshot, by the server's own client programs. */
export function postgres(settings: PostgresSettings): Source {
  for (const [set, what] of [
    [settings.method === 'physical', 'postgres (method: physical)'],
    [settings.slot !== undefined, 'postgres (slot)'],
    [settings.parallel !== undefined, 'postgres (parallel)'],
  ] as const)
    if (set) throw notYet('source', what)
  const named = settings.databases ?? (settings.database === undefined ? [] : [settings.database])
  const where = settings.host ?? 'localhost'
  return {
    type: 'postgres',
    name: `postgres://${where}${named.length > 0 ? `/${named.join(',')}` : ''}`,
    paths: [`postgres://${where}:${settings.port ?? 5432}`],
    test: async ({ signal }) => check(settings, signal),
    read: async (options) => read(settings, options),
  }
}

interface Connected {
  server: Server
  programs: Programs
  version: number
  databases: string[]
  idleMs: number
}

async function connect(settings: PostgresSettings, signal: AbortSignal | undefined): Promise<Connected> {
  const server = await serverOf(settings)
  const idleMs = parseDuration(settings.idleTimeout ?? IDLE)
  const cancel = signal ? { signal } : {}
  const first = settings.database ?? server.database ?? settings.databases?.find((name) => !/[*?]/.test(name))
  const base = { psql: anyPsql(settings.programs), server, database: first ?? MAINTENANCE, idleMs, ...cancel }
  const [versionText = '', ...all] = await sql(
    'show server_version_num; select datname from pg_database where datallowconn and not datistemplate order by datname collate "C";',
    base,
  )
  const version = Number(versionText)
  const programs = await programsFor(version, settings.programs)
  const wanted = [...(settings.databases ?? []), ...(settings.database === undefined ? [] : [settings.database])]
  if (wanted.length === 0 && server.database !== undefined) wanted.push(server.database)
  const isMissing = wanted.find((pattern) => !all.some((name) => matches(pattern, name)))
  if (isMissing !== undefined) throw new AppError('source.not-found', `${server.name} has no database ${isMissing}`)
  const out = settings.excludeDatabases ?? []
  const databases = all.filter(
    (name) =>
      (wanted.length === 0 || wanted.some((pattern) => matches(pattern, name))) &&
      !out.some((pattern) => matches(pattern, name)),
  )
  if (databases.length === 0) throw new AppError('source.not-found', `no database of ${server.name} is to be backed up`)
  return { server, programs, version, databases, idleMs }
}

async function read(settings: PostgresSettings, { signal, onWarning }: ReadOptions): Promise<SourceReading> {
  const connected = await connect(settings, signal)
  const { server, programs, databases, idleMs } = connected
  const cancel = signal ? { signal } : {}
  const abouts: AboutPostgres[] = []
  const mtime = timestampOf(new Date())

  async function globals(): Promise<SourceEntry> {
    const dumpall = async (...args: string[]): Promise<Buffer> =>
      runProgram({
        program: programs.pgDumpall,
        args: ['--globals-only', '--no-password', ...args],
        env: { ...server.env, PGDATABASE: databases[0] as string },
        idleMs,
        ...cancel,
      })
    try {
      return dumpFile(GLOBALS, mtime, await dumpall())
    } catch (error) {
      if (!(error instanceof AppError) || !/permission denied|pg_authid/.test(error.message)) throw error
      const bytes = await dumpall('--no-role-passwords')
      onWarning({
        code: 'note',
        message: 'roles are in the backup without their passwords: reading them takes a superuser',
      })
      return dumpFile(GLOBALS, mtime, bytes)
    }
  }

  async function* database(name: string): AsyncGenerator<SourceEntry> {
    const folder = folderName(name)
    await using snapshot = await openSnapshot(
      { ...connected, psql: programs.psql, database: name, ...cancel },
      settings,
    )
    abouts.push(snapshot.about)
    yield dumpFolder(folder, mtime)
    yield dumpStream(`${folder}/${DUMP}`, mtime, () => {
      const running = startProgram({
        program: programs.pgDump,
        args: ['-Fc', '-Z0', '--no-password', `--snapshot=${snapshot.id}`, ...filters(settings)],
        env: { ...server.env, PGDATABASE: name },
        idleMs,
        ...cancel,
      })
      running.stdin.end()
      return dumpOnly(running.stdout, 'pg_dump')
    })
    yield dumpFile(`${folder}/${ABOUT}`, mtime, jsonBytes(snapshot.about))
  }

  return dumpReading({
    async *entries() {
      const withGlobals = settings.globals !== false
      const steps = [
        ...databases.map((name) => ({ path: folderName(name), entries: () => database(name) })),
        ...(withGlobals
          ? [
              {
                path: GLOBALS,
                entries: async function* () {
                  yield await globals()
                },
              },
            ]
          : []),
      ]
      for (const { entries } of steps.sort((a, b) => comparePaths(a.path, b.path))) {
        throwIfAborted(signal)
        yield* entries()
      }
    },
    facts: () => ({ databases: abouts }),
    close: async () => {},
  })
}

/** pg_dump's own patterns; one that matches nothing is an error, not an empty dump. */
function filters({ tables, excludeTables, schemas, excludeSchemas }: PostgresSettings): string[] {
  const each = (flag: string, patterns: string[] = []): string[] => patterns.map((pattern) => `--${flag}=${pattern}`)
  const wanted = [...each('table', tables), ...each('schema', schemas)]
  return [
    ...wanted,
    ...(wanted.length > 0 ? ['--strict-names'] : []),
    ...each('exclude-table', excludeTables),
    ...each('exclude-schema', excludeSchemas),
  ]
}

async function check(settings: PostgresSettings, signal: AbortSignal | undefined): Promise<SourceCheck[]> {
  const { server, programs, version, databases } = await connect(settings, signal)
  const checks: SourceCheck[] = [
    {
      name: server.name,
      ok: true,
      detail: `PostgreSQL ${Math.floor(version / 10_000)}.${version % 10_000}, ${databases.length} databases`,
    },
    { name: 'client programs', ok: true, detail: programs.pgDump },
  ]
  for (const database of databases) {
    const unreadable = await sql(
      `select quote_ident(n.nspname) || '.' || quote_ident(c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
       where c.relkind in ('r', 'p', 'S') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
       and not has_table_privilege(c.oid, 'select') limit 3;`,
      { psql: programs.psql, server, database, ...(signal && { signal }) },
    )
    checks.push({
      name: `${database}: every table can be read`,
      ok: unreadable.length === 0,
      detail: unreadable.length === 0 ? '' : `not ${unreadable.join(', ')}`,
      ...(unreadable.length > 0 && { fix: `GRANT pg_read_all_data TO ${settings.user ?? 'the backup role'};` }),
    })
  }
  return checks
}
