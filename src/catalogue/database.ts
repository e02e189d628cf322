/**
 * What the stores of the catalogue need of a database. One set of statements serves SQLite and PostgreSQL: they are
 * standard SQL with `?` and `:name`, and `body ->> 'key'` reads JSON in both (docs/decisions/0012).
 */
export { transaction } from '../base/sqlite.ts'

export type Value = string | number | null | Uint8Array

export type Named = Record<string, Value>

export interface Statement {
  get(...values: Value[]): unknown
  get(values: Named): unknown
  all(...values: Value[]): unknown[]
  all(values: Named): unknown[]
  run(...values: Value[]): { changes: number | bigint }
  iterate(...values: Value[]): IterableIterator<unknown>
}

export interface Database {
  prepare(sql: string): Statement
  /** `BEGIN IMMEDIATE`, `COMMIT`, `ROLLBACK`, and statements without values. */
  exec(sql: string): void
  readonly isOpen: boolean
  readonly isTransaction: boolean
  close(): void
}
