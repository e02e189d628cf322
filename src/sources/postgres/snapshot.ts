/** One view of a database that several sessions and programs share. */
import * as z from 'zod'
import { AppError, isAppError } from '../../base/errors.ts'
import type { PostgresSettings } from '../../model/databases.ts'
import { literal, type SqlOptions } from './connect.ts'
import type { AboutPostgres } from './layout.ts'
import { openSession, type Session } from './session.ts'
import { choose, exactly, parseRelations, RELATIONS, type Relation } from './tables.ts'

export interface Snapshot extends AsyncDisposable {
  id: string
  about: AboutPostgres
  /** With rows, in the order of their folders. */
  tables: Relation[]
  /** For pg_dump. */
  args: string[]
  largeObjects: boolean
  /** Sessions that see it. */
  readers: Session[]
  /** Of the session that holds it. */
  ask: Session['ask']
}

const BEGIN = 'begin isolation level repeatable read read only;'
/** As pg_dump sets them: values mean the same to any server that reads them. */
const VALUES = `set local row_security = off; set local datestyle = iso; set local intervalstyle = postgres; set local extra_float_digits = 3;
  set local bytea_output = hex; set local search_path = pg_catalog; set local synchronize_seqscans = off;`
const LOCK_SECONDS = 60

const parseExtensions = (text: string): AboutPostgres['extensions'] =>
  z.array(z.object({ name: z.string(), version: z.string() })).parse(JSON.parse(text))
const parseTexts = (text: string): string[] => z.array(z.string()).parse(JSON.parse(text))

export async function openSnapshot(
  options: SqlOptions & { version: number },
  settings: PostgresSettings,
  readers: number,
): Promise<Snapshot> {
  const { database, version } = options
  const holder = openSession(options)
  const sessions: Session[] = [holder]
  const dispose = async (): Promise<void> => {
    await Promise.all(sessions.map(async (session) => session[Symbol.asyncDispose]()))
  }
  try {
    const list = RELATIONS.replaceAll(/\s+/g, ' ')
    const [id = '', encoding = '', collate = '', ctype = '', large = '', extensions = '', set = '', relations = ''] =
      await holder.ask(
        `${BEGIN} ${VALUES} select pg_export_snapshot();
         select pg_encoding_to_char(encoding) from pg_database where datname = current_database();
         select datcollate from pg_database where datname = current_database();
         select datctype from pg_database where datname = current_database();
         select count(*) from (select from pg_largeobject_metadata limit 1) one;
         select coalesce(jsonb_agg(jsonb_build_object('name', extname, 'version', extversion) order by extname), '[]') from pg_extension;
         select coalesce(jsonb_agg(each), '[]') from pg_db_role_setting s join pg_database d on d.oid = s.setdatabase, unnest(setconfig) each where datname = current_database() and setrole = 0;
         ${list};`,
      )
    const chosen = choose(parseRelations(relations), settings, database)
    const tables = chosen.relations.filter(({ kind }) => kind === 'r')
    await lock(holder, tables, database)
    for (let more = 0; more < readers; more += 1) sessions.push(openSession(options))
    await Promise.all(
      sessions
        .slice(1)
        .map(async (session) =>
          session.ask(
            `${BEGIN} set transaction snapshot ${literal(id)}; ${VALUES} set client_encoding = ${literal(encoding)};`,
          ),
        ),
    )
    return {
      id,
      tables,
      args: chosen.args,
      largeObjects: large === '1' && settings.tables === undefined,
      readers: sessions.slice(1),
      ask: async (statements) => holder.ask(statements),
      about: {
        holdfast: 'postgres',
        version: 2,
        database,
        serverVersion: version,
        encoding,
        collate,
        ctype,
        extensions: parseExtensions(extensions),
        settings: parseTexts(set),
        tables: tables.map(({ schema, name, columns }) => ({ schema, name, columns })),
      },
      [Symbol.asyncDispose]: dispose,
    }
  } catch (error) {
    await dispose()
    throw error
  }
}

/** So that no table is dropped or rewritten before it is read. Readers and writers are not in the way, nor are we in theirs. */
async function lock(session: Session, tables: readonly Relation[], database: string): Promise<void> {
  if (tables.length === 0) return
  try {
    await session.ask(
      `set local lock_timeout = '${LOCK_SECONDS}s'; lock table only ${tables.map(exactly).join(', only ')} in access share mode; set local lock_timeout = 0;`,
    )
  } catch (error) {
    if (!isAppError(error) || !/lock timeout/.test(error.message)) throw error
    throw new AppError('source.incomplete', `somebody held a table of ${database} for ${LOCK_SECONDS} s`, {
      cause: error,
      hint: 'An ALTER TABLE, VACUUM FULL or the like runs: see pg_stat_activity, and run the backup when it is done.',
    })
  }
}

export const databaseExists = (name: string): string => `select 1 from pg_database where datname = ${literal(name)};`
