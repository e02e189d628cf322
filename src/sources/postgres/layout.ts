/** The tree of a PostgreSQL backup: docs/formats/database-dumps.md. */
import * as z from 'zod'
import { parseDescription } from '../description.ts'

export const GLOBALS = 'globals.sql'
export const ABOUT = 'database.json'
export const DUMP = 'database.dump'

const about = z.object({
  holdfast: z.literal('postgres'),
  version: z.literal(1),
  database: z.string(),
  serverVersion: z.number().int(),
  encoding: z.string(),
  collate: z.string(),
  ctype: z.string(),
  /** Rows of each table in the snapshot of the dump; not known where only some tables were dumped. */
  tables: z.array(z.object({ schema: z.string(), name: z.string(), rows: z.number().int().nonnegative() })).optional(),
})

export type AboutPostgres = z.output<typeof about>

export const parseAbout = (bytes: Uint8Array, what: string): AboutPostgres =>
  parseDescription(about, bytes, what, 'a PostgreSQL database')

/** Tables of users, with their rows, as one statement can count them. */
export const TABLES = `select coalesce(jsonb_agg(jsonb_build_array(n.nspname, c.relname) order by n.nspname, c.relname), '[]')
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relkind = 'r' and c.relpersistence <> 't' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
  and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')`

const pairs = z.array(z.tuple([z.string(), z.string()]))

export const parsePairs = (text: string): [string, string][] => pairs.parse(JSON.parse(text))
