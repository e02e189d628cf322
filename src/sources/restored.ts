/** What the targets of databases have in common. */
import { AppError } from '../base/errors.ts'
import { collect } from '../base/streams.ts'
import type { Entry, RestoredEntry } from '../model/entry.ts'
import type { OpenEntries, RestoreEffect, RestoreOutcome, Target } from '../model/source.ts'

/** Descriptions are small; what is larger is none. */
const SMALL = 256 * 1024 * 1024

export const nameOf = ({ path }: Entry): string => path.slice(path.lastIndexOf('/') + 1)
export const folderOf = ({ path }: Entry): string => path.slice(0, Math.max(path.lastIndexOf('/'), 0))

export function contentOf(entry: RestoredEntry): AsyncIterable<Uint8Array> {
  if (entry.open === undefined) throw new AppError('backup.damaged', `${entry.path} has no content`)
  return entry.open()
}

export const bytesOf = async (entry: RestoredEntry): Promise<Uint8Array> => collect(contentOf(entry), SMALL)

export function noOutcome(): RestoreOutcome {
  const effects: Record<RestoreEffect, number> = {
    create: 0,
    replace: 0,
    metadata: 0,
    unchanged: 0,
    keep: 0,
    delete: 0,
  }
  return { files: 0, bytes: 0, effects }
}

/** The entries that a target wants, in the order in which it wants them. */
export async function* roundsOf(target: Target, open: OpenEntries): AsyncGenerator<RestoredEntry> {
  for (const round of target.rounds ?? [() => true]) yield* wanted(open, round)
}

/** Without the folders on the way, which vaults give too. */
export async function* wanted(open: OpenEntries, want: (entry: Entry) => boolean): AsyncGenerator<RestoredEntry> {
  for await (const entry of open(want)) if (want(entry)) yield entry
}
