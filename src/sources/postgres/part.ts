/** Some tables of a dump, into a database of their own or into one that is there. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { AppError } from '../../base/errors.ts'
import { runProgram } from '../../base/program.ts'
import type { ReportWarning } from '../../model/progress.ts'
import { identifier, literal, sql, type SqlOptions } from './connect.ts'
import type { TableName } from './layout.ts'
import { exactly } from './tables.ts'
import { parseToc, partOf, type TocEntry } from './toc.ts'

export interface PartOptions {
  pgRestore: string
  archive: string
  dir: string
  patterns: readonly string[]
  /** The database that they go into; absent: a new one. */
  into?: SqlOptions
  replace: boolean
  dryRun: boolean
  suffix: string
  onWarning: ReportWarning
}

export interface PartPlan {
  /** A file for pg_restore --use-list. */
  list: string
  has(table: TableName): boolean
  /** `schema.name` of what is there already. */
  inTheWay: ReadonlySet<string>
  moveAside(): Promise<void>
  /** After a failure: what was made goes, what was moved comes back. */
  undo(): Promise<void>
}

export async function preparePart(options: PartOptions): Promise<PartPlan> {
  const { into, suffix, onWarning } = options
  const listing = await runProgram({
    program: options.pgRestore,
    args: ['--list', '--verbose', options.archive],
    failure: 'restore.failed',
  })
  const toc = parseToc(listing.toString())
  const there = into === undefined ? new Set<TocEntry>() : await thereAlready(toc, into)
  const { entries, relations, leftOut } = partOf(toc, options.patterns, (entry) => there.has(entry))
  for (const what of leftOut) onWarning({ code: 'note', message: `left out: ${what}` })
  const names = new Set(relations.map(({ schema, name }) => `${schema}.${name}`))
  const blocking = relations.filter(({ schema, name }) =>
    [...there].some((entry) => entry.schema === schema && entry.tag === name && /TABLE|VIEW/.test(entry.kind)),
  )
  if (blocking.length > 0 && !options.replace && !options.dryRun)
    throw new AppError(
      'restore.exists',
      `${into?.database ?? ''} has ${blocking.map((each) => `${each.schema}.${each.name}`).join(', ')} already`,
      {
        hint: 'Restore to a new database with --database, or say --overwrite always: what is there then moves to a schema of its own, and is kept.',
      },
    )
  const list = join(options.dir, 'list')
  writeFileSync(list, entries.map(({ line }) => `${line}\n`).join(''), { mode: 0o600 })
  const aside = `before_${suffix}`
  let moved = false

  return {
    list,
    has: ({ schema, name }) => names.has(`${schema}.${name}`),
    inTheWay: new Set(blocking.map(({ schema, name }) => `${schema}.${name}`)),
    async moveAside() {
      if (into === undefined || blocking.length === 0) return
      const keys = await sql(
        `select conrelid::regclass || '.' || conname from pg_constraint where contype = 'f' and confrelid in (${blocking.map((each) => regclass(each)).join(', ')}) and conrelid <> confrelid;`,
        into,
      )
      // One transaction: all of them or none.
      await sql(
        `begin; create schema ${identifier(aside)}; ${blocking.map((each) => `alter ${alterKind(each.kind)} ${exactly(each)} set schema ${identifier(aside)};`).join(' ')} commit;`,
        into,
      )
      moved = true
      onWarning({
        code: 'note',
        message: `what was there is now in the schema ${aside}: ${blocking.map(({ name }) => name).join(', ')}${keys.length > 0 ? `; foreign keys still point there: ${keys.join(', ')}` : ''}`,
      })
    },
    async undo() {
      if (into === undefined) return
      const { signal: _, ...uncancelled } = into
      const made = relations.map((each) => `drop ${alterKind(each.kind)} if exists ${exactly(each)} cascade;`)
      const back = moved
        ? [
            ...blocking.map(
              (each) =>
                `alter ${alterKind(each.kind)} ${exactly({ schema: aside, name: each.name })} set schema ${identifier(each.schema)};`,
            ),
            `drop schema ${identifier(aside)};`,
          ]
        : []
      // What was there and did not have to move was never touched.
      const own = moved || blocking.length === 0 ? made : []
      await sql(`begin; ${[...own, ...back].join(' ')} commit;`, uncancelled)
    },
  }
}

const alterKind = (kind: string): string => kind.toLowerCase()
const regclass = (table: TableName): string => `${literal(exactly(table))}::regclass`

/** Which entries of a dump a database has already, by kind and name. */
async function thereAlready(toc: readonly TocEntry[], into: SqlOptions): Promise<Set<TocEntry>> {
  const asked: { entry: TocEntry; test: string }[] = []
  for (const entry of toc) {
    const test = existence(entry)
    if (test !== undefined) asked.push({ entry, test })
  }
  if (asked.length === 0) return new Set()
  const answers = await sql(asked.map(({ test }) => `select (${test}) is not null;`).join('\n'), into)
  return new Set(asked.filter((_, at) => answers[at] === 't').map(({ entry }) => entry))
}

function existence({ kind, schema, tag }: TocEntry): string | undefined {
  const name = literal(exactly({ schema: schema ?? 'public', name: tag }))
  switch (kind) {
    case 'SCHEMA':
      return `to_regnamespace(${literal(identifier(tag))})`
    case 'EXTENSION':
      return `(select oid from pg_extension where extname = ${literal(tag)})`
    case 'TYPE':
    case 'SHELL TYPE':
    case 'DOMAIN':
      return `to_regtype(${name})`
    case 'TABLE':
    case 'VIEW':
    case 'MATERIALIZED VIEW':
    case 'FOREIGN TABLE':
    case 'SEQUENCE':
      return `to_regclass(${name})`
    case 'FUNCTION':
    case 'PROCEDURE':
    case 'AGGREGATE':
      // The tag of a routine is its name with the types of its arguments.
      return `to_regprocedure(${literal(`${identifier(schema ?? 'public')}.${tag}`)})`
    case 'COLLATION':
      return `to_regcollation(${name})`
    default:
      return undefined
  }
}
