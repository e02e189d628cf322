/** What tables a backup of a database holds, as its own files tell: docs/formats/database-dumps.md. */
import { AppError } from '../base/errors.ts'
import type { DumpedTable } from '../model/dumped-table.ts'
import type { Entry } from '../model/entry.ts'
import type { OpenEntries } from '../model/source.ts'
import { folderName } from './names.ts'
import { bytesOf, folderOf, nameOf, wanted } from './restored.ts'

export interface DumpedContent {
  entries: () => AsyncIterable<Entry>
  open: OpenEntries
}

type Reader = (content: DumpedContent) => Promise<DumpedTable[]>

const READERS: Record<string, Reader> = { postgres, mysql, mongodb, sqlite }

/** In the order of the backup. None of a physical backup, whose tables are known when a server works on it. */
export async function dumpedTables(source: string, content: DumpedContent): Promise<DumpedTable[]> {
  const read = READERS[source]
  if (read !== undefined) return read(content)
  throw new AppError('usage.invalid', `a backup of ${source} has no tables`, {
    hint: 'What it holds are files: `holdfast ls`.',
  })
}

/** Texts of the files of that name, by their folder. */
async function filesOf({ open }: DumpedContent, isOne: (entry: Entry) => boolean): Promise<Map<string, Uint8Array>> {
  const found = new Map<string, Uint8Array>()
  for await (const entry of wanted(open, (one) => one.kind === 'file' && isOne(one)))
    found.set(entry.path, await bytesOf(entry))
  return found
}

/** Bytes below each folder that `keyOf` names. */
async function bytesBy(
  { entries }: DumpedContent,
  keyOf: (entry: Entry) => string | undefined,
): Promise<Map<string, number>> {
  const bytes = new Map<string, number>()
  for await (const entry of entries()) {
    const key = entry.kind === 'file' ? keyOf(entry) : undefined
    if (key !== undefined) bytes.set(key, (bytes.get(key) ?? 0) + entry.size)
  }
  return bytes
}

/** One without rows has no file. */
const dumped = (database: string, name: string, rows: number | undefined, bytes = 0): DumpedTable => ({
  database,
  name,
  ...(rows !== undefined && { rows }),
  bytes,
})

interface ServerLayout {
  ABOUT: string
  TABLES: string
  TOTALS: string
  isPiece: (name: string) => boolean
}

interface ServerDump {
  database: string
  /** Each with the name of its folder. */
  tables: { name: string; folder: string }[]
  rows: ReadonlyMap<string, number>
}

/** Of a layout with a folder for each database and below it one for each table; `rows` are by that folder's name. */
async function tablesOf(
  content: DumpedContent,
  { ABOUT, TABLES, TOTALS, isPiece }: ServerLayout,
  parse: (about: Uint8Array, totals: Uint8Array | undefined, path: string) => ServerDump,
): Promise<DumpedTable[]> {
  const files = await filesOf(content, (entry) => [ABOUT, TOTALS].includes(nameOf(entry)))
  const bytes = await bytesBy(content, (entry) => (isPiece(nameOf(entry)) ? folderOf(entry) : undefined))
  return [...files].flatMap(([path, text]) => {
    if (!path.endsWith(`/${ABOUT}`)) return []
    const at = path.slice(0, -ABOUT.length - 1)
    const { database, tables, rows } = parse(text, files.get(`${at}/${TOTALS}`), path)
    return tables.map(({ name, folder }) =>
      dumped(database, name, rows.get(folder), bytes.get(`${at}/${TABLES}/${folder}`)),
    )
  })
}

async function postgres(content: DumpedContent): Promise<DumpedTable[]> {
  const layout = await import('./postgres/layout.ts')
  const { parseAbout, parseTotals, tableFolder } = layout
  return tablesOf(content, layout, (about, totals, path) => {
    const { database, tables } = parseAbout(about, path)
    const counted = totals === undefined ? [] : parseTotals(totals, path).tables
    return {
      database,
      tables: tables.map((table) => ({ name: `${table.schema}.${table.name}`, folder: tableFolder(table) })),
      rows: new Map(counted.map((table) => [tableFolder(table), table.rows])),
    }
  })
}

async function mysql(content: DumpedContent): Promise<DumpedTable[]> {
  const layout = await import('./mysql/layout.ts')
  const { parseAbout, parseTotals } = layout
  return tablesOf(content, layout, (about, totals, path) => {
    const { database, tables } = parseAbout(about, path)
    const counted = totals === undefined ? [] : parseTotals(totals, path).tables
    return {
      database,
      tables: tables.map(({ name }) => ({ name, folder: folderName(name) })),
      rows: new Map(counted.map(({ name, rows }) => [folderName(name), rows])),
    }
  })
}

async function mongodb(content: DumpedContent): Promise<DumpedTable[]> {
  const { bsonPath, isAbout, parseAbout } = await import('./mongodb/layout.ts')
  const files = await filesOf(content, ({ path }) => isAbout(path))
  const bytes = await bytesBy(content, ({ path }) => path)
  return [...files].flatMap(([path, text]) =>
    parseAbout(text, path).collections.map(({ database, name, documents }) =>
      dumped(database, name, documents, bytes.get(bsonPath(database, name))),
    ),
  )
}

async function sqlite(content: DumpedContent): Promise<DumpedTable[]> {
  const { ABOUT, parseAbout } = await import('./sqlite/layout.ts')
  const files = await filesOf(content, (entry) => nameOf(entry) === ABOUT)
  return [...files].flatMap(([path, text]) => {
    const { file, tables } = parseAbout(text, path)
    // What SQLite keeps for itself was counted too.
    const own = tables.filter(({ name }) => !name.startsWith('sqlite_'))
    return own.map(({ name, rows }) => ({ database: file, name, rows }))
  })
}
