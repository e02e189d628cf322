/**
 * What is in a backup, as a SQLite file on this machine: made at the first look, so that each further one, of any folder
 * of a million files, is a short query. A cache: may be deleted at any time. It holds names, also of encrypted vaults.
 */
import { createHash, randomBytes } from 'node:crypto'
import { existsSync, readdirSync, renameSync, rmSync, statSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as yieldToOthers } from 'node:timers/promises'
import { makeFolders } from '../base/folders.ts'
import { openDatabase, type Database } from '../base/sqlite.ts'
import type { Entry } from '../model/entry.ts'
import type { TreeIndex, TreeIndexes, TreeItem, TreePage } from '../model/tree-index.ts'
import type { Vault } from '../model/vault.ts'

/** Of all files together; the ones looked at longest ago go first. */
const MOST_BYTES = 2 * 1024 ** 3
const MOST_OPEN = 16
const BATCH = 5000
/** Names that a search looks through before it lets others work. */
const SEARCH_STEP = 50_000
const VERSION = 1

interface Row {
  id: number
  parent: number
  file: number
  name: string
  kind: string
  size: number
  mtime: number
  mode: number
  target: string | null
  digest: string | null
  children: number | null
}

export function treeIndexes(folder: string): TreeIndexes {
  const open = new Map<string, TreeIndex & { close(): void }>()
  const making = new Map<string, Promise<void>>()

  async function get(vault: Vault, backup: string): Promise<TreeIndex> {
    const key = createHash('sha256')
      .update(JSON.stringify([VERSION, vault.name, backup]))
      .digest('hex')
      .slice(0, 32)
    const known = open.get(key)
    if (known !== undefined) {
      open.delete(key)
      open.set(key, known)
      return known
    }
    const path = join(folder, `${key}.db`)
    if (!existsSync(path)) {
      const made = making.get(key) ?? make(vault, backup, path).finally(() => making.delete(key))
      making.set(key, made)
      await made
    }
    const now = new Date()
    utimesSync(path, now, now)
    const raced = open.get(key)
    if (raced !== undefined) return raced
    const index = indexOf(openDatabase(path, { readOnly: true }))
    open.set(key, index)
    for (const [oldest, one] of open) {
      if (open.size <= MOST_OPEN) break
      one.close()
      open.delete(oldest)
    }
    return index
  }

  async function make(vault: Vault, backup: string, path: string): Promise<void> {
    makeFolders(folder, 0o700)
    trim()
    const temporary = `${path}.${randomBytes(4).toString('hex')}.new`
    try {
      await build(vault.entries(backup), temporary)
      renameSync(temporary, path)
    } finally {
      for (const file of [temporary, `${temporary}-journal`]) rmSync(file, { force: true })
    }
  }

  function trim(): void {
    const files = readdirSync(folder).flatMap((name) => {
      const stat = statSync(join(folder, name), { throwIfNoEntry: false })
      return stat === undefined ? [] : [{ name, bytes: stat.size, at: stat.mtimeMs }]
    })
    let bytes = files.reduce((sum, file) => sum + file.bytes, 0)
    for (const file of files.sort((a, b) => a.at - b.at)) {
      const left = file.name.endsWith('.new') && Date.now() - file.at > 86_400_000
      if (bytes <= MOST_BYTES && !left) continue
      if (open.has(file.name.slice(0, -3))) continue
      rmSync(join(folder, file.name), { force: true })
      bytes -= file.bytes
    }
  }

  return {
    get,
    has: (vault, backup) =>
      existsSync(
        join(
          folder,
          `${createHash('sha256')
            .update(JSON.stringify([VERSION, vault, backup]))
            .digest('hex')
            .slice(0, 32)}.db`,
        ),
      ),
    close() {
      for (const one of open.values()) one.close()
      open.clear()
    },
  }
}

/** Entries come parents first, in path order; folders that are not told are made up. */
async function build(entries: AsyncIterable<Entry>, path: string): Promise<void> {
  using database = openDatabase(path)
  database.exec(`PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;
    CREATE TABLE item (id INTEGER PRIMARY KEY, parent INTEGER NOT NULL, file INTEGER NOT NULL, name TEXT NOT NULL,
      kind TEXT NOT NULL, size INTEGER NOT NULL, mtime INTEGER NOT NULL, mode INTEGER NOT NULL, target TEXT, digest TEXT,
      children INTEGER) STRICT;
    BEGIN`)
  const insert = database.prepare('INSERT INTO item VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)')
  const setChildren = database.prepare('UPDATE item SET children = ? WHERE id = ?')
  const stack: { path: string; id: number; children: number }[] = [{ path: '', id: 0, children: 0 }]
  let next = 1
  const add = (parent: { id: number; children: number }, name: string, entry: Omit<Entry, 'path'>): number => {
    parent.children += 1
    insert.run(
      next,
      parent.id,
      entry.kind === 'directory' ? 0 : 1,
      name,
      entry.kind,
      entry.size,
      entry.mtime.s * 1000 + Math.floor(entry.mtime.ns / 1e6),
      entry.mode,
      entry.linkTarget ?? null,
      entry.digest ?? null,
    )
    next += 1
    return next - 1
  }
  const leave = (): void => {
    const folder = stack.pop()
    if (folder !== undefined) setChildren.run(folder.children, folder.id)
  }
  const top = () => stack.at(-1) as (typeof stack)[number]
  insert.run(0, -1, 0, '', 'directory', 0, 0, 0, null, null)
  let count = 0
  for await (const entry of entries) {
    const parts = entry.path.split('/')
    while (stack.length > 1 && !entry.path.startsWith(`${top().path}/`)) leave()
    for (let depth = stack.length; depth < parts.length; depth += 1) {
      const name = parts[depth - 1] as string
      const folder = parts.slice(0, depth).join('/')
      const id = add(top(), name, { kind: 'directory', size: 0, mtime: { s: 0, ns: 0 }, mode: 0o755 })
      stack.push({ path: folder, id, children: 0 })
    }
    const id = add(top(), parts.at(-1) as string, entry)
    if (entry.kind === 'directory') stack.push({ path: entry.path, id, children: 0 })
    count += 1
    if (count % BATCH === 0) {
      database.exec('COMMIT; BEGIN')
      await yieldToOthers()
    }
  }
  while (stack.length > 0) leave()
  database.exec('COMMIT; CREATE UNIQUE INDEX item_place ON item (parent, file, name)')
}

function indexOf(database: Database): TreeIndex & { close(): void } {
  const sql = {
    child: database.prepare('SELECT * FROM item WHERE parent = ? AND file IN (0, 1) AND name = ?'),
    item: database.prepare('SELECT * FROM item WHERE id = ?'),
    page: database.prepare('SELECT * FROM item WHERE parent = ? AND (file, name) > (?, ?) ORDER BY file, name LIMIT ?'),
    last: database.prepare('SELECT max(id) AS id FROM item'),
    search: database.prepare(
      `SELECT * FROM item WHERE id > ? AND id <= ? AND instr(lower(name), ?) > 0 ORDER BY id LIMIT ?`,
    ),
  }
  const root: Row = sql.item.get(0) as unknown as Row

  function find(path: string): Row | undefined {
    let row: Row | undefined = root
    for (const name of path === '' ? [] : path.split('/'))
      row = row && (sql.child.get(row.id, name) as unknown as Row | undefined)
    return row
  }

  function pathOf(row: Row): string {
    const names = [row.name]
    for (let at = row.parent; at > 0;) {
      const above = sql.item.get(at) as unknown as Row
      names.unshift(above.name)
      at = above.parent
    }
    return names.join('/')
  }

  return {
    item(path) {
      const row = find(path)
      return row && itemOf(row, path)
    },
    folder(path, { after, limit }): TreePage | undefined {
      const folder = find(path)
      if (folder === undefined || folder.kind !== 'directory') return undefined
      const [file, name] = after ?? [-1, '']
      const rows = sql.page.all(folder.id, file, name, limit + 1) as unknown as Row[]
      const shown = rows.slice(0, limit)
      const last = shown.at(-1)
      return {
        items: shown.map((row) => itemOf(row, path === '' ? row.name : `${path}/${row.name}`)),
        total: folder.children ?? 0,
        ...(rows.length > limit && last && { next: [last.file, last.name] as [number, string] }),
      }
    },
    async search(text, { under, after, limit, signal }) {
      const start = find(under)
      if (start === undefined) return undefined
      const wanted = text.toLowerCase()
      const last = (sql.last.get() as { id: number }).id
      const found: TreeItem[] = []
      // What is in a folder follows it, in path order.
      let at = Math.max(after ?? 0, start.id)
      while (at < last && found.length <= limit) {
        signal?.throwIfAborted()
        const until = Math.min(at + SEARCH_STEP, last)
        const rows = sql.search.all(at, until, wanted, limit + 1 - found.length) as unknown as Row[]
        for (const row of rows) {
          const path = pathOf(row)
          if (under !== '' && !path.startsWith(`${under}/`)) return { items: found.slice(0, limit) }
          found.push({ ...itemOf(row, path), id: row.id } as TreeItem & { id: number })
        }
        at = until
        await yieldToOthers()
      }
      const items = found.slice(0, limit)
      const next = (items.at(-1) as (TreeItem & { id: number }) | undefined)?.id
      return { items, ...(found.length > limit && next !== undefined && { next }) }
    },
    close: () => database.close(),
  }
}

const itemOf = (row: Row, path: string): TreeItem => ({
  name: row.name,
  path,
  kind: row.kind as TreeItem['kind'],
  size: row.size,
  mtime: new Date(row.mtime),
  mode: row.mode,
  ...(row.target !== null && { target: row.target }),
  ...(row.digest !== null && { digest: row.digest }),
  ...(row.children !== null && { children: row.children }),
})
