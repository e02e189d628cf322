import { execFileSync } from 'node:child_process'
import {
  closeSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { RestoredEntry, SourceEntry } from '../../src/model/entry.ts'
import type { FilesSettings } from '../../src/model/job.ts'
import type { Warning } from '../../src/model/progress.ts'
import { files, type FilesEnvironment } from '../../src/sources/files/index.ts'

/** A temporary folder that goes when the test ends. */
export function scratch(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'holdfast-files-'))
  // `rm` also removes what is too deep for one path.
  t.after(() => execFileSync('sh', ['-c', 'chmod -R u+rwX "$1" 2>/dev/null; rm -rf "$1"', 'sh', dir]))
  return dir
}

export interface ReadTree {
  /** With contents in memory. */
  entries: (SourceEntry & { content?: Buffer })[]
  warnings: Warning[]
  facts: Record<string, unknown>
}

/** Reads a files source to its end, contents included, as a backup does. */
export async function readTree(settings: FilesSettings, environment: FilesEnvironment = {}): Promise<ReadTree> {
  const warnings: Warning[] = []
  const reading = await files(settings, environment).read({ onWarning: (warning) => warnings.push(warning) })
  const entries: ReadTree['entries'] = []
  try {
    for await (const entry of reading.entries()) {
      // Opened first: that tells the attributes.
      const content = entry.open && (await contentOf(entry))
      entries.push(content === undefined ? entry : { ...entry, content })
    }
    return { entries, warnings, facts: reading.facts?.() ?? {} }
  } finally {
    await reading.close()
  }
}

/** The whole content; of a sparse file the holes are filled in, as they must be. */
export async function contentOf(entry: SourceEntry): Promise<Buffer> {
  const { extents } = entry
  const reader = await entry.open?.()
  const parts: Buffer[] = []
  try {
    for (let buffer = Buffer.alloc(65_536); ; buffer = Buffer.alloc(65_536)) {
      const count = (await reader?.read(buffer)) ?? 0
      if (count === 0) break
      parts.push(buffer.subarray(0, count))
    }
  } finally {
    await reader?.close()
  }
  const bytes = Buffer.concat(parts)
  if (extents === undefined) return bytes
  const whole = Buffer.alloc(entry.size)
  let at = 0
  for (const [offset, length] of extents) {
    bytes.copy(whole, offset, at, at + length)
    at += length
  }
  return whole
}

/** Entries as a vault gives them back, in that order. */
export async function* restored(
  entries: readonly (SourceEntry & { content?: Buffer })[],
): AsyncGenerator<RestoredEntry> {
  for (const { content, ...given } of entries) {
    const entry: RestoredEntry = { ...given, open: undefined }
    delete (entry as Partial<SourceEntry>).extents
    yield content === undefined ? entry : { ...entry, size: content.length, open: () => chunks(content) }
  }
}

export async function* chunks(content: Buffer, size = 100_000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < content.length; at += size) yield content.subarray(at, at + size)
}

/** The paths below `folder` (an absolute path), relative to it. */
export const pathsBelow = (tree: ReadTree, folder: string): string[] => {
  const prefix = `${folder.slice(1)}/`
  return tree.entries
    .map(({ path }) => path)
    .flatMap((path) => (path.startsWith(prefix) ? path.slice(prefix.length) : []))
}

/** Every name below a folder with what matters for a quick look: contents, targets of links, a `/` behind folders. */
export function listing(folder: string): Record<string, string> {
  const found: Record<string, string> = {}
  for (const name of (readdirSync(folder, { recursive: true }) as string[]).sort()) {
    const path = join(folder, name)
    const stat = lstatSync(path)
    if (stat.isDirectory()) found[`${name}/`] = ''
    else if (stat.isSymbolicLink()) found[name] = `-> ${readlinkSync(path)}`
    else found[name] = stat.isFile() ? readFileSync(path, 'latin1') : '(special)'
  }
  return found
}

/** Writes files below a folder: `{ 'a/b.txt': 'text' }`. */
export function plant(folder: string, contents: Record<string, string>): void {
  for (const [name, text] of Object.entries(contents)) {
    mkdirSync(join(folder, name, '..'), { recursive: true })
    if (!name.endsWith('/')) writeFileSync(join(folder, name), text)
    else mkdirSync(join(folder, name), { recursive: true })
  }
}

/** A chain of folders with names of 250 bytes, far longer than a path may be; in the last a file and a symlink. */
export function plantDeep(folder: string, depth: number): void {
  let fd = openSync(folder, 'r')
  for (let at = 0; at < depth; at += 1) {
    const next = `/proc/self/fd/${fd}/${'d'.repeat(250)}`
    mkdirSync(next)
    const below = openSync(next, 'r')
    closeSync(fd)
    fd = below
  }
  writeFileSync(`/proc/self/fd/${fd}/file`, 'deep\n')
  symlinkSync('target', `/proc/self/fd/${fd}/link`)
  closeSync(fd)
}
