/** The tree of a PostgreSQL backup: docs/formats/database-dumps.md. */
import * as z from 'zod'
import { parseDescription } from '../description.ts'
import { folderName } from '../names.ts'

export const GLOBALS = 'globals.sql'
export const ABOUT = 'database.json'
/** Everything but the rows of tables. */
export const DUMP = 'database.dump'
export const LARGE_OBJECTS = 'large-objects.dump'
/** Commands of psql that bring the rows, for those who restore without us. */
export const ROWS = 'rows.sql'
export const TABLES = 'tables'
export const TOTALS = 'totals.json'

export const pieceName = (index: number): string => `${String(index).padStart(7, '0')}.copy`
export const isPiece = (name: string): boolean => /^\d{7,}\.copy$/.test(name)

/** A point in a name is encoded, so that the one between schema and table is the only one. */
export const tableFolder = ({ schema, name }: TableName): string => `${folderName(schema)}.${folderName(name)}`

export interface TableName {
  schema: string
  name: string
}

const count = z.number().int().nonnegative()

const about = z.object({
  holdfast: z.literal('postgres'),
  version: z.literal(2),
  database: z.string(),
  serverVersion: z.number().int(),
  encoding: z.string(),
  collate: z.string(),
  ctype: z.string(),
  extensions: z.array(z.object({ name: z.string(), version: z.string() })),
  /** `ALTER DATABASE … SET`, as `name=value`. */
  settings: z.array(z.string()),
  /** Tables whose rows lie beside, with the columns in the order of the rows. */
  tables: z.array(z.object({ schema: z.string(), name: z.string(), columns: z.array(z.string()) })),
})

export type AboutPostgres = z.output<typeof about>

export const parseAbout = (bytes: Uint8Array, what: string): AboutPostgres =>
  parseDescription(about, bytes, what, 'a PostgreSQL database')

const totals = z.object({
  tables: z.array(
    z.object({
      schema: z.string(),
      name: z.string(),
      rows: count,
      /** Where it was asked for: see hashOf. */
      hash: z.string().optional(),
    }),
  ),
})

export type Totals = z.output<typeof totals>

export const parseTotals = (bytes: Uint8Array, what: string): Totals =>
  parseDescription(totals, bytes, what, 'the rows of a database')
