/** What is read of one database, found before the first row. */
import type { MysqlSettings } from '../../model/databases.ts'
import type { ReportWarning } from '../../model/progress.ts'
import { folderName, matchesAny } from '../names.ts'
import type { Piece } from '../pieces.ts'
import type { Connection } from './connection.ts'
import { insertWriter } from './insert-writer.ts'
import { pieceName, TABLES, type AboutMysql } from './layout.ts'
import { createTable, readSchema, type Schema } from './schema.ts'
import type { DatabaseNames } from './snapshot.ts'
import { identifier } from './sql-text.ts'
import { describeTables, rangesOf, selectOf, type Range, type Table } from './tables.ts'

export interface TablePiece extends Piece<Connection> {
  /** How many were read. */
  rows(): number
}

export interface TablePlan {
  table: Table
  create: string
  triggers: string[]
  pieces: TablePiece[]
}

export interface DatabasePlan {
  about: AboutMysql
  schema: Schema
  tables: TablePlan[]
}

/** Tables whose rows lie elsewhere, or nowhere. */
const WITHOUT_ROWS = /^(MRG_MyISAM|MERGE|FEDERATED|CONNECT|SPIDER|BLACKHOLE)$/i

export async function planDatabase(
  connection: Connection,
  names: DatabaseNames,
  { tables: wanted, excludeTables = [], routines = true }: MysqlSettings,
  binlog: AboutMysql['binlog'],
  onWarning: ReportWarning,
): Promise<DatabasePlan> {
  const chosen = (name: string): boolean =>
    (wanted === undefined || matchesAny(wanted, name)) && !matchesAny(excludeTables, name)
  const views = names.views.filter(chosen)
  const found = await describeTables(connection, names.name, names.tables.filter(chosen))
  const schema = await readSchema(connection, names.name, {
    sequences: names.sequences.filter(chosen),
    views,
    routines,
    // Of some tables their own things, and not those of the whole database.
    objects: wanted === undefined || views.length > 0,
  })
  const unsafe = found.filter(({ transactional, engine }) => !transactional && !WITHOUT_ROWS.test(engine))
  if (unsafe.length > 0)
    onWarning({
      code: 'note',
      message: `tables of ${names.name} without transactions are as of the moment they were read: ${unsafe.map(({ name, engine }) => `${name} (${engine})`).join(', ')}`,
    })
  for (const { name, versioned } of found)
    if (versioned)
      onWarning({ code: 'note', message: `${names.name}.${name}: old versions of rows are not in the backup` })
  for (const view of schema.brokenViews)
    onWarning({
      code: 'broken',
      message: `the view ${names.name}.${view} refers to what is not there, and is not in the backup`,
    })
  const tables: TablePlan[] = []
  for (const table of found) {
    const ranges = WITHOUT_ROWS.test(table.engine) ? [] : await rangesOf(connection, names.name, table)
    tables.push({
      table,
      create: await createTable(connection, names.name, table.name),
      triggers: schema.triggers.get(table.name) ?? [],
      pieces: ranges.map((range, index) => pieceOf(names.name, table, range, index)),
    })
  }
  return {
    about: {
      holdfast: 'mysql',
      version: 1,
      database: names.name,
      server: connection.version,
      flavour: connection.mariadb ? 'mariadb' : 'mysql',
      characterSet: names.characterSet,
      collation: names.collation,
      ...(binlog && { binlog }),
      tables: found.map(({ name, engine, transactional }) => ({ name, engine, transactional })),
      views: schema.views,
    },
    schema,
    tables,
  }
}

function pieceOf(database: string, table: Table, range: Range, index: number): TablePiece {
  const names = table.columns.map(({ name }) => identifier(name)).join(', ')
  const start = `INSERT INTO ${identifier(table.name)} (${names}) VALUES`
  const kinds = table.columns.map(({ kind }) => kind)
  let rows = 0
  return {
    path: `${folderName(database)}/${TABLES}/${folderName(table.name)}/${pieceName(index)}`,
    rows: () => rows,
    async read(connection, outlet) {
      const writer = insertWriter(start, kinds, outlet)
      await connection.stream(selectOf(database, table, range), writer)
      writer.finish()
      ;({ rows } = writer)
    },
  }
}
