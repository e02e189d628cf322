/** The steps of a restore to PostgreSQL. */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AppError } from '../../base/errors.ts'
import { feed, startProgram } from '../../base/program.ts'
import type { DatabaseTargetSettings } from '../../model/databases.ts'
import type { RestoredEntry } from '../../model/entry.ts'
import type { RestoreOutcome, WriteTargetOptions } from '../../model/source.ts'
import { bytesOf, contentOf, nameOf, noOutcome } from '../restored.ts'
import {
  anyPsql,
  identifier,
  literal,
  programsFor,
  serverOf,
  sql,
  type Programs,
  type Server,
  type SqlOptions,
} from './connect.ts'
import {
  ABOUT,
  GLOBALS,
  isPiece,
  LARGE_OBJECTS,
  parseAbout,
  parseTotals,
  tableFolder,
  TOTALS,
  type AboutPostgres,
  type Totals,
} from './layout.ts'
import { rowLoader, type RowLoader } from './loading.ts'
import { preparePart, type PartPlan } from './part.ts'
import { openSession, type Session } from './session.ts'
import { databaseExists } from './snapshot.ts'
import { countOf, withColumns } from './tables.ts'

const MAINTENANCE = 'postgres'
const CONNECTIONS = 2

export interface Restore {
  take(entry: RestoredEntry): Promise<void>
  finish(): Promise<RestoreOutcome>
  /** Removes what was made on the way, if it did not come to its end. */
  close(): Promise<void>
}

export async function openRestore(settings: DatabaseTargetSettings, options: WriteTargetOptions): Promise<Restore> {
  const server = await serverOf(settings.server)
  const cancel = options.signal ? { signal: options.signal } : {}
  const maintenance: SqlOptions = { psql: anyPsql(settings.server.programs), server, database: MAINTENANCE, ...cancel }
  const [version = ''] = await sql('show server_version_num;', maintenance)
  const programs = await programsFor(Number(version), settings.server.programs)
  return new PostgresRestore(settings, options, server, programs, maintenance)
}

class PostgresRestore implements Restore {
  readonly #settings: DatabaseTargetSettings
  readonly #options: WriteTargetOptions
  readonly #server: Server
  readonly #programs: Programs
  readonly #maintenance: SqlOptions
  readonly #suffix = randomBytes(4).toString('hex')
  readonly #outcome = noOutcome()
  readonly #dir = mkdtempSync(join(tmpdir(), 'holdfast-postgres-'))
  #sessions: Session[] = []
  #loader: RowLoader | undefined
  #about: AboutPostgres | undefined
  #totals: Totals | undefined
  /** Some tables only. */
  #part: PartPlan | undefined
  #exists = false
  #created = false
  #begun = false

  constructor(
    settings: DatabaseTargetSettings,
    options: WriteTargetOptions,
    server: Server,
    programs: Programs,
    maintenance: SqlOptions,
  ) {
    this.#settings = settings
    this.#options = options
    this.#server = server
    this.#programs = programs
    this.#maintenance = maintenance
  }

  #known(): AboutPostgres {
    if (this.#about !== undefined) return this.#about
    throw new AppError('backup.not-found', 'there is no PostgreSQL database in what was asked for')
  }

  get #name(): string {
    return this.#settings.database ?? this.#server.database ?? this.#known().database
  }

  /** Where it is filled: a database that gets its name at the end, or for single tables the one that is there. */
  get #place(): string {
    return this.#into ? this.#name : `holdfast_restore_${this.#suffix}`
  }

  get #into(): boolean {
    return this.#settings.only !== undefined && this.#exists
  }

  get #here(): SqlOptions {
    return { ...this.#maintenance, database: this.#place }
  }

  async take(entry: RestoredEntry): Promise<void> {
    const name = nameOf(entry)
    if (name === ABOUT) return this.#describe(parseAbout(await bytesOf(entry), entry.path))
    if (name === TOTALS) {
      this.#totals = parseTotals(await bytesOf(entry), entry.path)
      return undefined
    }
    if (entry.path === GLOBALS) return this.#globals(entry)
    if (isPiece(name)) return this.#rows(entry)
    this.#outcome.bytes += entry.size
    if (name === LARGE_OBJECTS) return this.#dryRun ? undefined : this.#restore([], contentOf(entry))
    return this.#begin(entry)
  }

  get #dryRun(): boolean {
    return this.#settings.dryRun === true
  }

  get #archive(): string {
    return join(this.#dir, 'database.dump')
  }

  #describe(about: AboutPostgres): void {
    if (this.#about !== undefined)
      throw new AppError('usage.invalid', 'there are several databases in this backup', {
        hint: `Name one with --from-database, such as ${this.#about.database} or ${about.database}.`,
      })
    this.#about = about
  }

  async #globals(entry: RestoredEntry): Promise<void> {
    if (this.#dryRun) return
    const { server, psql } = this.#maintenance
    const running = startProgram({
      program: psql,
      args: ['-X', '-q', '-w'],
      env: { ...server.env, PGDATABASE: MAINTENANCE },
      failure: 'restore.failed',
    })
    running.stdin.end(Buffer.from(await bytesOf(entry)))
    while ((await running.stdout.read(Buffer.alloc(4096))) > 0);
    const failed = running
      .complaints()
      .split('\n')
      .filter((line) => /ERROR/.test(line) && !/already exists/.test(line))
    for (const message of failed) this.#options.onWarning({ code: 'roles', message })
  }

  async #begin(dump: RestoredEntry): Promise<void> {
    const about = this.#known()
    const name = this.#name
    const { only, replace } = this.#settings
    this.#begun = true
    this.#exists = (await sql(databaseExists(name), this.#maintenance)).length > 0
    if (this.#exists && only === undefined && replace !== true && !this.#dryRun)
      throw new AppError('restore.exists', `${this.#server.name} has a database ${name} already`, {
        hint: 'Choose another name with --database, or say --overwrite always: the old one is then renamed and kept.',
      })
    await this.#keep(dump)
    if (only !== undefined)
      this.#part = await preparePart({
        pgRestore: this.#programs.pgRestore,
        archive: this.#archive,
        dir: this.#dir,
        patterns: only,
        replace: replace === true,
        dryRun: this.#dryRun,
        suffix: this.#suffix,
        onWarning: this.#options.onWarning,
        ...(this.#into && { into: this.#here }),
      })
    if (this.#dryRun) return
    if (!this.#into) await this.#create(about)
    await this.#part?.moveAside()
    this.#created = true
    await this.#restore(['--section=pre-data', ...this.#list()])
    await this.#restore(['--section=data', ...this.#list()])
    for (let count = this.#settings.parallel ?? CONNECTIONS; count > 0; count -= 1)
      this.#sessions.push(openSession(this.#here, 'restore.failed'))
    await Promise.all(
      this.#sessions.map(async (session) =>
        session.ask(
          `set client_encoding = ${literal(about.encoding)}; set datestyle = iso; set synchronous_commit = off; set search_path = pg_catalog; set row_security = off;`,
        ),
      ),
    )
    this.#loader = rowLoader(this.#sessions)
  }

  async #create({ encoding, collate, ctype }: AboutPostgres): Promise<void> {
    await sql(
      `create database ${identifier(this.#place)} template template0 encoding ${literal(encoding)} lc_collate ${literal(collate)} lc_ctype ${literal(ctype)};`,
      this.#maintenance,
    )
  }

  /** pg_restore reads it several times, and not in one direction. It holds no rows. */
  async #keep(dump: RestoredEntry): Promise<void> {
    await using file = await open(this.#archive, 'wx', 0o600)
    for await (const chunk of contentOf(dump)) await file.write(chunk)
  }

  #list(): string[] {
    return this.#part === undefined ? [] : [`--use-list=${this.#part.list}`]
  }

  /** Of the archive that was kept, or of what is given. */
  async #restore(args: readonly string[], content?: AsyncIterable<Uint8Array>): Promise<void> {
    const running = startProgram({
      program: this.#programs.pgRestore,
      args: [
        '--no-password',
        '--exit-on-error',
        `--dbname=${this.#place}`,
        ...(this.#settings.ownership === false ? ['--no-owner', '--no-privileges'] : []),
        ...args,
        ...(content === undefined ? [this.#archive] : []),
      ],
      env: this.#server.env,
      failure: 'restore.failed',
      ...(this.#options.signal && { signal: this.#options.signal }),
    })
    try {
      // The memory is used again when the next chunk comes, and the pipe may take this one later.
      if (content !== undefined) for await (const chunk of content) await feed(running, Buffer.from(chunk))
      running.stdin.end()
      while ((await running.stdout.read(Buffer.alloc(4096))) > 0);
    } finally {
      await running.stop()
    }
  }

  async #rows(entry: RestoredEntry): Promise<void> {
    const folder = entry.path.split('/').at(-2) ?? ''
    const table = this.#known().tables.find((each) => tableFolder(each) === folder)
    if (table === undefined) throw new AppError('backup.damaged', `${entry.path} is of a table that is not described`)
    if (this.#part !== undefined && !this.#part.has(table)) return
    this.#outcome.bytes += entry.size
    if (this.#dryRun) return
    if (this.#loader === undefined) throw new AppError('backup.damaged', `${entry.path} stands without its definition`)
    const statement = `COPY ${withColumns(table)} FROM STDIN`
    await this.#loader.load(statement, entry, this.#options.onBytes)
  }

  async finish(): Promise<RestoreOutcome> {
    const about = this.#known()
    if (!this.#begun)
      throw new AppError('backup.damaged', `the database ${about.database} stands without its definition`)
    const tables = about.tables.filter((table) => this.#part?.has(table) ?? true)
    const effect = this.#exists && this.#part === undefined ? 'replace' : 'create'
    for (const { schema, name } of tables) {
      const its = this.#part?.inTheWay.has(`${schema}.${name}`) === true ? 'replace' : effect
      this.#outcome.files += 1
      this.#outcome.effects[its] += 1
      const path = `${this.#name}/${schema}.${name}`
      this.#options.onEntry?.({ path, kind: 'file', mode: 0o600, mtime: { s: 0, ns: 0 }, size: 0 }, its)
    }
    if (this.#dryRun) return this.#outcome
    await this.#loader?.done()
    this.#options.onStep?.('indexes, keys and constraints')
    const jobs = this.#settings.parallel ?? CONNECTIONS
    await this.#restore(['--section=post-data', `--jobs=${jobs}`, ...this.#list()])
    this.#options.onStep?.('counting rows')
    await this.#compare(tables)
    if (!this.#into) await this.#giveName(about)
    this.#created = false
    return this.#outcome
  }

  async #compare(tables: AboutPostgres['tables']): Promise<void> {
    const rows = new Map((this.#totals?.tables ?? []).map((each) => [`${each.schema}.${each.name}`, each.rows]))
    const known = tables.filter(({ schema, name }) => rows.has(`${schema}.${name}`))
    if (known.length === 0) return
    const counts = await sql(known.map(countOf).join('\n'), this.#here)
    for (const [at, { schema, name }] of known.entries())
      if (Number(counts[at]) !== rows.get(`${schema}.${name}`))
        throw new AppError(
          'backup.damaged',
          `${schema}.${name} has ${counts[at]} rows after the restore, and had ${rows.get(`${schema}.${name}`)}`,
        )
  }

  async #giveName({ settings }: AboutPostgres): Promise<void> {
    const name = this.#name
    const place = this.#place
    for (const session of this.#sessions.splice(0)) await session[Symbol.asyncDispose]()
    for (const setting of this.#part === undefined ? settings : []) {
      const at = setting.indexOf('=')
      await sql(
        `alter database ${identifier(place)} set ${setting.slice(0, at)} to ${/^(search_path|temp_tablespaces|session_preload_libraries|local_preload_libraries)=/.test(setting) ? setting.slice(at + 1) : literal(setting.slice(at + 1))};`,
        this.#maintenance,
      ).catch((error: unknown) => this.#options.onWarning({ code: 'settings', message: String(error) }))
    }
    if (this.#exists) {
      const old = `${name}_before_${this.#suffix}`
      const users = await sql(
        `select count(*) from pg_stat_activity where datname = ${literal(name)};`,
        this.#maintenance,
      )
      if (users[0] !== '0') throw new AppError('target.in-use', `${users[0]} sessions use the database ${name}`)
      await sql(`alter database ${identifier(name)} rename to ${identifier(old)};`, this.#maintenance)
      this.#options.onWarning({ code: 'note', message: `the database that was there is now called ${old}` })
    }
    await sql(`alter database ${identifier(place)} rename to ${identifier(name)};`, this.#maintenance)
  }

  async close(): Promise<void> {
    await Promise.all(this.#sessions.map(async (session) => session[Symbol.asyncDispose]()))
    rmSync(this.#dir, { recursive: true, force: true })
    if (!this.#created) return
    const { signal: _, ...maintenance } = this.#maintenance
    try {
      if (this.#into) await this.#part?.undo()
      else await sql(`drop database if exists ${identifier(this.#place)};`, maintenance)
    } catch (error) {
      this.#options.onWarning({ code: 'left', message: `${this.#place} could not be tidied: ${String(error)}` })
    }
  }
}
