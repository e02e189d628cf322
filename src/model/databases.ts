import type { Secret } from './settings.ts'

/** How a database server is reached. A URL stands for all of it but what is said beside it. */
export interface ServerSettings {
  host?: string
  port?: number
  user?: string
  password?: Secret
  url?: Secret
  tls?: boolean | 'disable' | 'prefer' | 'require' | 'verify-ca' | 'verify-full'
  /** A PEM file with the authority of the server. */
  ca?: string
  /** How long a program or connection may say nothing, such as `30m`. */
  idleTimeout?: string
  /** Folder of the vendor's client programs; found by the server's version where absent. */
  programs?: string
}

export interface DatabaseChoice {
  /** One database: the same as `databases` with one name. */
  database?: string
  /** Names and patterns; all of the server where absent. */
  databases?: string[]
  excludeDatabases?: string[]
}

export interface TableChoice {
  /** Names and patterns: `orders`, `public.orders`, `log_*`. */
  tables?: string[]
  excludeTables?: string[]
}

export interface PostgresSettings extends ServerSettings, DatabaseChoice, TableChoice {
  schemas?: string[]
  excludeSchemas?: string[]
  method?: 'logical' | 'physical'
  slot?: string
  globals?: boolean
  /** A hash of what each table holds, to which a proof compares what was restored. Reads every table once more. */
  hashes?: boolean
  /** Connections that read at once. */
  parallel?: number
}

export interface MysqlSettings extends ServerSettings, DatabaseChoice, TableChoice {
  binlog?: boolean
  /** Routines, triggers and events too; true by default. */
  routines?: boolean
  /** Users and what they may do; true by default. */
  globals?: boolean
  /** As for PostgreSQL. */
  hashes?: boolean
  /** Connections that read at once. */
  parallel?: number
}

export interface MongodbSettings extends ServerSettings, DatabaseChoice {
  collections?: string[]
  excludeCollections?: string[]
  oplog?: boolean
  /** Collections that are read at once. */
  parallel?: number
}

export interface SqliteSettings {
  file?: string
  files?: string[]
}

export interface CommandSettings {
  /** A program and its arguments; a text is split at blanks outside quotes. No shell. */
  command: string | string[]
  /** The name of the one file in the backup; `stdout` where absent. */
  name?: string
  /** No output at all is a failure otherwise. */
  allowEmpty?: boolean
  idleTimeout?: string
}

export type DatabaseSourceSettings =
  | ({ type: 'postgres' } & PostgresSettings)
  | ({ type: 'mysql' } & MysqlSettings)
  | ({ type: 'mongodb' } & MongodbSettings)
  | ({ type: 'sqlite' } & SqliteSettings)
  | ({ type: 'command' } & CommandSettings)

/** Where the restore of a database goes, and what of it. */
export interface DatabaseTargetSettings {
  type: 'postgres' | 'mysql' | 'mongodb' | 'sqlite'
  server: ServerSettings
  /** The name that the restored database gets; that of the backup where absent. SQLite: the file. */
  database?: string
  /** Which database of the backup, if there are several. */
  from?: string
  /** Names and patterns of tables or collections; everything where absent. */
  only?: string[]
  /** What exists is replaced: by swapping names at the end where the engine can, else by dropping it first. */
  replace?: boolean
  /** Set owners and privileges; true by default. */
  ownership?: boolean
  /** Restore roles and other things of the whole server too. */
  globals?: boolean
  parallel?: number
  dryRun?: boolean
}

export const DATABASE_TYPES = ['postgres', 'mysql', 'mongodb', 'sqlite'] as const
