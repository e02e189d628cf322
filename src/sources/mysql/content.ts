/** What a MySQL or MariaDB database says of its schema and of the content of its tables: see ../shape.ts. */
import type { Connection } from './connection.ts'
import { identifier, literal } from './sql-text.ts'
import type { Thing } from '../shape.ts'
import type { Table } from './tables.ts'

/** The sum of a hash of each row: no order of rows matters, and each row counts. Long values are hashed first, which keeps a row short. */
export function hashOf(database: string, { name, columns }: Table): string {
  const values = columns.map(({ name: column, kind, expression }) => {
    const value =
      kind === 'number' || kind === 'plain'
        ? `CAST(${expression} AS CHAR)`
        : `MD5(${kind === 'bits' ? `HEX(${identifier(column)} + 0)` : identifier(column)})`
    return `COALESCE(${value}, 'N')`
  })
  const row = values.length === 0 ? "''" : `CONCAT_WS(',', ${values.join(', ')})`
  return `SELECT CAST(COALESCE(SUM(CAST(CONV(LEFT(MD5(${row}), 16), 16, 10) AS UNSIGNED)), 0) AS CHAR) FROM ${identifier(database)}.${identifier(name)}`
}

export async function readHash(connection: Connection, database: string, table: Table): Promise<string | undefined> {
  const [[hash] = []] = await connection.query(hashOf(database, table))
  return hash
}

/** Without what a server words by itself, such as bodies of routines: those are compared by name. Privileges are users', not a database's. */
export async function readThings(connection: Connection, database: string): Promise<Thing[]> {
  const at = literal(database)
  const parts = [
    `SELECT 'table', TABLE_NAME, CONCAT_WS(' ', TABLE_TYPE, ENGINE, TABLE_COLLATION, CREATE_OPTIONS) FROM information_schema.TABLES WHERE TABLE_SCHEMA = ${at}`,
    `SELECT 'column', CONCAT(TABLE_NAME, '.', COLUMN_NAME), CONCAT_WS(' ', ORDINAL_POSITION, COLUMN_TYPE, IS_NULLABLE, COLLATION_NAME, COLUMN_DEFAULT, EXTRA, GENERATION_EXPRESSION) FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ${at}`,
    `SELECT 'index', CONCAT(TABLE_NAME, '.', INDEX_NAME), CONCAT(MAX(NON_UNIQUE), ' ', MAX(INDEX_TYPE), ' ', GROUP_CONCAT(CONCAT_WS(' ', COLUMN_NAME, SUB_PART, COLLATION) ORDER BY SEQ_IN_INDEX))
       FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = ${at} GROUP BY TABLE_NAME, INDEX_NAME`,
    `SELECT 'constraint', CONCAT(TABLE_NAME, '.', CONSTRAINT_NAME), CONSTRAINT_TYPE FROM information_schema.TABLE_CONSTRAINTS WHERE TABLE_SCHEMA = ${at}`,
    `SELECT 'foreign key', CONCAT(TABLE_NAME, '.', CONSTRAINT_NAME), CONCAT_WS(' ', REFERENCED_TABLE_NAME, UPDATE_RULE, DELETE_RULE) FROM information_schema.REFERENTIAL_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = ${at}`,
    `SELECT 'trigger', CONCAT(EVENT_OBJECT_TABLE, '.', TRIGGER_NAME), CONCAT_WS(' ', ACTION_TIMING, EVENT_MANIPULATION, ACTION_ORDER, MD5(ACTION_STATEMENT)) FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = ${at}`,
    `SELECT 'routine', CONCAT(ROUTINE_TYPE, ' ', ROUTINE_NAME), CONCAT_WS(' ', DTD_IDENTIFIER, IS_DETERMINISTIC, SQL_DATA_ACCESS, SECURITY_TYPE) FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = ${at}`,
    `SELECT 'event', EVENT_NAME, CONCAT_WS(' ', EVENT_TYPE, INTERVAL_VALUE, INTERVAL_FIELD) FROM information_schema.EVENTS WHERE EVENT_SCHEMA = ${at}`,
    `SELECT 'view', TABLE_NAME, CONCAT_WS(' ', SECURITY_TYPE, CHECK_OPTION, VIEW_DEFINITION) FROM information_schema.VIEWS WHERE TABLE_SCHEMA = ${at}`,
    `SELECT 'comment', CONCAT('table ', TABLE_NAME), TABLE_COMMENT FROM information_schema.TABLES WHERE TABLE_SCHEMA = ${at} AND TABLE_COMMENT <> '' AND TABLE_TYPE <> 'VIEW'`,
    `SELECT 'comment', CONCAT('column ', TABLE_NAME, '.', COLUMN_NAME), COLUMN_COMMENT FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ${at} AND COLUMN_COMMENT <> ''`,
    `SELECT 'comment', CONCAT('index ', TABLE_NAME, '.', INDEX_NAME), INDEX_COMMENT FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = ${at} AND INDEX_COMMENT <> '' AND SEQ_IN_INDEX = 1`,
    `SELECT 'comment', CONCAT('routine ', ROUTINE_TYPE, ' ', ROUTINE_NAME), ROUTINE_COMMENT FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = ${at} AND ROUTINE_COMMENT <> ''`,
    `SELECT 'comment', CONCAT('event ', EVENT_NAME), EVENT_COMMENT FROM information_schema.EVENTS WHERE EVENT_SCHEMA = ${at} AND EVENT_COMMENT <> ''`,
  ]
  const things: Thing[] = []
  for (const part of parts)
    for (const [kind = '', name = '', definition = ''] of await connection.query(part))
      // A view whose tables are gone is not in the backup; its columns come from them.
      things.push([kind, name, definition])
  return things
}

/** `MariaDB 10.11`: another version may word it otherwise. */
export const serverWord = ({ mariadb, version }: Pick<Connection, 'mariadb' | 'version'>): string =>
  `${mariadb ? 'MariaDB' : 'MySQL'} ${/^\d+\.\d+/.exec(version)?.[0] ?? version}`
