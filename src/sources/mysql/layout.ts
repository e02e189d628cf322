/** The tree of a MySQL or MariaDB backup: docs/formats/database-dumps.md. */
import * as z from 'zod'
import { parseDescription } from '../description.ts'

export const USERS = 'users.sql'
export const ABOUT = 'database.json'
export const OBJECTS = 'objects.sql'
export const SEQUENCES = 'sequences.sql'
export const TABLES = 'tables'
export const TOTALS = 'totals.json'
export const TABLE = 'table.sql'
export const TRIGGERS = 'triggers.sql'

export const pieceName = (index: number): string => `${String(index).padStart(7, '0')}.sql`
export const isPiece = (name: string): boolean => /^\d{7,}\.sql$/.test(name)

const count = z.number().int().nonnegative()

const about = z.object({
  holdfast: z.literal('mysql'),
  version: z.literal(1),
  database: z.string(),
  server: z.string(),
  flavour: z.enum(['mariadb', 'mysql']),
  characterSet: z.string(),
  collation: z.string(),
  /** Where the server's binary log stood at the moment of the dump; absent where it has none, or it was not to be seen. */
  binlog: z.object({ file: z.string(), position: count, gtid: z.string().optional() }).optional(),
  tables: z.array(z.object({ name: z.string(), engine: z.string(), transactional: z.boolean() })),
  views: z.array(z.string()),
})

export type AboutMysql = z.output<typeof about>

export const parseAbout = (bytes: Uint8Array, what: string): AboutMysql =>
  parseDescription(about, bytes, what, 'a MySQL or MariaDB database')

const totals = z.object({
  tables: z.array(
    z.object({
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
