/** A backup that several vaults have is read from the next one where one of them fails, also in the middle of a file. */
import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { rm } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { AppError, toAppError } from '../base/errors.ts'
import { displayPath } from '../base/paths.ts'
import type { Backup } from '../model/backup.ts'
import type { Entry, LocalPlace, RestoredEntry } from '../model/entry.ts'
import type { OpenOptions, Vault } from '../model/vault.ts'

export interface Sibling {
  vault: Vault
  /** Of the same backup there. */
  id: string
}

/** What another vault may have whole. What the target or the caller does wrong is not among it. */
const helps = ({ code }: AppError): boolean => /^(?:storage|vault|backup)\./.test(code) || code === 'verify.damaged'

interface Owed {
  place: LocalPlace
  done: (failure?: unknown) => void
}

/**
 * The same vault, whose `open` goes on from a sibling. `others` is asked when the first of them fails; each is used once.
 * The paths that were given are kept in memory while there is a sibling.
 */
export function withSiblings(
  vault: Vault,
  others: () => AsyncIterable<Sibling>,
  onSwitch: (message: string) => void,
): Vault {
  async function* open(id: string, options: OpenOptions = {}): AsyncGenerator<RestoredEntry> {
    const given = new Set<string>()
    /** Files that a vault was to make itself, and could not. */
    const owed = new Map<string, Owed>()
    const left = others()[Symbol.asyncIterator]()
    let first: AppError | undefined
    let current: Sibling = { vault, id }

    /** Gives the vault that comes behind this one, which others may have found to fail before. */
    async function next(error: AppError, from: Vault): Promise<Sibling> {
      if (!helps(error) || options.signal?.aborted === true) throw error
      if (current.vault !== from) return current
      first ??= error
      const found = await left.next()
      // No other has it: what was wrong at first is told.
      if (found.done === true) throw first
      onSwitch(`${from.name} failed (${error.message}): the restore goes on from ${found.value.vault.name}`)
      return found.value
    }

    /** The content of one file, from where it broke. */
    async function* content(entry: RestoredEntry, from: Vault): AsyncGenerator<Uint8Array> {
      let at = 0
      // What was given before is compared with what the other vault has there: some find damage only at the end.
      const sum = createHash('sha256')
      try {
        for await (const chunk of entry.open?.() ?? []) {
          at += chunk.length
          sum.update(chunk)
          yield chunk
        }
        return
      } catch (thrown) {
        current = await next(toAppError(thrown), from)
      }
      for (let skip = at; ;) {
        const { vault: now, id: same } = current
        try {
          const found = await onlyEntry(now, same, entry, options)
          const skipped = createHash('sha256')
          let compared = false
          const compare = (): void => {
            if (compared) return
            compared = true
            if (skip > 0 || !skipped.digest().equals(sum.copy().digest())) throw differs(entry.path, now)
          }
          for await (const chunk of found.open?.() ?? []) {
            const before = chunk.subarray(0, skip)
            skip -= before.length
            if (before.length > 0) skipped.update(before)
            if (before.length === chunk.length) continue
            compare()
            const rest = chunk.subarray(before.length)
            at += rest.length
            sum.update(rest)
            yield rest
          }
          compare()
          return
        } catch (thrown) {
          current = await next(toAppError(thrown), now)
          skip = at
        }
      }
    }

    function wrapped(entry: RestoredEntry, from: Vault): RestoredEntry {
      const { deliver } = entry
      return {
        ...entry,
        ...(entry.open && { open: () => content(entry, from) }),
        ...(deliver && {
          deliver: (place, done) =>
            deliver(place, (failure) => {
              const lost = failure !== undefined && (helps(toAppError(failure)) || current.vault !== from)
              if (!lost || options.signal?.aborted === true) done(failure)
              else owed.set(entry.path, { place, done })
            }),
        }),
      }
    }

    for (;;) {
      const { vault: now, id: same } = current
      const wants = (entry: Entry): boolean =>
        (options.want?.(entry) ?? true) && (!given.has(entry.path) || owed.has(entry.path))
      try {
        for await (const entry of now.open(same, given.size === 0 ? options : { ...options, want: wants })) {
          const debt = owed.get(entry.path)
          if (debt !== undefined) {
            owed.delete(entry.path)
            await settle(debt, content(entry, now))
          } else if (!given.has(entry.path)) {
            given.add(entry.path)
            yield wrapped(entry, now)
          }
          // It failed within a content: the rest comes from the other one.
          if (current.vault !== now) break
        }
        if (current.vault !== now) continue
        if (owed.size === 0) return
        current = await next(new AppError('backup.damaged', `${owed.size} files could not be read`), now)
      } catch (thrown) {
        try {
          current = await next(toAppError(thrown), now)
        } catch (error) {
          for (const { done } of owed.values()) done(error)
          throw error
        }
      }
    }
  }
  return { ...vault, open }
}

/** The other vaults of a job that have this very backup: of the same moment. One that cannot be read is passed over. */
export async function* siblingsOf(
  backup: Backup,
  names: readonly string[],
  open: (name: string) => Promise<Vault>,
): AsyncGenerator<Sibling> {
  for (const name of names.filter((one) => one !== backup.vault)) {
    const vault = await open(name).catch(() => undefined)
    const backups = (await vault?.backups().catch(() => [])) ?? []
    const same = backups.find(
      ({ job, host, time, broken }) =>
        job === backup.job && host === backup.host && time.getTime() === backup.time.getTime() && broken === undefined,
    )
    if (vault !== undefined && same !== undefined) yield { vault, id: same.id }
  }
}

async function onlyEntry(
  vault: Vault,
  id: string,
  { path, size, mtime }: Entry,
  options: OpenOptions,
): Promise<RestoredEntry> {
  const { signal, transient } = options
  const how = { ...(signal && { signal }), ...(transient === true && { transient }), under: path }
  for await (const entry of vault.open(id, how)) {
    if (entry.path !== path) continue
    // Each vault may have read a small file by itself, and it may have changed between.
    if (entry.size === size && entry.mtime.s === mtime.s && entry.mtime.ns === mtime.ns) return entry
    break
  }
  throw differs(path, vault)
}

const differs = (path: string, { name }: Vault): AppError =>
  new AppError('backup.damaged', `${displayPath(path)} is not the same in ${name}: the file is not pieced together`)

/** Makes a file that a vault could not. */
async function settle({ place, done }: Owed, content: AsyncIterable<Uint8Array>): Promise<void> {
  try {
    await pipeline(Readable.from(copied(content)), createWriteStream(place.path, { flags: 'wx', mode: place.mode }))
    done()
  } catch (error) {
    await rm(place.path, { force: true }).catch(() => undefined)
    done(error)
  }
}

/** A chunk is lent until the next one comes, and streams keep some. */
async function* copied(content: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  for await (const chunk of content) yield Buffer.from(chunk)
}
