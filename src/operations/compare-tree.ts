/** Whether a restored tree is what the backup recorded: by what the file system says now, not by what we wrote. */
import { lstatSync, readlinkSync } from 'node:fs'
import { displayPath, fsPath, pathFromBytes } from '../base/paths.ts'
import type { Entry } from '../model/entry.ts'

const SHOWN = 50

export async function compareTree(
  entries: AsyncIterable<Entry>,
  root: string,
): Promise<{ compared: number; different: string[] }> {
  const different: string[] = []
  let compared = 0
  for await (const entry of entries) {
    compared += 1
    const problem = compareOne(entry, `${root}/${entry.path}`)
    if (problem !== undefined && different.length < SHOWN) different.push(`${displayPath(entry.path)}: ${problem}`)
  }
  return { compared, different }
}

function compareOne(entry: Entry, place: string): string | undefined {
  const stat = lstatSync(fsPath(place), { bigint: true, throwIfNoEntry: false })
  if (stat === undefined) return 'is missing'
  const kind = stat.isFile() ? 'file' : stat.isDirectory() ? 'directory' : stat.isSymbolicLink() ? 'symlink' : 'special'
  const expected = ['file', 'directory', 'symlink'].includes(entry.kind) ? entry.kind : 'special'
  if (kind !== expected) return `is a ${kind}, not a ${expected}`
  if (kind === 'file' && entry.hardlink === undefined && Number(stat.size) !== entry.size)
    return `has ${stat.size} bytes, not ${entry.size}`
  if (kind === 'symlink') {
    const target = pathFromBytes(readlinkSync(fsPath(place), { encoding: 'buffer' }))
    return target === entry.linkTarget ? undefined : 'links elsewhere'
  }
  const privileged = process.getuid?.() === 0
  const mask = privileged ? 0o7777n : 0o777n
  if (((stat.mode ^ BigInt(entry.mode)) & mask) !== 0n)
    return `has mode ${(stat.mode & 0o7777n).toString(8)}, not ${entry.mode.toString(8)}`
  if (Math.abs(Number(stat.mtimeMs) / 1000 - entry.mtime.s) > 1.5) return 'has another modification time'
  return undefined
}
