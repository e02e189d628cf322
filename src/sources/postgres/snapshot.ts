/** One view of a database that several programs share, kept open by a session of psql, and what is counted in it. */
import { AppError, isAppError } from '../../base/errors.ts'
import { feed, startProgram } from '../../base/program.ts'
import type { PostgresSettings } from '../../model/databases.ts'
import { asConnectionError, identifier, literal, type SqlOptions } from './connect.ts'
import { parsePairs, TABLES, type AboutPostgres } from './layout.ts'

export interface Snapshot extends AsyncDisposable {
  id: string
  about: AboutPostgres
}

const DONE = 'holdfast-end-of-answer'

export async function openSnapshot(
  { psql, server, database, signal, version }: SqlOptions & { version: number },
  settings: PostgresSettings,
): Promise<Snapshot> {
  const running = startProgram({
    program: psql,
    args: ['-X', '-A', '-t', '-q', '-w', '-v', 'ON_ERROR_STOP=1'],
    env: { ...server.env, PGDATABASE: database },
    ...(signal && { signal }),
  })
  let text = ''
  const chunk = Buffer.allocUnsafe(64 * 1024)
  const decoder = new TextDecoder()
  async function ask(statements: string): Promise<string[]> {
    await feed(running, `${statements}\n\\echo ${DONE}\n`)
    while (!text.endsWith(`${DONE}\n`)) {
      const count = await running.stdout.read(chunk)
      if (count === 0) throw new AppError('source.incomplete', `the session with ${server.name}/${database} ended`)
      text += decoder.decode(chunk.subarray(0, count), { stream: true })
    }
    const lines = text.split('\n').slice(0, -2)
    text = ''
    return lines
  }
  const dispose = async (): Promise<void> => {
    running.stdin.end('rollback;\n')
    await running.stop()
  }
  try {
    const [id = '', encoding = '', collate = '', ctype = '', list = ''] = await ask(
      `begin isolation level repeatable read read only; set local row_security = off; select pg_export_snapshot();
       select pg_encoding_to_char(encoding) from pg_database where datname = current_database();
       select datcollate from pg_database where datname = current_database();
       select datctype from pg_database where datname = current_database();
       ${TABLES.replaceAll(/\s+/g, ' ')};`,
    )
    const some = [settings.tables, settings.excludeTables, settings.schemas, settings.excludeSchemas].some(
      (patterns) => patterns !== undefined,
    )
    const pairs = some ? [] : parsePairs(list)
    const counts = pairs.length === 0 ? [] : await ask(pairs.map(([schema, name]) => countOf(schema, name)).join('\n'))
    if (counts.length !== pairs.length)
      throw new AppError('source.incomplete', `rows of ${database} could not be counted`)
    const tables = pairs.map(([schema, name], at) => ({ schema, name, rows: Number(counts[at]) }))
    return {
      id,
      about: {
        holdfast: 'postgres',
        version: 1,
        database,
        serverVersion: version,
        encoding,
        collate,
        ctype,
        ...(!some && { tables }),
      },
      [Symbol.asyncDispose]: dispose,
    }
  } catch (error) {
    await dispose()
    throw isAppError(error) ? asConnectionError(error, server, database) : error
  }
}

export const countOf = (schema: string, name: string): string =>
  `select count(*) from only ${identifier(schema)}.${identifier(name)};`

export const databaseExists = (name: string): string => `select 1 from pg_database where datname = ${literal(name)};`
