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

async function postgres(content: DumpedContent): Promise<DumpedTable[]> {
  const { ABOUT, TABLES, TOTALS, isPiece, parseAbout, parseTotals, tableFolder } = await import('./postgres/layout.ts')
  const files = await filesOf(content, (entry) => [ABOUT, TOTALS].includes(nameOf(entry)))
  const bytes = await bytesBy(content, (entry) => (isPiece(nameOf(entry)) ? folderOf(entry) : undefined))
  return [...files].flatMap(([path, text]) => {
    if (!path.endsWith(`/${ABOUT}`)) return []
    const folder = path.slice(0, -ABOUT.length - 1)
    const totals = files.get(`${folder}/${TOTALS}`)
    const rows = new Map(
      totals && parseTotals(totals, path).tables.map((table) => [tableFolder(table), table.rows] as const),
    )
    const { database, tables } = parseAbout(text, path)
    return tables.map((table) => {
      const key = tableFolder(table)
      const name = `${table.schema}.${table.name}`
      return dumped(database, name, rows.get(key), bytes.get(`${folder}/${TABLES}/${key}`))
    })
  })
}

async function mysql(content: DumpedContent): Promise<DumpedTable[]> {
  const { ABOUT, TABLES, TOTALS, isPiece, parseAbout, parseTotals } = await import('./mysql/layout.ts')
  const files = await filesOf(content, (entry) => [ABOUT, TOTALS].includes(nameOf(entry)))
  const bytes = await bytesBy(content, (entry) => (isPiece(nameOf(entry)) ? folderOf(entry) : undefined))
  return [...files].flatMap(([path, text]) => {
    if (!path.endsWith(`/${ABOUT}`)) return []
    const folder = path.slice(0, -ABOUT.length - 1)
    const totals = files.get(`${folder}/${TOTALS}`)
    const rows = new Map(totals && parseTotals(totals, path).tables.map((table) => [table.name, table.rows] as const))
    const { database, tables } = parseAbout(text, path)
    return tables.map(({ name }) =>
      dumped(database, name, rows.get(name), bytes.get(`${folder}/${TABLES}/${folderName(name)}`)),
    )
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
    return tables.map(({ name, rows }) => ({ database: file, name, rows }))
  })
}
