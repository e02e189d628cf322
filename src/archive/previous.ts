/** The index of the parent, walked beside the source in path order; and what content the chain has. */
import { AppError } from '../base/errors.ts'
import { comparePaths } from '../base/paths.ts'
import { openStored, type ArchiveContext, type StoredManifest } from './context.ts'
import { parseIndexLine, pathOfLine, type ContentPlace, type IndexEntry, type IndexHeader } from './index-format.ts'
import { openIndex, type OpenIndex } from './index-io.ts'
import { SMALL } from './container.ts'

/** Moves are paired in memory, so not without bound; more of them are recorded as deleted and new. */
export const MAX_PAIRS = 100_000

/** Parsed only as far as it is looked at: most entries of most backups are as they were. */
export class PreviousEntry {
  /** It stands for the entry as long as nothing changed. */
  readonly line: string
  readonly path: string
  readonly #what: string
  #entry: IndexEntry | undefined

  constructor(line: string, path: string, what: string, entry: IndexEntry | undefined) {
    this.line = line
    this.path = path
    this.#what = what
    this.#entry = entry
  }

  get entry(): IndexEntry {
    if (this.#entry === undefined) {
      const parsed = parseIndexLine(this.line, this.#what)
      if (parsed.kind !== 'entry') throw new AppError('backup.damaged', `${this.#what} has a bad line`)
      this.#entry = parsed.entry
    }
    return this.#entry
  }
}

export interface PreviousCursor {
  readonly header: IndexHeader
  /** The entry at `path`, after handing every one before it to `onMissing`. */
  seek(path: string): PreviousEntry | undefined | Promise<PreviousEntry | undefined>
  /** Hands over what is left. */
  finish(): Promise<void>
  close(): Promise<void>
}

export async function previousCursor(
  context: ArchiveContext,
  parent: StoredManifest,
  onMissing: (entry: IndexEntry) => void,
): Promise<PreviousCursor> {
  const what = `the index of ${parent.manifest.id}`
  const index: OpenIndex = await openIndex(await openStored(context, parent, 'index'))
  let batch: string[] = []
  let at = 0
  let done = false
  let current: PreviousEntry | undefined

  /** Parses up to the next entry of the batch in hand. */
  function step(): boolean {
    while (at < batch.length) {
      const line = batch[at++] as string
      const path = pathOfLine(line)
      if (path !== undefined) {
        current = new PreviousEntry(line, path, what, undefined)
        return true
      }
      const parsed = parseIndexLine(line, what)
      if (parsed.kind !== 'entry') continue
      current = new PreviousEntry(line, parsed.entry.path, what, parsed.entry)
      return true
    }
    current = undefined
    return false
  }

  async function refill(): Promise<void> {
    while (current === undefined && !done) {
      const next = await index.batches.next()
      if (next.done) done = true
      else {
        batch = next.value
        at = 0
        step()
      }
    }
  }

  function seekInBatch(path: string): PreviousEntry | undefined | 'more' {
    for (;;) {
      if (current === undefined && !step()) return done ? undefined : 'more'
      const found = current as unknown as PreviousEntry
      if (found.path === path) {
        current = undefined
        return found
      }
      if (comparePaths(found.path, path) > 0) return undefined
      onMissing(found.entry)
      current = undefined
    }
  }

  return {
    header: index.header,
    seek(path) {
      const found = seekInBatch(path)
      if (found !== 'more') return found
      return (async () => {
        for (;;) {
          await refill()
          const result = seekInBatch(path)
          if (result !== 'more') return result
        }
      })()
    },
    async finish() {
      for (;;) {
        if (current === undefined && !step()) await refill()
        if (current === undefined) return
        onMissing(current.entry)
        current = undefined
      }
    },
    async close() {
      await index.close()
    },
  }
}

/**
 * All content that the parent knows, by hash, in about 70 bytes a file: a file that moved, or came back, is recognized
 * by what is in it and not stored again.
 */
export interface ContentTable {
  find(hash: string, size: number): ContentPlace | undefined
  /** Whether some large file of that size is known: only then it pays to hash a large file before storing it. */
  hasLarge(size: number): boolean
}

export async function contentTable(context: ArchiveContext, parent: StoredManifest): Promise<ContentTable> {
  const what = `the index of ${parent.manifest.id}`
  const { batches } = await openIndex(await openStored(context, parent, 'index'))
  let capacity = 1024
  let hashes = new Uint8Array(capacity * 32)
  let numbers = new Float64Array(capacity * 4)
  let count = 0
  const largeSizes = new Set<number>()
  for await (const batch of batches) {
    for (const line of batch) {
      if (!line.includes(',"h":"')) continue
      const parsed = parseIndexLine(line, what)
      if (parsed.kind !== 'entry' || parsed.entry.content === undefined || parsed.entry.content.extents) continue
      const { content, size } = parsed.entry
      if (count === capacity) {
        capacity *= 2
        hashes = grown(hashes, new Uint8Array(capacity * 32))
        numbers = grown(numbers, new Float64Array(capacity * 4))
      }
      hashes.set(Buffer.from(content.hash, 'base64'), count * 32)
      numbers.set([size, content.payload, content.at, content.packed ?? -1], count * 4)
      if (size > SMALL) largeSizes.add(size)
      count += 1
    }
  }
  // Open addressing on the first four bytes of the hash; 0 is an empty slot.
  const slots = new Uint32Array(2 ** Math.ceil(Math.log2(Math.max(count, 1) * 2)))
  const mask = slots.length - 1
  const view = new DataView(hashes.buffer)
  for (let row = 0; row < count; row += 1) {
    let slot = view.getUint32(row * 32) & mask
    while (slots[slot] !== 0) slot = (slot + 1) & mask
    slots[slot] = row + 1
  }
  return {
    hasLarge: (size) => largeSizes.has(size),
    find(hash, size) {
      const wanted = Buffer.from(hash, 'base64')
      if (wanted.length !== 32) throw new AppError('internal.bug', 'a content hash is not 32 bytes long')
      for (let slot = wanted.readUInt32BE(0) & mask; slots[slot] !== 0; slot = (slot + 1) & mask) {
        const row = (slots[slot] as number) - 1
        if (numbers[row * 4] !== size || !wanted.equals(hashes.subarray(row * 32, row * 32 + 32))) continue
        const [payload, at, packed] = numbers.subarray(row * 4 + 1, row * 4 + 4) as unknown as [number, number, number]
        return { hash, payload, at, ...(packed >= 0 && { packed }) }
      }
      return undefined
    },
  }
}

function grown<T extends Uint8Array | Float64Array>(old: T, bigger: T): T {
  bigger.set(old)
  return bigger
}
