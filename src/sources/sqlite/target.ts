import { existsSync, ftruncateSync, writeSync } from 'node:fs'
import { AppError } from '../../base/errors.ts'
import { throwIfAborted } from '../../base/streams.ts'
import type { Entry, RestoredEntry } from '../../model/entry.ts'
import type { RestoreEffect, RestoreOutcome, Target, WriteTargetOptions } from '../../model/source.ts'
import { bytesOf, contentOf, folderOf, nameOf, noOutcome } from '../restored.ts'
import { faults, inspect } from './inspect.ts'
import { ABOUT, parseAbout, segmentOf, type AboutSqlite } from './layout.ts'
import { putInPlace, refuseWhatIsThere, type Place } from './place.ts'

export interface SqliteTargetSettings extends Place {
  /** Which database of the backup, by its folder; needed only if there are several. */
  database?: string
}

/**
 * One SQLite file. It is written beside its place, checked (`integrity_check`, rows of each table), and only then put
 * there in one step; a `-wal` that an earlier database left behind, which would be replayed into the new one, goes away.
 */
export function sqliteTarget(settings: SqliteTargetSettings): Target {
  const { database } = settings
  const ours = (entry: Entry): boolean => database === undefined || folderOf(entry) === database
  return {
    name: settings.file,
    rounds: [
      (entry) => entry.kind === 'file' && nameOf(entry) === ABOUT && ours(entry),
      (entry) => entry.kind === 'file' && segmentOf(nameOf(entry)) !== undefined && ours(entry),
    ],
    write: async (entries, options) => write(settings, entries, options),
  }
}

async function write(
  settings: SqliteTargetSettings,
  entries: AsyncIterable<RestoredEntry>,
  options: WriteTargetOptions,
): Promise<RestoreOutcome> {
  const { file, dryRun } = settings
  const effect: RestoreEffect = existsSync(file) ? 'replace' : 'create'
  refuseWhatIsThere(settings)
  const outcome = noOutcome()
  if (dryRun === true) await readPages(undefined, entries, options, outcome)
  else
    await putInPlace(settings, {
      fill: async (fd) => {
        const about = await readPages(fd, entries, options, outcome)
        ftruncateSync(fd, about.pages * about.pageSize)
        return about
      },
      prove(temporary, about) {
        options.onStep?.('checking the integrity of the database')
        prove(temporary, about)
      },
    })
  outcome.effects[effect] += 1
  outcome.files += 1
  options.onEntry?.({ path: file, kind: 'file', mode: 0o600, mtime: { s: 0, ns: 0 }, size: outcome.bytes }, effect)
  return outcome
}

/** Without a descriptor only what would come is looked at. */
async function readPages(
  fd: number | undefined,
  entries: AsyncIterable<RestoredEntry>,
  options: WriteTargetOptions,
  outcome: RestoreOutcome,
): Promise<AboutSqlite> {
  let about: AboutSqlite | undefined
  let folder: string | undefined
  const seen = new Set<number>()
  for await (const entry of entries) {
    throwIfAborted(options.signal)
    if (folder !== undefined && folderOf(entry) !== folder) throw several(folder, folderOf(entry))
    folder = folderOf(entry)
    const segment = segmentOf(nameOf(entry))
    if (segment === undefined) about = parseAbout(await bytesOf(entry), entry.path)
    else if (about === undefined) throw damaged(`${folder} has pages and no ${ABOUT}`)
    else {
      if (fd !== undefined) await put(fd, entry, segment, about, options)
      outcome.bytes += entry.size
      seen.add(segment)
    }
  }
  if (about === undefined) throw new AppError('backup.not-found', 'there is no SQLite database in what was asked for')
  const wanted = Math.ceil((about.pages * about.pageSize) / about.segmentBytes)
  if (seen.size !== wanted) throw damaged(`${seen.size} of ${wanted} files of pages are there`)
  return about
}

async function put(
  fd: number,
  entry: RestoredEntry,
  segment: number,
  about: AboutSqlite,
  { onBytes }: WriteTargetOptions,
): Promise<void> {
  let at = segment * about.segmentBytes
  const end = Math.min(at + about.segmentBytes, about.pages * about.pageSize)
  if (at + entry.size !== end) throw damaged(`${entry.path} has ${entry.size} bytes`)
  for await (const chunk of contentOf(entry)) {
    for (let done = 0; done < chunk.length;) done += writeSync(fd, chunk, done, chunk.length - done, at + done)
    at += chunk.length
    onBytes?.(chunk.length)
  }
}

/** Whether SQLite and our figures agree that this is the database. */
function prove(file: string, about: AboutSqlite): void {
  const [fault] = faults(file, 'integrity_check')
  if (fault !== undefined) throw damaged(`SQLite finds a fault: ${fault}`)
  const found = inspect(file)
  for (const { name, rows } of about.tables) {
    const now = found.tables.find((table) => table.name === name)?.rows
    if (now !== rows) throw damaged(`${name} has ${now ?? 'no'} rows, and had ${rows}`)
  }
}

const damaged = (what: string): AppError =>
  new AppError('backup.damaged', `the restored database would not be whole: ${what}`)

const several = (one: string, other: string): AppError =>
  new AppError('usage.invalid', 'there are several databases in this backup', {
    hint: `Name one with --database, such as ${one} or ${other}.`,
  })
