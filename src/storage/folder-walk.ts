import { compareKeys } from '../base/keys.ts'
import { throwIfAborted } from '../base/streams.ts'

/** What a folder holds. Names of folders end in `/`, which also sorts them as their keys sort. */
export interface Named {
  name: string
  size: number
  modified: Date
  etag?: string
}

export interface Found extends Omit<Named, 'name'> {
  /** Relative to the root. */
  key: string
}

/** Folders are asked for so far ahead of the one that is listed. */
const AHEAD = 8

/**
 * Every file below a root whose key starts with `prefix` and whose name is wanted, in byte order of the keys, for
 * storages that tell of one folder at a time. `folderOf` takes '' or a path that ends in `/`, and gives nothing for what
 * is not there. Holds the names of some folders, no more.
 */
export async function* walkFolders(
  folderOf: (folder: string) => Promise<Named[]>,
  prefix: string,
  wanted: (name: string) => boolean,
  signal: AbortSignal | undefined,
): AsyncGenerator<Found> {
  async function namesOf(folder: string): Promise<Named[]> {
    const leads = ({ name }: Named): boolean =>
      `${folder}${name}`.startsWith(prefix) || prefix.startsWith(`${folder}${name}`)
    return (await folderOf(folder)).filter(leads).sort((a, b) => compareKeys(a.name, b.name))
  }
  /** Nobody may listen yet to what is asked for ahead. */
  function ask(folder: string): Promise<Named[]> {
    const asked = namesOf(folder)
    asked.catch(() => undefined)
    return asked
  }

  async function* walk(folder: string, asked: Promise<Named[]>): AsyncGenerator<Found> {
    const names = await asked
    const below = names.filter(({ name }) => name.endsWith('/')).map(({ name }) => folder + name)
    const ahead = new Map<string, Promise<Named[]>>()
    let next = 0
    for (const { name, ...found } of names) {
      throwIfAborted(signal)
      const key = folder + name
      if (!name.endsWith('/')) {
        if (wanted(name)) yield { key, ...found }
        continue
      }
      for (; next < below.length && ahead.size < AHEAD; next += 1) ahead.set(below[next] ?? '', ask(below[next] ?? ''))
      const listing = ahead.get(key) ?? ask(key)
      ahead.delete(key)
      yield* walk(key, listing)
    }
  }
  const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1)
  yield* walk(folder, ask(folder))
}
