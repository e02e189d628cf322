/** A table or collection in the backup of a database. */
export interface DumpedTable {
  /** As it is called there. */
  database: string
  /** As `--only` takes it; of PostgreSQL with its schema. */
  name: string
  /** As they were counted while they were read. */
  rows?: number
  /** Of its content; absent where a file holds all tables together. */
  bytes?: number
}
