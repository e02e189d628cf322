import { randomBytes } from 'node:crypto'
import { AppError, ERRORS, isAppError, type ErrorCode } from '../../base/errors.ts'
import { throwIfAborted } from '../../base/streams.ts'
import type { DatabaseTargetSettings } from '../../model/databases.ts'
import type { Entry, RestoredEntry } from '../../model/entry.ts'
import type { RestoreOutcome, Target, WriteTargetOptions } from '../../model/source.ts'
import { folderName, matchesAny, nameOfFolder } from '../names.ts'
import { bytesOf, contentOf, nameOf, noOutcome } from '../restored.ts'
import { SHAPE } from '../shape.ts'
import type { Connection } from './connection.ts'
import {
  ABOUT,
  isPiece,
  OBJECTS,
  parseAbout,
  parseTotals,
  SEQUENCES,
  TABLE,
  TOTALS,
  TRIGGERS,
  USERS,
  type AboutMysql,
  type Totals,
} from './layout.ts'
import { insertStatements, loader, type Loader } from './loader.ts'
import { createDatabase, dropTriggers, existing, moveDatabaseAside, moveTables, type Existing } from './placing.ts'
import { connect, serverOf, type Server } from './server.ts'
import { identifier, SETTINGS, splitStatements } from './sql-text.ts'

const CONNECTIONS = 2

/**
 * One database, or some of its tables. They are made in a database of its own, filled, counted and compared, and then moved
 * to their place; what was there is moved aside and kept.
 */
export function mysqlTarget(settings: DatabaseTargetSettings): Target {
  const { from, only, globals } = settings
  const ours = ({ kind, path }: Entry): boolean =>
    kind === 'file' && (from === undefined || path.startsWith(`${folderName(from)}/`))
  const chosen = ({ path }: Entry): boolean =>
    only === undefined || matchesAny(only, nameOfFolder(path.split('/').at(-2) ?? ''))
  const named =
    (...names: string[]) =>
    (entry: Entry): boolean =>
      names.includes(nameOf(entry)) && ours(entry)
  return {
    name: settings.database ?? from ?? 'mysql',
    rounds: [
      named(ABOUT, TOTALS),
      ...(globals === true ? [({ path }: Entry): boolean => path === USERS] : []),
      // Defaults of columns may name sequences.
      (entry) => only === undefined && named(SEQUENCES)(entry),
      (entry) => named(TABLE)(entry) && chosen(entry),
      (entry) => isPiece(nameOf(entry)) && ours(entry) && chosen(entry),
      (entry) => (named(TRIGGERS)(entry) && chosen(entry)) || (only === undefined && named(OBJECTS)(entry)),
    ],
    write: async (entries, options) => {
      try {
        return await write(settings, entries, options)
      } catch (error) {
        throw asTargetError(error)
      }
    },
  }
}

const CODES: Partial<Record<ErrorCode, ErrorCode>> = {
  'source.denied': 'target.denied',
  'source.unreachable': 'target.unreachable',
  'source.incomplete': 'restore.failed',
  'source.failed': 'restore.failed',
  'source.not-found': 'restore.failed',
}

function asTargetError(error: unknown): unknown {
  if (!isAppError(error)) return error
  const code = CODES[error.code]
  if (code === undefined) return error
  const hint =
    code === 'target.denied'
      ? 'The user of a restore needs ALL on the database and on `holdfast\\_restore\\_%`; for definitions of other users SET USER, or say --no-ownership.'
      : error.hint
  const own = hint !== ERRORS[error.code].hint
  return new AppError(code, error.message, { cause: error, details: error.details, ...(own && { hint }) })
}

async function write(
  settings: DatabaseTargetSettings,
  entries: AsyncIterable<RestoredEntry>,
  options: WriteTargetOptions,
): Promise<RestoreOutcome> {
  const server = await serverOf(settings.server)
  await using main = await connect(server, options.signal)
  const restore = new Restore(settings, server, main, options)
  try {
    for await (const entry of entries) {
      throwIfAborted(options.signal)
      await restore.take(entry)
    }
    return await restore.finish()
  } finally {
    await restore.close()
  }
}

class Restore {
  readonly #settings: DatabaseTargetSettings
  readonly #server: Server
  readonly #main: Connection
  readonly #options: WriteTargetOptions
  readonly #suffix = randomBytes(4).toString('hex')
  readonly #outcome = noOutcome()
  readonly #tables: string[] = []
  readonly #later: string[] = []
  #lanes: Connection[] = []
  #loader: Loader | undefined
  #about: AboutMysql | undefined
  #totals: Totals | undefined
  #there: Existing | undefined
  #made = false
  #checked = false

  constructor(settings: DatabaseTargetSettings, server: Server, main: Connection, options: WriteTargetOptions) {
    this.#settings = settings
    this.#server = server
    this.#main = main
    this.#options = options
  }

  get #scratch(): string {
    return `holdfast_restore_${this.#suffix}`
  }

  get #name(): string {
    return this.#settings.database ?? this.#server.database ?? this.#known().database
  }

  #known(): AboutMysql {
    if (this.#about !== undefined) return this.#about
    throw new AppError('backup.not-found', 'there is no MySQL or MariaDB database in what was asked for')
  }

  async take(entry: RestoredEntry): Promise<void> {
    const name = nameOf(entry)
    if (name === ABOUT) return this.#describe(parseAbout(await bytesOf(entry), entry.path))
    if (name === TOTALS) {
      this.#totals = parseTotals(await bytesOf(entry), entry.path)
      return undefined
    }
    if (name === SHAPE) return undefined
    if (entry.path === USERS) return this.#users(await bytesOf(entry))
    if (!this.#made) await this.#begin()
    this.#outcome.bytes += entry.size
    if (name === TABLE) this.#tables.push(nameOfFolder(entry.path.split('/').at(-2) ?? ''))
    if (this.#settings.dryRun === true) return undefined
    if (isPiece(name)) {
      if (!this.#checked) this.#checkPlace()
      this.#checked = true
      return this.#load(entry)
    }
    const statements = splitStatements(Buffer.from(await bytesOf(entry)).toString(), entry.path)
    if (name === TRIGGERS) this.#later.push(...statements)
    else if (name === OBJECTS) this.#later.unshift(...statements)
    else for (const statement of statements) await this.#main.run(statement)
    return undefined
  }

  #describe(about: AboutMysql): void {
    if (this.#about !== undefined)
      throw new AppError('usage.invalid', 'there are several databases in this backup', {
        hint: `Name one with --from-database, such as ${this.#about.database} or ${about.database}.`,
      })
    this.#about = about
  }

  async #users(bytes: Uint8Array): Promise<void> {
    if (this.#settings.dryRun === true) return
    for (const statement of splitStatements(Buffer.from(bytes).toString(), USERS))
      await this.#main.run(statement).catch((error: unknown) => {
        if (!isAppError(error)) throw error
        this.#options.onWarning({ code: 'users', message: error.message })
      })
  }

  async #begin(): Promise<void> {
    const about = this.#known()
    this.#there = await existing(this.#main, this.#name)
    this.#made = true
    if (this.#settings.dryRun === true) return
    await createDatabase(this.#main, this.#scratch, about)
    await this.#main.run(`USE ${identifier(this.#scratch)}`)
    await this.#main.run(SETTINGS.trim())
    for (let lane = this.#settings.parallel ?? CONNECTIONS; lane > 0; lane -= 1) {
      const connection = await connect(this.#server, this.#options.signal)
      this.#lanes.push(connection)
      await connection.run(SETTINGS.trim())
      await connection.run(`USE ${identifier(this.#scratch)}`)
    }
    this.#loader = await loader(this.#lanes)
  }

  async #load(entry: RestoredEntry): Promise<void> {
    for await (const statement of insertStatements(contentOf(entry), entry.path)) {
      await this.#loader?.run(statement)
      this.#options.onBytes?.(statement.length)
    }
  }

  /** Before the first row, and once all tables are known: what is in the way. */
  #checkPlace(): string[] {
    const { only, dryRun, replace } = this.#settings
    const { tables = [], views = [], sequences = [] } = this.#there ?? {}
    const taken =
      only === undefined ? [...tables, ...views, ...sequences] : this.#tables.filter((table) => tables.includes(table))
    if (taken.length > 0 && replace !== true && dryRun !== true)
      throw new AppError(
        'restore.exists',
        `${this.#server.name} has ${taken.length === 1 ? taken[0] : `${taken.length} tables or views`} in ${this.#name} already`,
        {
          hint: 'Choose another name with --database, or say --overwrite always: what is there is then moved to another database and kept.',
        },
      )
    return taken
  }

  async finish(): Promise<RestoreOutcome> {
    const about = this.#known()
    const { only, dryRun } = this.#settings
    if (!this.#made) await this.#begin()
    if (only !== undefined && this.#tables.length === 0)
      throw new AppError('backup.not-found', `no table of ${about.database} is called ${only.join(' or ')}`, {
        hint: `There are: ${about.tables
          .slice(0, 20)
          .map(({ name }) => name)
          .join(', ')}.`,
      })
    const taken = this.#checkPlace()
    for (const table of this.#tables) {
      const effect = taken.includes(table) ? 'replace' : 'create'
      this.#outcome.files += 1
      this.#outcome.effects[effect] += 1
      this.#options.onEntry?.(
        { path: `${this.#name}/${table}`, kind: 'file', mode: 0o600, mtime: { s: 0, ns: 0 }, size: 0 },
        effect,
      )
    }
    if (dryRun === true) return this.#outcome
    await this.#loader?.done()
    this.#options.onStep?.('counting rows')
    await this.#compare()
    await this.#place(taken)
    return this.#outcome
  }

  async #compare(): Promise<void> {
    for (const { name, rows } of this.#totals?.tables ?? []) {
      if (!this.#tables.includes(name)) continue
      const [[count] = []] = await this.#main.query(
        `SELECT COUNT(*) FROM ${identifier(this.#scratch)}.${identifier(name)}`,
      )
      if (Number(count) !== rows)
        throw new AppError('backup.damaged', `${name} has ${count} rows after the restore, and had ${rows}`)
    }
  }

  async #place(taken: readonly string[]): Promise<void> {
    const { only, ownership } = this.#settings
    const { onWarning } = this.#options
    const main = this.#main
    const name = this.#name
    const aside = `${name}_before_${this.#suffix}`
    if (this.#there === undefined) await createDatabase(main, name, this.#known())
    else if (taken.length > 0 && only === undefined) await moveDatabaseAside(main, name, aside, onWarning)
    const moved = only === undefined ? [] : taken
    if (moved.length > 0) {
      await createDatabase(main, aside, this.#known())
      const dropped = await dropTriggers(main, name, moved)
      onWarning({
        code: 'note',
        message: `what was there is now in the database ${aside}: ${moved.join(', ')}${dropped.length > 0 ? `, without the triggers ${dropped.join(', ')}` : ''}`,
      })
    }
    const sequences = (await existing(main, this.#scratch))?.sequences ?? []
    await moveTables(main, [
      ...moved.map((table) => ({ from: name, to: aside, table })),
      ...[...this.#tables, ...sequences].map((table) => ({ from: this.#scratch, to: name, table })),
    ])
    await main.run(`USE ${identifier(name)}`)
    for (const statement of this.#later) {
      const text = ownership === false ? statement.replace(/^(CREATE [^\n]*?)DEFINER=\S+@\S+ /, '$1') : statement
      await main.run(text).catch((error: unknown) => {
        throw isAppError(error, 'source.incomplete')
          ? new AppError(
              'restore.failed',
              `tables are in place in ${name}, but not all of the rest: ${error.message}`,
              { cause: error },
            )
          : error
      })
    }
  }

  async close(): Promise<void> {
    for (const lane of this.#lanes) lane.destroy()
    if (!this.#made || this.#settings.dryRun === true) return
    try {
      await using connection = await connect(this.#server)
      await connection.run(`DROP DATABASE IF EXISTS ${identifier(this.#scratch)}`)
    } catch (error) {
      this.#options.onWarning({
        code: 'left',
        message: `the database ${this.#scratch} could not be removed: ${String(error)}`,
      })
    }
  }
}
