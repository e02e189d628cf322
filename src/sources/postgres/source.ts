import { systemClock } from '../../base/clock.ts'
import { AppError } from '../../base/errors.ts'
import { comparePaths } from '../../base/paths.ts'
import { runProgram, startProgram } from '../../base/program.ts'
import { retry } from '../../base/retry.ts'
import { throwIfAborted } from '../../base/streams.ts'
import { parseDuration } from '../../base/units.ts'
import type { PostgresSettings } from '../../model/databases.ts'
import type { SourceEntry } from '../../model/entry.ts'
import type { ReadOptions, Source, SourceCheck, SourceReading } from '../../model/source.ts'
import { dumpFile, dumpFolder, dumpReading, dumpStream, jsonBytes, timestampOf } from '../dump-reading.ts'
import { folderName, matches } from '../names.ts'
import { readPieces, type Piece } from '../pieces.ts'
import { SHAPE, shapeOf } from '../shape.ts'
import { anyPsql, programsFor, serverOf, sql, type Programs, type Server, type SqlOptions } from './connect.ts'
import { hashOf, parseThings, serverWord, TEXTS, THINGS } from './content.ts'
import { readableDump } from './dump-check.ts'
import {
  ABOUT,
  DUMP,
  GLOBALS,
  LARGE_OBJECTS,
  pieceName,
  ROWS,
  tableFolder,
  TABLES,
  TOTALS,
  type AboutPostgres,
} from './layout.ts'
import { openSnapshot } from './snapshot.ts'
import type { Session } from './session.ts'
import { copyOf, countOf, exactly, rangesOf, withColumns, type Relation } from './tables.ts'

const MAINTENANCE = 'postgres'
const IDLE = '30m'
/** That read at once. */
const CONNECTIONS = 2

/** Databases of a PostgreSQL server, each as of one snapshot, by the server's own client programs. */
export function postgres(settings: PostgresSettings): Source {
  if (settings.slot !== undefined)
    throw new AppError('config.invalid', 'a slot is of the log, which goes with method: physical')
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

/** What is wrong with the network or a busy server is tried again; a wrong password is not. */
const firstAnswer = async (statement: string, options: SqlOptions): Promise<string[]> =>
  retry(async () => sql(statement, options), {
    attempts: 4,
    baseMs: 300,
    maxMs: 3000,
    clock: systemClock,
    signal: options.signal,
  })

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
  const [versionText = '', ...all] = await firstAnswer(
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
  const abouts: (Omit<AboutPostgres, 'tables'> & { tables: number; rows: number })[] = []
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
    let bytes: Buffer
    try {
      bytes = await dumpall()
    } catch (error) {
      if (!(error instanceof AppError) || !/permission denied|pg_authid/.test(error.message)) throw error
      bytes = await dumpall('--no-role-passwords')
      onWarning({
        code: 'note',
        message: 'roles are in the backup without their passwords: reading them takes a superuser',
      })
    }
    if (!bytes.includes('PostgreSQL database cluster dump complete'))
      throw new AppError('source.incomplete', 'pg_dumpall ended with exit code 0 before its dump was complete')
    return dumpFile(GLOBALS, mtime, bytes)
  }

  const dump = (path: string, database: string, args: readonly string[]): SourceEntry =>
    dumpStream(path, mtime, () => {
      const running = startProgram({
        program: programs.pgDump,
        args: ['-Fc', '-Z0', '--no-password', ...args],
        env: { ...server.env, PGDATABASE: database },
        idleMs,
        ...cancel,
      })
      running.stdin.end()
      return readableDump(running.stdout, programs.pgRestore, signal)
    })

  async function* database(name: string): AsyncGenerator<SourceEntry> {
    const folder = folderName(name)
    const options = { ...connected, psql: programs.psql, database: name, ...cancel }
    await using snapshot = await openSnapshot(options, settings, settings.parallel ?? CONNECTIONS)
    const { about, args, tables, readers } = snapshot
    const read = tables.map((table) => ({ table, pieces: piecesOf(folder, table, connected.version) }))
    read.sort((a, b) => comparePaths(tableFolder(a.table), tableFolder(b.table)))
    const withoutRows = tables.map((table) => `--exclude-table-data=${exactly(table)}`)
    await using reading = readPieces(
      read.flatMap(({ pieces }) => pieces),
      readers,
      mtime,
      cancel,
    )
    yield dumpFolder(folder, mtime)
    yield dump(`${folder}/${DUMP}`, name, [`--snapshot=${snapshot.id}`, '--no-blobs', ...args, ...withoutRows])
    yield dumpFile(`${folder}/${ABOUT}`, mtime, jsonBytes(about))
    if (snapshot.largeObjects)
      yield dump(`${folder}/${LARGE_OBJECTS}`, name, [
        `--snapshot=${snapshot.id}`,
        '--data-only',
        '--blobs',
        '--exclude-table-data=*.*',
      ])
    yield dumpFile(`${folder}/${ROWS}`, mtime, Buffer.from(rowsScript(about.encoding, tables)))
    // Of some tables alone the dump brings what it takes them, which is not said anywhere.
    if (isWhole(settings)) {
      const [line = ''] = await snapshot.ask(`${TEXTS(true)} ${THINGS}`)
      yield dumpFile(
        `${folder}/${SHAPE}`,
        mtime,
        jsonBytes(shapeOf(serverWord(about.serverVersion), parseThings(line))),
      )
    }
    yield dumpFolder(`${folder}/${TABLES}`, mtime)
    let index = 0
    try {
      for (const { table, pieces } of read) {
        yield dumpFolder(`${folder}/${TABLES}/${tableFolder(table)}`, mtime)
        for (const _ of pieces) {
          yield await reading.entry(index)
          index += 1
        }
      }
      await reading.done()
    } catch (error) {
      // Lanes that wait for the server end only with their sessions.
      await snapshot[Symbol.asyncDispose]()
      throw error
    }
    await compareCounts(read, readers[0] as Session)
    const hashes = settings.hashes === true ? await hashesOf(read, readers) : undefined
    const totals = read.map(({ table, pieces }) => {
      const hash = hashes?.get(table)
      return { schema: table.schema, name: table.name, rows: rowsOf(pieces), ...(hash !== undefined && { hash }) }
    })
    abouts.push({ ...about, tables: totals.length, rows: totals.reduce((sum, { rows }) => sum + rows, 0) })
    yield dumpFile(`${folder}/${TOTALS}`, mtime, jsonBytes({ tables: totals }))
  }

  return dumpReading({
    async *entries() {
      const steps: { path: string; entries: () => AsyncIterable<SourceEntry> }[] = databases.map((name) => ({
        path: folderName(name),
        entries: () => database(name),
      }))
      if (settings.globals !== false)
        steps.push({
          path: GLOBALS,
          entries: async function* () {
            yield await globals()
          },
        })
      for (const { entries } of steps.sort((a, b) => comparePaths(a.path, b.path))) {
        throwIfAborted(signal)
        yield* entries()
      }
    },
    facts: () => ({ databases: abouts }),
    close: async () => {},
  })
}

/** For psql, without us: brings the rows of each table. */
function rowsScript(encoding: string, tables: readonly Relation[]): string {
  const lines = tables.map((table) => {
    const path = `${TABLES}/${tableFolder(table)}/`.replaceAll("'", String.raw`'\''`)
    const program = `cat '${path}'*.copy`.replaceAll("'", "''")
    return `\\copy ${withColumns(table)} from program '${program}'\n`
  })
  return `\\set ON_ERROR_STOP 1\n\\encoding ${encoding}\n${lines.join('')}`
}

interface TablePiece extends Piece<Session> {
  rows(): number
}

const rowsOf = (pieces: readonly TablePiece[]): number => pieces.reduce((sum, { rows }) => sum + rows(), 0)

const piecesOf = (folder: string, table: Relation, version: number): TablePiece[] =>
  rangesOf(table, version).map((range, index) => {
    let rows = 0
    return {
      path: `${folder}/${TABLES}/${tableFolder(table)}/${pieceName(index)}`,
      rows: () => rows,
      async read(session, outlet) {
        rows = await session.copyOut(copyOf(table, range), outlet)
      },
    }
  })

/** A table that was read in ranges is counted in one go, in the same view: the ranges must not have lost a row. */
async function compareCounts(
  read: readonly { table: Relation; pieces: TablePiece[] }[],
  session: Session,
): Promise<void> {
  for (const { table, pieces } of read) {
    if (pieces.length < 2) continue
    const [count] = await session.ask(countOf(table))
    if (Number(count) !== rowsOf(pieces))
      throw new AppError('source.incomplete', `${exactly(table)} has ${count} rows, and ${rowsOf(pieces)} were read`)
  }
}

const isWhole = ({ tables, excludeTables, schemas, excludeSchemas }: PostgresSettings): boolean =>
  [tables, excludeTables, schemas, excludeSchemas].every((one) => one === undefined)

/** By the server, in the snapshot: what was read does not come into it. */
async function hashesOf(
  read: readonly { table: Relation }[],
  readers: readonly Session[],
): Promise<Map<Relation, string>> {
  const found = new Map<Relation, string>()
  const left = read.map(({ table }) => table)
  await Promise.all(
    readers.map(async (session) => {
      await session.ask(TEXTS(true))
      for (let table = left.shift(); table !== undefined; table = left.shift()) {
        const [hash] = await session.ask(hashOf(table))
        if (hash === undefined) throw new AppError('source.incomplete', `${exactly(table)} has no hash`)
        found.set(table, hash)
      }
    }),
  )
  return found
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
      database,
      name: `${database}: every table can be read`,
      ok: unreadable.length === 0,
      detail: unreadable.length === 0 ? '' : `not ${unreadable.join(', ')}`,
      ...(unreadable.length > 0 && { fix: `GRANT pg_read_all_data TO ${settings.user ?? 'the backup role'};` }),
    })
  }
  return checks
}
