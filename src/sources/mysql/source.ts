import { AppError } from '../../base/errors.ts'
import { comparePaths } from '../../base/paths.ts'
import { throwIfAborted } from '../../base/streams.ts'
import { formatSize } from '../../base/units.ts'
import type { MysqlSettings } from '../../model/databases.ts'
import type { SourceEntry } from '../../model/entry.ts'
import type { LaneBase } from '../../model/lane.ts'
import type { ReadOptions, Source, SourceCheck, SourceReading } from '../../model/source.ts'
import { dumpFile, dumpFolder, dumpReading, jsonBytes, timestampOf } from '../dump-reading.ts'
import { folderName } from '../names.ts'
import { readPieces } from '../pieces.ts'
import { SHAPE, shapeOf } from '../shape.ts'
import type { Connection } from './connection.ts'
import { readHash, readThings, serverWord } from './content.ts'
import { planDatabase, type DatabasePlan, type TablePiece } from './database-plan.ts'
import { ABOUT, OBJECTS, SEQUENCES, TABLE, TABLES, TOTALS, TRIGGERS, USERS, type AboutMysql } from './layout.ts'
import { positionOfGtids } from './gtid.ts'
import { lacks } from './privileges.ts'
import { readUsers } from './schema.ts'
import { connect, serverOf } from './server.ts'
import { openSnapshot, type Snapshot } from './snapshot.ts'
import { identifier, SETTINGS, statementsText } from './sql-text.ts'

const CONNECTIONS = 2

/** Databases of a MySQL or MariaDB server, all as of one moment, read by several connections of our own. */
export function mysql(settings: MysqlSettings): Source {
  const named = selectionOf(settings).wanted
  const where = settings.host ?? 'localhost'
  return {
    type: 'mysql',
    name: `mysql://${where}${named.length > 0 ? `/${named.join(',')}` : ''}`,
    paths: [`mysql://${where}:${settings.port ?? 3306}`],
    test: async ({ signal }) => check(settings, signal),
    read: async (options) => read(settings, options),
  }
}

const selectionOf = ({ database, databases, excludeDatabases }: MysqlSettings, ofUrl?: string) => {
  const wanted = [...(databases ?? []), ...(database === undefined ? [] : [database])]
  return {
    wanted: wanted.length === 0 && ofUrl !== undefined ? [ofUrl] : wanted,
    excluded: excludeDatabases ?? [],
  }
}

async function read(settings: MysqlSettings, { signal, onWarning }: ReadOptions): Promise<SourceReading> {
  const server = await serverOf(settings)
  const cancel = signal ? { signal } : {}
  const selection = selectionOf(settings, server.database)
  const snapshot = await openSnapshot(server, settings.parallel ?? CONNECTIONS, selection, { onWarning, ...cancel })
  const abouts: (AboutMysql & { rows: number })[] = []
  const mtime = timestampOf(new Date())
  try {
    const [first] = snapshot.connections as [Connection]
    const routines = settings.routines !== false
    const names = snapshot.databases.map(({ name }) => name)
    for (const { privilege, loses, fix, harmless } of await lacks(first, names, routines)) {
      // That fewer connections read has been told; and a view that may not be read ends the backup by itself.
      if (privilege === 'RELOAD' || privilege === 'SHOW VIEW') continue
      onWarning({ code: harmless ? 'note' : 'privilege', message: `not in the backup: ${loses}; ${fix}` })
    }
    const lane = await laneBaseOf(first, snapshot)
    const plans: DatabasePlan[] = []
    for (const names of snapshot.databases) {
      throwIfAborted(signal)
      plans.push(await planDatabase(first, names, { ...settings, routines }, snapshot.binlog, onWarning))
    }
    return dumpReading({
      entries: () => entriesOf(plans),
      facts: () => ({ databases: abouts }),
      labels: (): Record<string, string> => (lane === undefined ? {} : { lane: JSON.stringify(lane) }),
      close: async () => snapshot[Symbol.asyncDispose](),
    })
  } catch (error) {
    await snapshot[Symbol.asyncDispose]()
    throw error
  }

  async function* entriesOf(plans: readonly DatabasePlan[]): AsyncGenerator<SourceEntry> {
    const steps: { path: string; entries: () => AsyncIterable<SourceEntry> }[] = plans.map((plan) => ({
      path: folderName(plan.about.database),
      entries: () => database(plan),
    }))
    if (settings.globals !== false) steps.push({ path: USERS, entries: users })
    for (const { entries } of steps.sort((a, b) => comparePaths(a.path, b.path))) {
      throwIfAborted(signal)
      yield* entries()
    }
  }

  async function* users(): AsyncGenerator<SourceEntry> {
    const statements = await readUsers(snapshot.connections[0] as Connection)
    if (statements !== undefined) yield dumpFile(USERS, mtime, Buffer.from(statementsText(statements)))
    else onWarning({ code: 'note', message: 'users are not in the backup: GRANT SELECT ON mysql.* lets them be read' })
  }

  async function* database(plan: DatabasePlan): AsyncGenerator<SourceEntry> {
    const folder = folderName(plan.about.database)
    const file = (name: string, text: string | Buffer): SourceEntry =>
      dumpFile(`${folder}/${name}`, mtime, typeof text === 'string' ? Buffer.from(text) : text)
    yield dumpFolder(folder, mtime)
    yield file(ABOUT, jsonBytes(plan.about))
    if (plan.schema.objects.length > 0) yield file(OBJECTS, statementsText(plan.schema.objects))
    const [first] = snapshot.connections as [Connection]
    if (isWhole(settings)) {
      const broken = new Set(plan.schema.brokenViews)
      const things = await readThings(first, plan.about.database)
      const whole = things.filter(([kind, name]) => !broken.has(kind === 'column' ? (name.split('.')[0] ?? '') : name))
      yield file(SHAPE, jsonBytes(shapeOf(serverWord(first), whole)))
    }
    if (plan.schema.sequences.length > 0) yield file(SEQUENCES, statementsText(plan.schema.sequences))
    yield dumpFolder(`${folder}/${TABLES}`, mtime)
    await using reading = readPieces(
      plan.tables.flatMap(({ pieces }) => pieces),
      snapshot.connections,
      mtime,
      cancel,
    )
    let index = 0
    try {
      for (const { table, create, pieces, triggers } of plan.tables) {
        const at = `${TABLES}/${folderName(table.name)}`
        yield dumpFolder(`${folder}/${at}`, mtime)
        for (const _ of pieces) {
          yield await reading.entry(index)
          index += 1
        }
        yield file(`${at}/${TABLE}`, `${SETTINGS}${create};\n`)
        if (triggers.length > 0) yield file(`${at}/${TRIGGERS}`, statementsText(triggers))
      }
      await reading.done()
    } catch (error) {
      // Lanes that wait for the server end only with their connections.
      for (const connection of snapshot.connections) connection.destroy()
      throw error
    }
    await compareCounts(plan, snapshot)
    const hashes = settings.hashes === true ? await hashesOf(plan, snapshot) : undefined
    const totals = plan.tables.map(({ table: { name }, pieces }) => {
      const hash = hashes?.get(name)
      return { name, rows: rowsOf(pieces), ...(hash !== undefined && { hash }) }
    })
    abouts.push({ ...plan.about, rows: totals.reduce((sum, { rows }) => sum + rows, 0) })
    yield file(TOTALS, jsonBytes({ tables: totals }))
  }
}

/** Where in the binary log of MariaDB the dump lies. Its moment was before now. */
async function laneBaseOf(connection: Connection, { binlog }: Snapshot): Promise<LaneBase | undefined> {
  if (!connection.mariadb || binlog === undefined) return undefined
  const [[micros = '0'] = []] = await connection.query('SELECT FLOOR(UNIX_TIMESTAMP(SYSDATE(6)) * 1000)')
  const position = positionOfGtids(binlog.gtid ?? '')
  return { engine: 'mysql', system: 'mariadb', from: position, to: position, time: new Date(Number(micros)) }
}

const rowsOf = (pieces: readonly TablePiece[]): number => pieces.reduce((sum, { rows }) => sum + rows(), 0)

/** A table that was read in ranges is counted in one go, in the same view: the ranges must not have lost a row. */
async function compareCounts({ about, tables }: DatabasePlan, { connections }: Snapshot): Promise<void> {
  const [connection] = connections as [Connection]
  for (const { table, pieces } of tables) {
    if (pieces.length < 2 || !table.transactional) continue
    const name = `${identifier(about.database)}.${identifier(table.name)}`
    const [[count] = []] = await connection.query(`SELECT COUNT(*) FROM ${name}`)
    if (Number(count) !== rowsOf(pieces))
      throw new AppError('source.incomplete', `${name} has ${count} rows, and ${rowsOf(pieces)} were read`)
  }
}

const isWhole = ({ tables, excludeTables, routines }: MysqlSettings): boolean =>
  tables === undefined && excludeTables === undefined && routines !== false

/** By the server, in the snapshot: what was read does not come into it. A table without transactions has moved on since. */
async function hashesOf({ about, tables }: DatabasePlan, { connections }: Snapshot): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  const left = tables.filter(({ table, pieces }) => table.transactional && pieces.length > 0)
  await Promise.all(
    connections.map(async (connection) => {
      for (let next = left.shift(); next !== undefined; next = left.shift()) {
        const hash = await readHash(connection, about.database, next.table)
        if (hash === undefined) throw new AppError('source.incomplete', `${next.table.name} has no hash`)
        found.set(next.table.name, hash)
      }
    }),
  )
  return found
}

async function check(settings: MysqlSettings, signal: AbortSignal | undefined): Promise<SourceCheck[]> {
  const server = await serverOf(settings)
  const quiet = { onWarning: () => {}, ...(signal && { signal }) }
  await using connection = await connect(server, signal)
  await using snapshot = await openSnapshot(server, 1, selectionOf(settings, server.database), quiet)
  const checks: SourceCheck[] = [
    {
      name: server.name,
      ok: true,
      detail: `${connection.mariadb ? 'MariaDB' : 'MySQL'} ${connection.version}, ${snapshot.databases.length} databases, ${connection.encrypted ? 'TLS' : 'no TLS'}`,
    },
  ]
  const names = snapshot.databases.map(({ name }) => name)
  const found = await lacks(connection, names, settings.routines !== false)
  for (const { privilege, loses, fix } of found)
    checks.push({ name: `privilege ${privilege}`, ok: false, detail: loses, fix })
  if (found.length === 0) checks.push({ name: 'privileges', ok: true, detail: 'all that a backup needs' })
  for (const database of snapshot.databases) {
    const warnings: string[] = []
    const plan = await planDatabase(
      snapshot.connections[0] as Connection,
      { ...database, views: [], sequences: [] },
      { ...settings, routines: false },
      undefined,
      ({ message }) => warnings.push(message),
    )
    const bytes = plan.tables.reduce((sum, { table }) => sum + table.bytes, 0)
    checks.push({
      database: database.name,
      name: database.name,
      ok: true,
      detail: `${plan.tables.length} tables, about ${formatSize(bytes)}`,
    })
    for (const message of warnings) checks.push({ name: database.name, ok: false, detail: message })
  }
  return checks
}
