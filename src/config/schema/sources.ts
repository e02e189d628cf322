import * as z from 'zod'
import { duration, flag, path, port, secret, settings, size, text, texts } from './fields.ts'

const files = settings({
  type: z.literal('files'),
  paths: z.array(path('A file or folder.')).min(1).describe('Files and folders.'),
  exclude: texts('Patterns of what is left out, as in .gitignore.').optional(),
  include: texts('Patterns of what is taken although excluded.').optional(),
  excludeIfPresent: texts('A folder that holds a file of this name is left out.').optional(),
  ignoreFiles: flag('Read .holdfastignore files; true by default.').optional(),
  oneFileSystem: flag('Stay on the file system of each path.').optional(),
  excludeLargerThan: size('Leave out larger files.').optional(),
  excludeHidden: flag('Leave out names that begin with a dot.').optional(),
  xattrs: flag('Keep extended attributes.').optional(),
  sqlite: flag('Copy SQLite databases consistently; true by default.').optional(),
})

const database = {
  host: text('The server.').optional(),
  port: port('Its port.').optional(),
  user: text('The role to log in with.').optional(),
  password: secret('Its password.').optional(),
  url: secret('A connection URL, in place of host, port, user and password.').optional(),
  database: text('One database.').optional(),
  databases: texts('The databases; all of them by default.').optional(),
  excludeDatabases: texts('Patterns of databases that are left out.').optional(),
  tls: z
    .union([z.boolean(), z.enum(['disable', 'prefer', 'require', 'verify-ca', 'verify-full'])])
    .describe('How the connection is encrypted.')
    .optional(),
  ca: path('A PEM file with the authority of the server.').optional(),
  idleTimeout: duration('How long the server or its programs may say nothing; 30m by default.').optional(),
}

const programs = path("The folder of the vendor's client programs; found by default.").optional()

const tables = {
  tables: texts('Patterns of tables.').optional(),
  excludeTables: texts('Patterns of tables that are left out.').optional(),
}

const postgres = settings({
  type: z.literal('postgres'),
  ...database,
  ...tables,
  schemas: texts('Patterns of schemas.').optional(),
  excludeSchemas: texts('Patterns of schemas that are left out.').optional(),
  method: z.enum(['logical', 'physical']).describe('Dumps, or copies of the whole cluster with its log.').optional(),
  slot: text('The replication slot of the physical method.').optional(),
  globals: flag('Roles and tablespaces too; true by default.').optional(),
  hashes: flag(
    'A hash of each table too, to which a proof (V4) compares what was restored; reads every table once more.',
  ).optional(),
  parallel: z.number().int().min(1).max(32).describe('Connections that read at once; 2 by default.').optional(),
  programs,
}).describe('PostgreSQL databases, each as of one snapshot.')

const mysql = settings({
  type: z.literal('mysql'),
  ...database,
  ...tables,
  binlog: flag('Follow the binary log, for restores to a point in time (MariaDB).').optional(),
  routines: flag('Stored routines, triggers and events too; true by default.').optional(),
  globals: flag('Users and what they may do too; true by default.').optional(),
  hashes: flag(
    'A hash of each table too, to which a proof (V4) compares what was restored; reads every table once more.',
  ).optional(),
  parallel: z.number().int().min(1).max(32).describe('Connections that read at once; 2 by default.').optional(),
}).describe('MySQL and MariaDB databases, all as of one moment.')

const mongodb = settings({
  type: z.literal('mongodb'),
  ...database,
  collections: texts('Patterns of collections.').optional(),
  excludeCollections: texts('Patterns of collections that are left out.').optional(),
  oplog: flag('Follow the oplog, for restores to a point in time; accepted, works in a later version.').optional(),
  parallel: z.number().int().min(1).max(32).describe('Collections that are read at once; 4 by default.').optional(),
}).describe('MongoDB databases, in the layout of mongodump; needs the package mongodb.')

const sqlite = settings({
  type: z.literal('sqlite'),
  file: path('The database file.').optional(),
  files: z.array(path('A database file.')).describe('Several database files.').optional(),
}).describe('SQLite databases, each copied as of one moment.')

const s3db = settings({
  type: z.literal('s3db'),
  url: secret('The connection string of the s3db database.').optional(),
  connectionString: secret('The same as url.').optional(),
  resources: texts('Names or patterns of resources; all of them by default.').optional(),
  exclude: texts('Names or patterns of resources that are left out.').optional(),
  concurrency: z.number().int().min(1).max(64).describe('Reads in flight; 32 by default.').optional(),
}).describe('An s3db database; needs the package s3db.js.')

const command = settings({
  type: z.literal('command'),
  command: z
    .union([z.string().min(1), z.array(z.string()).min(1)])
    .describe('A program and its arguments; run without a shell.'),
  name: text('The name of the one file in the backup; stdout by default.').optional(),
  allowEmpty: flag('Nothing at all is a good output too.').optional(),
  idleTimeout: duration('How long it may say nothing; unlimited by default.').optional(),
}).describe('What a program writes to its standard output.')

export const source = z
  .discriminatedUnion('type', [files, postgres, mysql, mongodb, sqlite, s3db, command])
  .describe('What is backed up.')

export type SourceConfig = z.output<typeof source>
