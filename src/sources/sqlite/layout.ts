/** The tree of an SQLite backup: docs/formats/database-dumps.md. One folder a database: its pages, then what is known of it. */
import * as z from 'zod'
import { parseDescription } from '../description.ts'

export const ABOUT = 'database.json'
const PAGES = /^(\d{7})\.pages$/

/** A change of one page costs this much in an archive; a larger file costs one line of index for each. */
export const SEGMENT_BYTES = 1024 * 1024

export const segmentName = (index: number): string => `${String(index).padStart(7, '0')}.pages`

/** Which stretch of the database a file of that name holds; undefined for other files. */
export function segmentOf(name: string): number | undefined {
  const [, digits] = PAGES.exec(name) ?? []
  return digits === undefined ? undefined : Number(digits)
}

const about = z.object({
  holdfast: z.literal('sqlite'),
  version: z.literal(1),
  /** Where it lay. */
  file: z.string(),
  pageSize: z.number().int().min(512).max(65_536),
  pages: z.number().int().nonnegative(),
  /** Bytes of each file of pages but the last. */
  segmentBytes: z.number().int().positive(),
  /** Rows of each table, counted in the copy that the pages are of. */
  tables: z.array(z.object({ name: z.string(), rows: z.number().int().nonnegative() })),
})

export type AboutSqlite = z.output<typeof about>

export const parseAbout = (bytes: Uint8Array, what: string): AboutSqlite =>
  parseDescription(about, bytes, what, 'an SQLite database')
