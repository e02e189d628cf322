/** Options that name a database on the command line, for `backup` and `restore`. Passwords never stand in them. */
import type { Command } from 'commander'
import { AppError } from '../base/errors.ts'
import { DATABASE_TYPES, type DatabaseTargetSettings, type ServerSettings } from '../model/databases.ts'
import type { SourceSettings } from '../model/job.ts'
import { literalSecret } from '../model/secret.ts'
import type { Context } from './context.ts'
import { positive } from './numbers.ts'
import { collect } from './vault-options.ts'

export interface DatabaseOptions {
  db?: string
  url?: string
  host?: string
  port?: number
  user?: string
  database?: string[]
  excludeDatabase?: string[]
  table?: string[]
  excludeTable?: string[]
  dbPasswordFile?: string
  dbPasswordCommand?: string
  tls?: string
  ca?: string
  parallel?: number
}

type DatabaseType = (typeof DATABASE_TYPES)[number]

const TLS = ['disable', 'prefer', 'require', 'verify-ca', 'verify-full'] as const

export function withServer(command: Command): Command {
  return command
    .option('--db <type>', 'postgres, mysql, mariadb, mongodb, sqlite or s3db')
    .option(
      '--url <url>',
      'address of the database, in place of --host and the like (of s3db: HOLDFAST_S3DB_CONNECTION)',
    )
    .option('--port <port>', 'port of the database server', positive('--port'))
    .option('--user <name>', 'who logs in to the database server')
    .option(
      '--db-password-file <file>',
      'password of the database user (also HOLDFAST_DB_PASSWORD, PGPASSWORD, MYSQL_PWD)',
    )
    .option('--db-password-command <command>', 'run this program for the password of the database user')
    .option('--tls <mode>', TLS.join(', '))
    .option('--ca <file>', 'PEM file with the authority of the database server')
    .option('--parallel <n>', 'connections to the database server at once', positive('--parallel'))
}

/** Options that only make sense with a database. */
export const DATABASE_ONLY = [
  'db',
  'url',
  'port',
  'user',
  'dbPasswordFile',
  'dbPasswordCommand',
  'tls',
  'ca',
  'parallel',
] as const

export function databaseType(text: string): DatabaseType {
  const type = { mariadb: 'mysql', postgresql: 'postgres', mongo: 'mongodb' }[text] ?? text
  const known = DATABASE_TYPES.find((one) => one === type)
  if (known !== undefined) return known
  throw new AppError('usage.invalid', `--db ${text} is none of postgres, mysql, mariadb, mongodb, sqlite, s3db`)
}

function serverOf(context: Context, type: DatabaseType, options: DatabaseOptions): ServerSettings {
  const { host, port, user, tls, ca } = options
  const mode = TLS.find((one) => one === tls)
  if (tls !== undefined && mode === undefined)
    throw new AppError('usage.invalid', `--tls ${tls} is none of ${TLS.join(', ')}`)
  const password =
    context.password({
      ...(options.dbPasswordFile !== undefined && { passwordFile: options.dbPasswordFile }),
      ...(options.dbPasswordCommand !== undefined && { passwordCommand: options.dbPasswordCommand }),
      noEnvironment: true,
    }) ?? passwordOfEnvironment(context.env, type)
  return {
    ...(host !== undefined && { host }),
    ...(port !== undefined && { port }),
    ...(options.url !== undefined && { url: literalSecret(options.url, '--url') }),
    ...(user !== undefined && { user }),
    ...(password && { password }),
    ...(mode !== undefined && { tls: mode }),
    ...(ca !== undefined && { ca }),
  }
}

const PASSWORD_VARIABLES: Partial<Record<DatabaseType, string>> = { postgres: 'PGPASSWORD', mysql: 'MYSQL_PWD' }

function passwordOfEnvironment(env: NodeJS.ProcessEnv, type: DatabaseType): ServerSettings['password'] {
  for (const name of ['HOLDFAST_DB_PASSWORD', PASSWORD_VARIABLES[type]]) {
    const text = name === undefined ? undefined : env[name]
    if (name !== undefined && text) return literalSecret(text, name)
  }
  return undefined
}

/** The source of `backup --db …`; words are files of SQLite databases. */
export function sourceOf(context: Context, options: DatabaseOptions, words: readonly string[]): SourceSettings {
  const type = databaseType(options.db ?? '')
  const { database, excludeDatabase, table, excludeTable, parallel } = options
  if (type === 'sqlite') {
    if (options.url !== undefined) throw new AppError('usage.invalid', '--url means nothing for sqlite: name the file')
    const files = [...words, ...(database ?? [])]
    if (files.length === 0)
      throw new AppError('usage.invalid', 'no database file was named', {
        hint: 'Write `holdfast backup --db sqlite FILE --to VAULT`.',
      })
    return { type, files }
  }
  if (words.length > 0)
    throw new AppError('usage.invalid', `${words[0]} is not a setting of a database`, {
      hint: 'Name databases with --database, tables with --table.',
    })
  const common = {
    ...serverOf(context, type, options),
    ...(database && { databases: database }),
    ...(excludeDatabase && { excludeDatabases: excludeDatabase }),
  }
  if (type === 'mongodb')
    return {
      type,
      ...common,
      ...(table && { collections: table }),
      ...(excludeTable && { excludeCollections: excludeTable }),
      ...(parallel !== undefined && { parallel }),
    }
  const tables = { ...(table && { tables: table }), ...(excludeTable && { excludeTables: excludeTable }) }
  return { type, ...common, ...tables, ...(parallel !== undefined && { parallel }) }
}

const SCHEMES: Record<string, DatabaseType> = {
  postgres: 'postgres',
  postgresql: 'postgres',
  mysql: 'mysql',
  mariadb: 'mysql',
  mongodb: 'mongodb',
  'mongodb+srv': 'mongodb',
  sqlite: 'sqlite',
}

/** The type of database that a URL names. */
export function typeOfUrl(text: string): DatabaseType | undefined {
  return SCHEMES[/^([a-z0-9+]+):/i.exec(text)?.[1]?.toLowerCase() ?? '']
}

export interface RestoreDatabaseOptions extends DatabaseOptions {
  to?: string
  fromDatabase?: string
  only?: string[]
  overwrite?: string
  ownership?: boolean
  globals?: boolean
}

/** Where `restore --to URL` or `restore --db … --host … --database …` goes; undefined for restores of files. */
export function databaseTargetOf(
  context: Context,
  options: RestoreDatabaseOptions,
  source: string,
): DatabaseTargetSettings | undefined {
  const { to, db, database = [], only, overwrite, ownership, globals, parallel } = options
  const byUrl = to === undefined ? undefined : typeOfUrl(to)
  if (byUrl === undefined && (to !== undefined || (db === undefined && database.length === 0))) return undefined
  const type = byUrl ?? databaseType(db ?? source)
  if (source !== type)
    throw new AppError('usage.invalid', `a backup of a source of type ${source} cannot be restored to ${type}`, {
      hint: 'Bring its files back with --to FOLDER.',
    })
  if (database.length > 1) throw new AppError('usage.invalid', '--database is given twice')
  if (overwrite !== undefined && overwrite !== 'always' && overwrite !== 'never')
    throw new AppError('usage.invalid', `--overwrite ${overwrite} does not suit a database`, {
      hint: 'Say --overwrite always to replace what exists.',
    })
  const server = serverOf(context, type, options)
  const url = to !== undefined && type !== 'sqlite' ? { url: literalSecret(to, '--to') } : {}
  const file = to !== undefined && type === 'sqlite' ? to.replace(/^sqlite:(\/\/)?/i, '') : undefined
  const name = file ?? database[0]
  return {
    type,
    server: { ...server, ...url },
    ...(name !== undefined && { database: name }),
    ...(options.fromDatabase !== undefined && { from: options.fromDatabase }),
    ...(only && { only }),
    ...(overwrite === 'always' && { replace: true }),
    ...(ownership === false && { ownership }),
    ...(globals === true && { globals }),
    ...(parallel !== undefined && { parallel }),
    ...(context.options.dryRun === true && { dryRun: true }),
  }
}

export const withDatabaseChoice = (command: Command): Command =>
  command
    .option('--database <name>', 'this database, or a pattern (repeatable); of sqlite the file', collect)
    .option('--exclude-database <pattern>', 'not this database (repeatable)', collect)
    .option('--table <pattern>', 'only this table or collection (repeatable)', collect)
    .option('--exclude-table <pattern>', 'not this table or collection (repeatable)', collect)
