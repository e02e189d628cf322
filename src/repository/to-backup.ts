/** A snapshot in the words of the contract. */
import { basename } from 'node:path'
import type { Backup } from '../model/backup.ts'
import { dateOf, parseGoTime } from './go-time.ts'
import type { Notes } from './notes.ts'
import type { StoredSnapshot } from './snapshot.ts'

export function toBackup({ id, snapshot }: StoredSnapshot, notes: Notes, vault: string): Backup {
  const { summary, holdfast, paths, parent, hostname } = snapshot
  const time = dateOf(parseGoTime(snapshot.time) ?? { s: 0, ns: 0 })
  return {
    id,
    // A snapshot that restic made gets the name that an ad hoc job of the same paths has.
    job: holdfast?.job || basename(paths[0] ?? '') || 'root',
    vault,
    source: holdfast?.source ?? 'files',
    type: parent === undefined ? 'full' : 'incremental',
    time,
    ...(parent !== undefined && { parent }),
    needs: [],
    tags: notes.tags ?? snapshot.tags ?? [],
    ...(notes.hold === true && { hold: true }),
    ...(hostname !== undefined && { host: hostname }),
    paths,
    // restic before 0.17 does not tell.
    ...(summary && {
      sourceBytes: summary.total_bytes_processed,
      storedBytes: summary.data_added_packed,
      files: summary.total_files_processed,
    }),
    proof: notes.proof ?? { level: 'V0', at: time },
    warnings: holdfast?.warnings ?? 0,
    ...(holdfast?.labels && { labels: holdfast.labels }),
    encrypted: true,
  }
}
