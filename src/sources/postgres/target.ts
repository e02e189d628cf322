import { randomBytes } from 'node:crypto'
import { AppError, isAppError } from '../../base/errors.ts'
import { feed, startProgram } from '../../base/program.ts'
import { throwIfAborted } from '../../base/streams.ts'
import type { DatabaseTargetSettings } from '../../model/databases.ts'
import type { Entry, RestoredEntry } from '../../model/entry.ts'
import type { RestoreOutcome, Target, WriteTargetOptions } from '../../model/source.ts'
import { folderName } from '../names.ts'
import { bytesOf, contentOf, folderOf, nameOf, noOutcome } from '../restored.ts'
import { anyPsql, identifier, literal, programsFor, serverOf, sql, type SqlOptions } from './connect.ts'
import { ABOUT, DUMP, parseAbout, type AboutPostgres } from './layout.ts'
import { countOf, databaseExists } from './snapshot.ts'

const MAINTENANCE = 'postgres'

/**
 * One PostgreSQL database. It is made under a name of its own, filled, its rows are counted and compared, and only then
 * it gets its name; with `replace` the database of that name is renamed out of the way before, and kept.
 */
export function postgresTarget(settings: DatabaseTargetSettings): Target {
  if (settings.only !== undefined)
    throw new AppError('usage.invalid', 'single tables cannot be restored yet', {
      hint: 'Restore to a new database with --database NAME, and take the table from there.',
    })
  if (settings.globals === true || settings.parallel !== undefined)
    throw new AppError('usage.invalid', 'this version restores one database, by one connection, without roles', {
      hint: 'Roles are in globals.sql: bring it out with --to FOLDER and run it with psql.',
    })
  const { from } = settings
  const ours = (entry: Entry): boolean =>
    entry.kind === 'file' && (from === undefined || folderOf(entry) === folderName(from))
  return {
    name: settings.database ?? from ?? 'postgres',
    rounds: [(entry) => nameOf(entry) === ABOUT && ours(entry), (entry) => nameOf(entry) === DUMP && ours(entry)],
    write: async (entries, options) => write(settings, entries, options),
  }
}

async function write(
  settings: DatabaseTargetSettings,
  entries: AsyncIterable<RestoredEntry>,
  options: WriteTargetOptions,
): Promise<RestoreOutcome> {
  const { signal } = options
  const cancel = signal ? { signal } : {}
  const server = await serverOf(settings.server)
  const outcome = noOutcome()
  const maintenance: SqlOptions = { psql: anyPsql(settings.server.programs), server, database: MAINTENANCE, ...cancel }
  const [version = ''] = await sql('show server_version_num;', maintenance)
  const programs = await programsFor(Number(version), settings.server.programs)
  const made = `holdfast_restore_${randomBytes(4).toString('hex')}`
  let about: AboutPostgres | undefined
  let filled = false
  let exists = false
  let created = false
  try {
    for await (const entry of entries) {
      throwIfAborted(signal)
      if (nameOf(entry) === ABOUT) {
        const found = parseAbout(await bytesOf(entry), entry.path)
        if (about !== undefined)
          throw new AppError('usage.invalid', 'there are several databases in this backup', {
            hint: `Name one with --from-database, such as ${about.database} or ${found.database}.`,
          })
        about = found
        continue
      }
      if (about === undefined) throw new AppError('backup.damaged', `${entry.path} stands without ${ABOUT}`)
      const name = settings.database ?? server.database ?? about.database
      exists = (await sql(databaseExists(name), maintenance)).length > 0
      if (exists && settings.replace !== true && settings.dryRun !== true)
        throw new AppError('restore.exists', `${server.name} has a database ${name} already`, {
          hint: 'Choose another name with --database, or say --overwrite always: the old one is then renamed and kept.',
        })
      outcome.bytes += entry.size
      filled = true
      if (settings.dryRun === true) continue
      const { encoding, collate, ctype } = about
      await sql(
        `create database ${identifier(made)} template template0 encoding ${literal(encoding)} lc_collate ${literal(collate)} lc_ctype ${literal(ctype)};`,
        maintenance,
      )
      created = true
      await fill(entry, settings, { ...maintenance, database: made, pgRestore: programs.pgRestore }, options)
    }
    if (about === undefined || !filled)
      throw new AppError('backup.not-found', 'there is no PostgreSQL database in what was asked for')
    const name = settings.database ?? server.database ?? about.database
    if (created) {
      options.onStep?.('counting rows')
      await compare(about, { ...maintenance, database: made })
      await giveName(made, name, exists, maintenance, options)
      created = false
    }
    const effect = exists ? 'replace' : 'create'
    outcome.files += 1
    outcome.effects[effect] += 1
    options.onEntry?.({ path: name, kind: 'file', mode: 0o600, mtime: { s: 0, ns: 0 }, size: outcome.bytes }, effect)
    return outcome
  } catch (error) {
    throw isAppError(error, 'source.incomplete')
      ? new AppError('restore.failed', error.message, { cause: error })
      : error
  } finally {
    if (created) {
      const { signal: _, ...uncancelled } = maintenance
      await sql(`drop database if exists ${identifier(made)};`, uncancelled).catch((error: unknown) =>
        options.onWarning({ code: 'left', message: `the database ${made} could not be removed: ${String(error)}` }),
      )
    }
  }
}

async function fill(
  entry: RestoredEntry,
  { ownership }: DatabaseTargetSettings,
  { server, database, pgRestore, signal }: SqlOptions & { pgRestore: string },
  { onBytes }: WriteTargetOptions,
): Promise<void> {
  const running = startProgram({
    program: pgRestore,
    args: [
      '--no-password',
      '--exit-on-error',
      `--dbname=${database}`,
      ...(ownership === false ? ['--no-owner', '--no-privileges'] : []),
    ],
    env: server.env,
    failure: 'restore.failed',
    ...(signal && { signal }),
  })
  try {
    for await (const chunk of contentOf(entry)) {
      // The memory is used again when the next chunk comes, and the pipe may take this one later.
      await feed(running, Buffer.from(chunk))
      onBytes?.(chunk.length)
    }
    running.stdin.end()
    while ((await running.stdout.read(Buffer.alloc(4096))) > 0);
  } finally {
    await running.stop()
  }
}

async function compare({ tables }: AboutPostgres, options: SqlOptions): Promise<void> {
  if (tables === undefined || tables.length === 0) return
  const counts = await sql(tables.map(({ schema, name }) => countOf(schema, name)).join('\n'), options)
  for (const [at, { schema, name, rows }] of tables.entries())
    if (Number(counts[at]) !== rows)
      throw new AppError(
        'backup.damaged',
        `${schema}.${name} has ${counts[at]} rows after the restore, and had ${rows}`,
      )
}

async function giveName(
  made: string,
  name: string,
  exists: boolean,
  options: SqlOptions,
  { onWarning }: WriteTargetOptions,
): Promise<void> {
  const old = `${name}_before_${made.slice('holdfast_restore_'.length)}`
  if (exists) {
    const users = await sql(`select count(*) from pg_stat_activity where datname = ${literal(name)};`, options)
    if (users[0] !== '0') throw new AppError('target.in-use', `${users[0]} sessions use the database ${name}`)
    await sql(`alter database ${identifier(name)} rename to ${identifier(old)};`, options)
    onWarning({ code: 'note', message: `the database that was there is now called ${old}` })
  }
  await sql(`alter database ${identifier(made)} rename to ${identifier(name)};`, options)
}
