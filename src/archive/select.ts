/** Which entries of a backup are wanted, with the folders on the way to them and the content of hard links. */
import { isUnder } from '../base/paths.ts'
import type { EntrySelection } from '../model/vault.ts'
import type { IndexEntry } from './index-format.ts'

export function wants(selection: EntrySelection): (entry: IndexEntry) => boolean {
  const { under, want } = selection
  return (entry) => (under === undefined || isUnder(entry.path, under)) && (want === undefined || want(entry))
}

/** Yields wanted entries, each after the folders that lead to it. Entries come in path order. */
export function withFolders(want: (entry: IndexEntry) => boolean): (entry: IndexEntry) => IndexEntry[] {
  let pending: IndexEntry[] = []
  return (entry) => {
    pending = pending.filter((folder) => entry.path.startsWith(`${folder.path}/`))
    if (want(entry)) {
      const out = [...pending, entry]
      pending = []
      return out
    }
    if (entry.kind === 'directory') pending.push(entry)
    return []
  }
}

/**
 * A hard link that is wanted without its first name must bring the content along: the first such link stands in for the
 * first name, and the others link to it.
 */
export class LinkStandIns {
  readonly #byFirstName = new Map<string, IndexEntry>()

  /** To be called for every entry before the second pass. */
  see(entry: IndexEntry, want: (entry: IndexEntry) => boolean, wantedFirst: ReadonlySet<string>): void {
    if (entry.hardlink === undefined || !want(entry) || wantedFirst.has(entry.hardlink)) return
    if (!this.#byFirstName.has(entry.hardlink)) this.#byFirstName.set(entry.hardlink, entry)
  }

  get isEmpty(): boolean {
    return this.#byFirstName.size === 0
  }

  /** The entry as it is to be restored. */
  apply(entry: IndexEntry): IndexEntry {
    const first = entry.hardlink ?? entry.path
    const standIn = this.#byFirstName.get(first)
    if (standIn === undefined) return entry
    if (entry.hardlink === undefined) return { ...entry, path: standIn.path }
    return { ...entry, hardlink: standIn.path }
  }

  isStandIn(entry: IndexEntry): boolean {
    return entry.hardlink !== undefined && this.#byFirstName.get(entry.hardlink)?.path === entry.path
  }

  needsContentOf(entry: IndexEntry): boolean {
    return entry.hardlink === undefined && this.#byFirstName.has(entry.path)
  }
}
