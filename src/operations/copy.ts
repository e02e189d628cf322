/** A backup of one vault as a backup of another: whole, with its own time, job and tags. */
import { randomUUID } from 'node:crypto'
import { createReadStream, createWriteStream, mkdtempSync, rmSync, unlinkSync } from 'node:fs'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AppError } from '../base/errors.ts'
import { readerOfStream } from '../base/reader.ts'
import type { Backup } from '../model/backup.ts'
import type { Entry, RestoredEntry, SourceEntry } from '../model/entry.ts'
import type { TakeOverOptions, Vault } from '../model/vault.ts'
import { annotate } from './hold.ts'
import { copyLane, type LaneCopied } from './lane-copy.ts'
import { laneOf } from './segments.ts'
import { recorded, type Deps, type Recorded } from './recorder.ts'

/** In the summary of a run: the vault and the backup that it copied, as `VAULT/ID`. */
export const COPY_OF = 'copy_of'

export interface CopyResult {
  copy?: Backup
  /** The other vault has it: same job, host, source and time. */
  skipped: boolean
  /** What came of the log that brings it forward. */
  log?: LaneCopied
}

export interface CopyOptions {
  signal?: AbortSignal
  /** Whoever copies many brings the log once: see `copyLane`. */
  withoutLog?: boolean
}

export async function copy(
  deps: Deps,
  from: Vault,
  backup: Backup,
  to: Vault,
  { withoutLog = false, ...cancel }: CopyOptions = {},
): Promise<Recorded<CopyResult>> {
  return recorded(deps, { kind: 'copy', job: backup.job, vault: to.name, ...cancel }, async (handle) => {
    const options = { signal: handle.signal }
    const { job, time } = backup
    handle.run.summary = { [COPY_OF]: `${from.name}/${backup.id}` }
    if (from === to) throw new AppError('usage.invalid', `${backup.id} is in ${to.name}: name another vault`)
    const log = async (): Promise<{ log?: LaneCopied }> =>
      withoutLog || laneOf(backup) === undefined ? {} : { log: await copyLane(from, job, to, options) }
    const there = await to.backups(options)
    if (
      there.some((other) => other.job === job && other.host === backup.host && other.time.getTime() === time.getTime())
    )
      return { skipped: true, ...(await log()) }
    handle.stage('copy', `${backup.id} to ${to.name}`)
    await to.tidy(options)
    const taken = await to.takeOver?.(from, backup, { ...options, onProgress: handle.onProgress })
    const made = taken ?? (await anew(from, backup, to, { ...options, onProgress: handle.onProgress }))
    handle.run.backupId = made.id
    // What must not be pruned there must not be pruned here.
    if (backup.hold === true) await annotate(to, made.id, { hold: true }, options)
    deps.catalogue.saveBackup(made)
    return { copy: made, skipped: false, ...(await log()) }
  })
}

/** Its entries as those of a new backup. */
async function anew(from: Vault, backup: Backup, to: Vault, options: TakeOverOptions): Promise<Backup> {
  const { job, host = '', source, paths, tags, time, labels } = backup
  const scratch = mkdtempSync(join(tmpdir(), 'holdfast-copy-'))
  try {
    const outcome = await to.backup({
      ...options,
      job,
      source,
      paths,
      tags,
      host,
      time,
      type: 'full',
      ...(labels && { labels }),
      reading: { entries: () => inPathOrder(from, backup.id, scratch, options), close: async () => {} },
    })
    return outcome.backup
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

/**
 * Entries in path order, content from a stream that is in stored order. Of a full backup the two agree; content of a
 * chain that comes early waits in the scratch folder.
 */
async function* inPathOrder(
  vault: Vault,
  id: string,
  scratch: string,
  cancel: { signal?: AbortSignal },
): AsyncGenerator<SourceEntry> {
  const stored = vault.open(id, cancel)[Symbol.asyncIterator]()
  const waiting = new Map<string, string>()
  try {
    for await (const entry of vault.entries(id, cancel)) {
      if (entry.kind !== 'file' || entry.hardlink !== undefined) yield fresh(entry)
      else {
        const file = waiting.get(entry.path)
        waiting.delete(entry.path)
        if (file !== undefined) yield { ...fresh(entry), open: () => readerOfStream(spooled(file)) }
        else {
          const open = await advance(stored, entry.path, waiting, scratch)
          yield { ...fresh(entry), open: () => readerOfStream(open()) }
        }
      }
    }
  } finally {
    await stored.return?.()
  }
}

/** Reads on until the content of `path` comes; what comes before it is spooled. */
async function advance(
  stored: AsyncIterator<RestoredEntry>,
  path: string,
  waiting: Map<string, string>,
  scratch: string,
): Promise<NonNullable<RestoredEntry['open']>> {
  for (;;) {
    const next = await stored.next()
    if (next.done) throw new AppError('backup.damaged', `the content of ${path} is missing`)
    const { open, path: at } = next.value
    if (open === undefined) continue
    if (at === path) return open
    const file = join(scratch, randomUUID())
    const out = createWriteStream(file, { mode: 0o600 })
    for await (const chunk of open()) if (!out.write(chunk)) await once(out, 'drain')
    out.end()
    await once(out, 'close')
    waiting.set(at, file)
  }
}

async function* spooled(file: string): AsyncGenerator<Uint8Array> {
  yield* createReadStream(file) as AsyncIterable<Buffer>
  unlinkSync(file)
}

/** Without what belongs to the other vault. The content comes whole, holes as zeros. */
function fresh({ digest: _digest, ...entry }: Entry): SourceEntry {
  return entry
}
