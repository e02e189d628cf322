/** What can be asked of an SQLite file: page figures, rows, integrity, assertions. */
import { openDatabase, type Database } from '../../base/sqlite.ts'

export interface Inspected {
  pageSize: number
  pages: number
  tables: { name: string; rows: number }[]
}

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`

export function inspect(file: string): Inspected {
  using database = openDatabase(file, { readOnly: true })
  const number = (pragma: string): number => Number(Object.values(database.prepare(`pragma ${pragma}`).get() ?? {})[0])
  const names = database
    .prepare("select name from pragma_table_list where schema = 'main' and type in ('table', 'shadow') order by name")
    .all()
    .map(({ name }) => String(name))
  return {
    pageSize: number('page_size'),
    pages: number('page_count'),
    tables: names.map((name) => ({ name, rows: rowsOf(database, name) })),
  }
}

const rowsOf = (database: Database, table: string): number =>
  Number(database.prepare(`select count(*) as rows from ${quoted(table)}`).get()?.['rows'])

/** The first faults that SQLite finds; none if the database is whole. */
export function faults(file: string, check: 'quick_check' | 'integrity_check'): string[] {
  using database = openDatabase(file, { readOnly: true })
  const found = database
    .prepare(`pragma ${check}(10)`)
    .all()
    .map((row) => String(Object.values(row)[0]))
  return found.length === 1 && found[0] === 'ok' ? [] : found
}

/** Assertions that do not hold: the first column of the first row is no, 0, empty or missing. */
export function brokenAssertions(file: string, assertions: readonly string[]): string[] {
  using database = openDatabase(file, { readOnly: true })
  return assertions.filter((sql) => {
    const value: unknown = Object.values(database.prepare(sql).get() ?? {})[0]
    return value === undefined || value === null || value === '' || Number(value) === 0
  })
}
