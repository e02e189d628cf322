/** Several connections that see all databases of a server as of one moment, and where its binary log stood then. */
import { AppError } from '../../base/errors.ts'
import type { ReportWarning } from '../../model/progress.ts'
import { matchesAny } from '../names.ts'
import type { Connection } from './connection.ts'
import type { AboutMysql } from './layout.ts'
import { errorNumber } from './packets.ts'
import { connect, type Server } from './server.ts'
import { identifier } from './sql-text.ts'

export interface Snapshot extends AsyncDisposable {
  connections: Connection[]
  binlog?: NonNullable<AboutMysql['binlog']>
  databases: DatabaseNames[]
}

export interface DatabaseNames {
  name: string
  characterSet: string
  collation: string
  tables: string[]
  views: string[]
  sequences: string[]
}

export interface DatabaseSelection {
  wanted: readonly string[]
  excluded: readonly string[]
}

/** Nobody may write while the lock is waited for: rather one connection than a server that stands still. */
const LOCK_SECONDS = 10
const OWN = ['information_schema', 'performance_schema', 'mysql', 'sys']

export async function openSnapshot(
  server: Server,
  count: number,
  selection: DatabaseSelection,
  { signal, onWarning }: { signal?: AbortSignal; onWarning: ReportWarning },
): Promise<Snapshot> {
  const connections: Connection[] = []
  const dispose = async (): Promise<void> => {
    for (const connection of connections) connection.destroy()
  }
  try {
    const first = await connect(server, signal)
    connections.push(first)
    await prepare(first)
    let locked = await mayLock(first, onWarning)
    if (locked) {
      while (connections.length <= count) {
        const connection = await connect(server, signal)
        connections.push(connection)
        await prepare(connection)
      }
      // From here to UNLOCK TABLES nobody writes.
      locked = await lock(first, 'FLUSH TABLES WITH READ LOCK', onWarning)
      if (!locked) for (const connection of connections.splice(1)) connection.destroy()
    }
    const readers = locked ? connections.slice(1) : connections
    await Promise.all(readers.map(async (reader) => reader.run('START TRANSACTION WITH CONSISTENT SNAPSHOT')))
    const binlog = locked ? await position(first) : await positionOfSnapshot(first)
    const databases = await namesOf(locked ? first : (readers[0] as Connection), server, selection)
    if (locked) {
      await first.run('UNLOCK TABLES')
      first.destroy()
      connections.shift()
    }
    return { connections, databases, ...(binlog && { binlog }), [Symbol.asyncDispose]: dispose }
  } catch (error) {
    await dispose()
    throw error
  }
}

/** What a session must be like for texts to mean the same everywhere. */
export async function prepare(connection: Connection): Promise<void> {
  await connection.run(
    `SET NAMES utf8mb4, SESSION time_zone = '+00:00', sql_mode = '', sql_quote_show_create = 1, wait_timeout = 86400,
     net_write_timeout = 86400`,
  )
  await connection.run('SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ')
  await connection.run(connection.mariadb ? 'SET max_statement_time = 0' : 'SET max_execution_time = 0')
}

/** The slow part, closing tables that are in use, is done before anybody is held up. */
async function mayLock(connection: Connection, onWarning: ReportWarning): Promise<boolean> {
  await connection.run(`SET lock_wait_timeout = ${LOCK_SECONDS}`)
  // LOCAL: else it would go into the binary log, and to replicas.
  return lock(connection, 'FLUSH LOCAL TABLES', onWarning)
}

async function lock(connection: Connection, statement: string, onWarning: ReportWarning): Promise<boolean> {
  try {
    await connection.run(statement)
    return true
  } catch (error) {
    const why = {
      1227: 'this user lacks RELOAD',
      1205: `tables were busy for ${LOCK_SECONDS} s`,
    }[errorNumber(error) ?? 0]
    if (why === undefined) throw error
    onWarning({ code: 'note', message: `${why}: one connection reads, instead of several that share one moment` })
    return false
  }
}

async function position(connection: Connection): Promise<AboutMysql['binlog']> {
  const row = await binlogStatus(connection)
  const [file, at] = row ?? []
  if (file === undefined || at === undefined) return undefined
  const [[gtid] = []] = await connection.query(
    connection.mariadb ? `SELECT BINLOG_GTID_POS('${file}', ${Number(at)})` : 'SELECT @@global.gtid_executed',
  )
  return { file, position: Number(at), ...(gtid !== undefined && gtid !== '' && { gtid: gtid.replaceAll('\n', '') }) }
}

async function binlogStatus(connection: Connection): Promise<(string | undefined)[] | undefined> {
  for (const statement of ['SHOW MASTER STATUS', 'SHOW BINARY LOG STATUS']) {
    try {
      return (await connection.query(statement))[0]
    } catch (error) {
      // Not allowed; or gone, as the first one is from MySQL 8.4 on.
      if (![1227, 1064].includes(errorNumber(error) ?? 0)) throw error
    }
  }
  return undefined
}

/** MariaDB tells where its log stood when the snapshot of this very connection was made. */
async function positionOfSnapshot(connection: Connection): Promise<AboutMysql['binlog']> {
  if (!connection.mariadb) return undefined
  const rows = new Map(
    (await connection.query("SHOW STATUS LIKE 'binlog_snapshot_%'")).map(([name = '', value]) => [
      name.toLowerCase(),
      value,
    ]),
  )
  const file = rows.get('binlog_snapshot_file') ?? ''
  const at = Number(rows.get('binlog_snapshot_position') ?? 0)
  if (file === '' || at === 0) return undefined
  const gtid = await connection.query(`SELECT BINLOG_GTID_POS('${file}', ${at})`).catch(() => [])
  return { file, position: at, ...(gtid[0]?.[0] && { gtid: gtid[0][0] }) }
}

async function namesOf(
  connection: Connection,
  server: Server,
  { wanted, excluded }: DatabaseSelection,
): Promise<DatabaseNames[]> {
  const all = await connection.query(
    'SELECT SCHEMA_NAME, DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA',
  )
  const missing = wanted.find((pattern) => !all.some(([name = '']) => matchesAny([pattern], name)))
  if (missing !== undefined)
    throw new AppError('source.not-found', `${server.name} has no database ${missing} that this user can see`)
  const found: DatabaseNames[] = []
  for (const [name = '', characterSet = '', collation = ''] of all) {
    if (wanted.length === 0 ? OWN.includes(name.toLowerCase()) : !matchesAny(wanted, name)) continue
    if (matchesAny(excluded, name)) continue
    const tables = await connection.query(`SHOW FULL TABLES FROM ${identifier(name)}`)
    const ofType = (type: string): string[] =>
      tables
        .filter(([, each]) => each === type)
        .map(([table]) => table ?? '')
        .sort(byBytes)
    found.push({
      name,
      characterSet,
      collation,
      tables: [...ofType('BASE TABLE'), ...ofType('SYSTEM VERSIONED')].sort(byBytes),
      views: ofType('VIEW'),
      sequences: ofType('SEQUENCE'),
    })
  }
  if (found.length === 0) throw new AppError('source.not-found', `no database of ${server.name} is to be backed up`)
  return found
}

const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b))
