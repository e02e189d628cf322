import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { BigIntStats, Dirent } from 'node:fs'
import { errno } from '../base/errors.ts'
import { compareKeys } from '../base/keys.ts'
import { throwIfAborted } from '../base/streams.ts'

export interface FoundFile {
  /** Relative to the root, with `/`. */
  key: string
  stats: BigIntStats
}

/** How many files are looked at together: enough to keep the disk busy. */
const BATCH = 64
/** How many folders are read ahead: those of packs are 256 small ones. */
const AHEAD = 16

/**
 * Every file below `root` whose key starts with `prefix` and whose name is wanted, in byte order of the keys. Holds the
 * names of some folders a level, no more. What vanishes meanwhile is left out.
 */
export async function* walk(
  root: string,
  prefix: string,
  wanted: (name: string) => boolean,
  signal: AbortSignal | undefined,
): AsyncGenerator<FoundFile> {
  const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1)
  yield* walkFolder({ root, prefix, wanted, signal }, folder, namesOf(root, folder, prefix))
}

interface Walk {
  root: string
  prefix: string
  wanted: (name: string) => boolean
  signal: AbortSignal | undefined
}

async function* walkFolder(walking: Walk, folder: string, listed: Promise<string[]>): AsyncGenerator<FoundFile> {
  const { root, prefix, wanted, signal } = walking
  const names = await listed
  throwIfAborted(signal)
  const below = names.filter((name) => name.endsWith('/'))
  const asked: Promise<string[]>[] = []
  const next = (): Promise<string[]> | undefined => {
    while (asked.length < AHEAD && below.length > 0) {
      const ahead = namesOf(root, `${folder}${below.shift()}`, prefix)
      // Whoever comes to it meets the failure.
      ahead.catch(() => undefined)
      asked.push(ahead)
    }
    return asked.shift()
  }
  for (let at = 0; at < names.length;) {
    throwIfAborted(signal)
    if (names[at]?.endsWith('/')) {
      yield* walkFolder(walking, `${folder}${names[at]}`, next() as Promise<string[]>)
      at += 1
      continue
    }
    const batch: string[] = []
    for (; batch.length < BATCH && at < names.length && !names[at]?.endsWith('/'); at += 1) batch.push(names[at] ?? '')
    const keys = batch.filter(wanted).map((name) => `${folder}${name}`)
    const stats = await Promise.all(keys.map((key) => statOf(join(root, key))))
    for (const [i, key] of keys.entries()) {
      const found = stats[i]
      if (found?.isFile()) yield { key, stats: found }
    }
  }
}

/** Names in a folder that can lead to the prefix; folders end in `/`, which also sorts them as their keys sort. */
async function namesOf(root: string, folder: string, prefix: string): Promise<string[]> {
  let entries: Dirent[]
  try {
    entries = await readdir(join(root, folder), { withFileTypes: true })
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errno(error) ?? '')) return []
    throw error
  }
  const names: string[] = []
  for (const entry of entries) {
    const name = (await isFolder(root, folder, entry)) ? `${entry.name}/` : entry.name
    const key = folder + name
    if (key.startsWith(prefix) || prefix.startsWith(key)) names.push(name)
  }
  return names.sort(compareKeys)
}

/** Links count as what they lead to: a user may keep `data` on another disk. */
async function isFolder(root: string, folder: string, entry: Dirent): Promise<boolean> {
  if (!entry.isSymbolicLink()) return entry.isDirectory()
  return (await statOf(join(root, folder, entry.name)))?.isDirectory() ?? false
}

/** Every put makes a new inode, so this changes even within one tick of the clock. */
export const etagOf = ({ mtimeNs, ino, size }: BigIntStats): string =>
  `${mtimeNs.toString(36)}-${ino.toString(36)}-${size.toString(36)}`

export async function statOf(path: string): Promise<BigIntStats | undefined> {
  try {
    return await stat(path, { bigint: true })
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errno(error) ?? '')) return undefined
    throw error
  }
}
