/** The definitions of what is in a database, as statements that make it again. */
import { AppError } from '../../base/errors.ts'
import type { Connection, Row } from './connection.ts'
import { errorNumber } from './packets.ts'
import { identifier, literal } from './sql-text.ts'

export interface Schema {
  sequences: string[]
  /** Of each table that has some: its triggers, in their order. */
  triggers: Map<string, string[]>
  /** Routines, views and events. */
  objects: string[]
  views: string[]
  /** Views whose tables are gone: they cannot be made again. */
  brokenViews: string[]
}

const first = async (connection: Connection, statement: string, what: string): Promise<Row> => {
  const [row] = await connection.query(statement)
  if (row === undefined) throw new AppError('source.incomplete', `${what} cannot be read`)
  return row
}

/** A definition that this user may not see is NULL. */
function visible(text: string | undefined, what: string): string {
  if (text !== undefined) return text
  throw new AppError('source.denied', `the definition of ${what} is hidden from this user`, {
    hint: 'On MariaDB: GRANT SELECT ON mysql.* TO the user of the backup; on MySQL 8: GRANT SHOW_ROUTINE ON *.* TO it.',
  })
}

/** Definitions mean what they meant under the settings of their making. */
function under(mode = '', charset = '', collation = '', text: string, zone?: string): string[] {
  // eslint-disable-next-line no-control-regex
  const plain = /^[\0-\u007f]*$/.test(text) && charset !== ''
  const names = plain
    ? `character_set_client = ${charset}, collation_connection = ${collation}`
    : 'character_set_client = utf8mb4, collation_connection = utf8mb4_general_ci'
  const at = zone === undefined ? '' : `, time_zone = ${literal(zone)}`
  return [`SET ${names}, sql_mode = ${literal(mode)}${at}`, text]
}

const AS_BEFORE = "SET NAMES utf8mb4, time_zone = '+00:00', sql_mode = 'NO_AUTO_VALUE_ON_ZERO'"
const settled = (statements: string[]): string[] => (statements.length === 0 ? [] : [...statements, AS_BEFORE])

export async function createTable(connection: Connection, database: string, table: string): Promise<string> {
  const [, text] = await first(connection, `SHOW CREATE TABLE ${identifier(database)}.${identifier(table)}`, table)
  return visible(text, `the table ${table}`)
}

export async function readSchema(
  connection: Connection,
  database: string,
  choice: { sequences: readonly string[]; views: readonly string[]; routines: boolean; objects: boolean },
): Promise<Schema> {
  // Definitions name what is in the current database without its name, so that they can be made in another one.
  await connection.run(`USE ${identifier(database)}`)
  const broken: string[] = []
  const views = choice.objects ? await viewsOf(connection, database, choice.views, broken) : []
  const routines = choice.objects && choice.routines ? await routinesOf(connection, database) : []
  const events = choice.objects && choice.routines ? await eventsOf(connection, database) : []
  return {
    sequences: await sequencesOf(connection, choice.sequences),
    triggers: choice.routines ? await triggersOf(connection, database) : new Map(),
    objects: settled([...routines, ...views, ...events]),
    views: choice.views.filter((view) => !broken.includes(view)),
    brokenViews: broken,
  }
}

async function sequencesOf(connection: Connection, names: readonly string[]): Promise<string[]> {
  const statements: string[] = []
  for (const name of names) {
    const [, create] = await first(connection, `SHOW CREATE SEQUENCE ${identifier(name)}`, name)
    const [next] = await first(connection, `SELECT next_not_cached_value FROM ${identifier(name)}`, name)
    statements.push(visible(create, name), `DO SETVAL(${identifier(name)}, ${BigInt(next ?? '1')}, 0)`)
  }
  return statements
}

async function triggersOf(connection: Connection, database: string): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>()
  for (const [name = '', table = ''] of await connection.query(
    `SELECT TRIGGER_NAME, EVENT_OBJECT_TABLE FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = ${literal(database)}
     ORDER BY EVENT_OBJECT_TABLE, EVENT_MANIPULATION, ACTION_TIMING, ACTION_ORDER`,
  )) {
    const [, mode, text, charset, collation] = await first(connection, `SHOW CREATE TRIGGER ${identifier(name)}`, name)
    const statements = found.get(table) ?? []
    statements.push(...under(mode, charset, collation, visible(text, `the trigger ${name}`)))
    found.set(table, statements)
  }
  for (const [table, statements] of found) found.set(table, settled(statements))
  return found
}

async function routinesOf(connection: Connection, database: string): Promise<string[]> {
  const statements: string[] = []
  for (const [type = '', name = ''] of await connection.query(
    `SELECT ROUTINE_TYPE, ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = ${literal(database)}
     ORDER BY FIELD(ROUTINE_TYPE, 'FUNCTION', 'PROCEDURE', 'PACKAGE', 'PACKAGE BODY'), ROUTINE_NAME`,
  )) {
    if (!/^(FUNCTION|PROCEDURE|PACKAGE|PACKAGE BODY)$/.test(type)) continue
    const what = `${type.toLowerCase()} ${name}`
    const [, mode, text, charset, collation] = await first(connection, `SHOW CREATE ${type} ${identifier(name)}`, what)
    statements.push(...under(mode, charset, collation, visible(text, `the ${what}`)))
  }
  return statements
}

async function eventsOf(connection: Connection, database: string): Promise<string[]> {
  const statements: string[] = []
  for (const [name = ''] of await connection.query(
    `SELECT EVENT_NAME FROM information_schema.EVENTS WHERE EVENT_SCHEMA = ${literal(database)} ORDER BY EVENT_NAME`,
  )) {
    const [, mode, zone, text, charset, collation] = await first(
      connection,
      `SHOW CREATE EVENT ${identifier(name)}`,
      name,
    )
    statements.push(...under(mode, charset, collation, visible(text, `the event ${name}`), zone))
  }
  return statements
}

/** First each view as a shape without content, so that they may use each other in any order. */
async function viewsOf(
  connection: Connection,
  database: string,
  names: readonly string[],
  broken: string[],
): Promise<string[]> {
  const shapes: string[] = []
  const views: string[] = []
  for (const name of names) {
    const columns = await columnsOf(connection, database, name)
    if (columns.length === 0) {
      broken.push(name)
      continue
    }
    const [, text, charset, collation] = await first(connection, `SHOW CREATE VIEW ${identifier(name)}`, name)
    const create = visible(text, `the view ${name}`).replace(/^CREATE /, 'CREATE OR REPLACE ')
    shapes.push(
      `CREATE VIEW ${identifier(name)} AS SELECT ${columns.map((column) => `1 AS ${identifier(column)}`).join(', ')}`,
    )
    views.push(...under('', charset, collation, create))
  }
  return [...shapes, ...views]
}

/** None, if the view refers to what is not there any more. */
async function columnsOf(connection: Connection, database: string, view: string): Promise<string[]> {
  try {
    const rows = await connection.query(`SHOW COLUMNS FROM ${identifier(database)}.${identifier(view)}`)
    return rows.map(([name]) => name ?? '')
  } catch (error) {
    if ([1356, 1146, 1054].includes(errorNumber(error) ?? 0)) return []
    throw error
  }
}

/** Users, roles and what they may do; undefined where this user may not read it. */
export async function readUsers(connection: Connection): Promise<string[] | undefined> {
  const own = `'mariadb.sys', 'mysql.sys', 'mysql.session', 'mysql.infoschema', 'PUBLIC'`
  const role = connection.mariadb ? 'is_role' : "'N'"
  let accounts: Row[]
  try {
    accounts = await connection.query(
      `SELECT User, Host, ${role} FROM mysql.user WHERE User NOT IN (${own}) ORDER BY ${role} = 'N', User, Host`,
    )
  } catch (error) {
    if (errorNumber(error) === 1142 || errorNumber(error) === 1044) return undefined
    throw error
  }
  const made: string[] = []
  const granted: string[] = []
  for (const [user = '', host = '', isRole] of accounts) {
    const account = isRole === 'Y' ? identifier(user) : `${literal(user)}@${literal(host)}`
    try {
      const create = isRole === 'Y' ? undefined : (await first(connection, `SHOW CREATE USER ${account}`, user))[0]
      const grants = await connection.query(`SHOW GRANTS FOR ${account}`)
      if (isRole === 'Y') made.push(`CREATE ROLE IF NOT EXISTS ${account}`)
      else made.push(visible(create, user).replace(/^CREATE USER /, 'CREATE USER IF NOT EXISTS '))
      for (const [grant = ''] of grants)
        granted.push(grant.replace(/ IDENTIFIED (BY PASSWORD '[^']*'|VIA .*?)(?= WITH | REQUIRE |$)/, ''))
    } catch (error) {
      // An account that this server cannot use, such as one of a host name where names are not looked up.
      if (![1133, 1141, 1269].includes(errorNumber(error) ?? 0)) throw error
    }
  }
  return [...made, ...granted]
}
