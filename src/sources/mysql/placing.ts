/** Restored tables get their place at the end: moved by name, with what was there moved aside and kept. */
import { AppError } from '../../base/errors.ts'
import type { ReportWarning } from '../../model/progress.ts'
import type { Connection } from './connection.ts'
import { errorNumber } from './packets.ts'
import { readSchema } from './schema.ts'
import { identifier, literal } from './sql-text.ts'

export interface Existing {
  tables: string[]
  views: string[]
  sequences: string[]
}

/** Undefined where there is no such database. */
export async function existing(connection: Connection, database: string): Promise<Existing | undefined> {
  const [found] = await connection.query(
    `SELECT 1 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = ${literal(database)}`,
  )
  if (found === undefined) return undefined
  const rows = await connection.query(`SHOW FULL TABLES FROM ${identifier(database)}`)
  const ofType = (...types: string[]): string[] =>
    rows.filter(([, type]) => types.includes(type ?? '')).map(([name]) => name ?? '')
  return { tables: ofType('BASE TABLE', 'SYSTEM VERSIONED'), views: ofType('VIEW'), sequences: ofType('SEQUENCE') }
}

export async function createDatabase(connection: Connection, name: string, like: Charset): Promise<void> {
  await connection.run(
    `CREATE DATABASE ${identifier(name)} CHARACTER SET ${identifier(like.characterSet)} COLLATE ${identifier(like.collation)}`,
  )
}

export interface Charset {
  characterSet: string
  collation: string
}

const IN_USE_SECONDS = 30

/** All of them in one statement: all or none. */
export async function moveTables(
  connection: Connection,
  moves: readonly { from: string; to: string; table: string }[],
): Promise<void> {
  if (moves.length === 0) return
  await connection.run(`SET lock_wait_timeout = ${IN_USE_SECONDS}`)
  const each = moves.map(
    ({ from, to, table }) => `${identifier(from)}.${identifier(table)} TO ${identifier(to)}.${identifier(table)}`,
  )
  try {
    await connection.run(`RENAME TABLE ${each.join(', ')}`)
  } catch (error) {
    if (errorNumber(error) !== 1205) throw error
    throw new AppError('target.in-use', `transactions use tables of ${moves[0]?.to ?? ''}`, { cause: error })
  }
}

/** The database with all that is in it gets another name. */
export async function moveDatabaseAside(
  connection: Connection,
  database: string,
  aside: string,
  onWarning: ReportWarning,
): Promise<void> {
  const now = await existing(connection, database)
  if (now === undefined) return
  const [[characterSet = '', collation = ''] = []] = await connection.query(
    `SELECT DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = ${literal(database)}`,
  )
  const schema = await readSchema(connection, database, { ...now, sequences: [], routines: true, objects: true })
  await createDatabase(connection, aside, { characterSet, collation })
  await dropTriggers(connection, database)
  await moveTables(
    connection,
    [...now.tables, ...now.sequences].map((table) => ({ from: database, to: aside, table })),
  )
  await connection.run(`USE ${identifier(aside)}`)
  for (const statement of [...schema.objects, ...[...schema.triggers.values()].flat()])
    // A copy must not do what the original is about to do again.
    await connection.run(statement.replace(/^(CREATE .*?EVENT [\s\S]*?)\bENABLE\b/, '$1DISABLE'))
  await connection.run(`DROP DATABASE ${identifier(database)}`)
  await createDatabase(connection, database, { characterSet, collation })
  onWarning({ code: 'note', message: `what was in the database ${database} is now in ${aside}` })
}

/** Tables with triggers cannot move to another database. Without `tables`: of all. */
export async function dropTriggers(
  connection: Connection,
  database: string,
  tables?: readonly string[],
): Promise<string[]> {
  const dropped: string[] = []
  for (const [name = '', table = ''] of await connection.query(
    `SELECT TRIGGER_NAME, EVENT_OBJECT_TABLE FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = ${literal(database)}`,
  )) {
    if (tables !== undefined && !tables.includes(table)) continue
    await connection.run(`DROP TRIGGER ${identifier(database)}.${identifier(name)}`)
    dropped.push(name)
  }
  return dropped
}
