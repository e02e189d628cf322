/** Reading a backup: its entries, and their content in the order in which the payloads hold it. */
import { AppError } from '../base/errors.ts'
import { displayPath } from '../base/paths.ts'
import { throwIfAborted } from '../base/streams.ts'
import type { Entry, RestoredEntry } from '../model/entry.ts'
import type { EntrySelection } from '../model/vault.ts'
import type { CodecPool } from './codec-pool.ts'
import { contentOf, PieceCursor } from './content.ts'
import { openStored, type ArchiveContext, type StoredManifest } from './context.ts'
import { parseIndexLine, storedLength, type ContentPlace, type IndexEntry, type IndexLine } from './index-format.ts'
import { indexLines, openIndex } from './index-io.ts'
import { payloadReader, type PayloadReader, type Piece, type Span } from './payload-reader.ts'
import { LinkStandIns, wants, withFolders } from './select.ts'

export async function* readLines(
  context: ArchiveContext,
  backup: StoredManifest,
  signal?: AbortSignal,
): AsyncGenerator<IndexLine> {
  const source = await openStored(context, backup, 'index', signal)
  yield* indexLines(await openIndex(source), source.what)
}

async function* indexEntries(
  context: ArchiveContext,
  backup: StoredManifest,
  signal?: AbortSignal,
): AsyncGenerator<IndexEntry> {
  for await (const line of readLines(context, backup, signal)) {
    throwIfAborted(signal)
    if (line.kind === 'entry') yield line.entry
  }
}

export async function* readEntries(
  context: ArchiveContext,
  backup: StoredManifest,
  selection: EntrySelection,
): AsyncGenerator<Entry> {
  const want = wants(selection)
  for await (const entry of indexEntries(context, backup, selection.signal)) if (want(entry)) yield publicEntry(entry)
}

/** The frame table of a payload: at the end of its own index. */
async function framesOf(
  context: ArchiveContext,
  backup: StoredManifest,
  signal?: AbortSignal,
): Promise<[number, number][]> {
  const source = await openStored(context, backup, 'index', signal)
  const { batches } = await openIndex(source)
  const frames: [number, number][] = []
  for await (const batch of batches) {
    for (const line of batch) {
      if (!line.startsWith('{"frames"')) continue
      const parsed = parseIndexLine(line, source.what)
      if (parsed.kind === 'frames') frames.push(...parsed.frames)
    }
  }
  return frames
}

export async function openPayload(
  context: ArchiveContext,
  backup: StoredManifest,
  pool: CodecPool,
  signal?: AbortSignal,
): Promise<PayloadReader> {
  const source = await openStored(context, backup, 'payload', signal)
  const { type } = backup.manifest.compression
  const frames = type === 'zstd' || type === 'gzip' ? await framesOf(context, backup, signal) : []
  return payloadReader(source, type, frames, pool)
}

export interface ReadPlan {
  context: ArchiveContext
  backup: StoredManifest
  /** The manifest of a backup of the chain, by id. */
  find(id: string): StoredManifest | undefined
  selection: EntrySelection
  pool: CodecPool
  /** See OpenOptions. */
  transient?: boolean
  /** A payload that cannot be read: rejects when absent, else is told and its entries are left out. */
  onUnreadable?: (error: AppError, entry: IndexEntry) => void
}

/**
 * All wanted entries. One pass over the index for each payload that holds something of it; hard links come after what
 * they link to.
 */
export async function* openEntries(plan: ReadPlan): AsyncGenerator<RestoredEntry> {
  const { context, backup, selection } = plan
  const { signal } = selection
  const source = await openStored(context, backup, 'index', signal)
  const { header, close } = await openIndex(source)
  await close()
  const ids = header.payloads
  const needed = ids.flatMap((id, position) =>
    id === backup.manifest.id || backup.manifest.needs.includes(id) ? [position] : [],
  )
  const readable = new Set(needed)
  const standIns = await findStandIns(plan)
  const want = (entry: IndexEntry): boolean =>
    (wants(selection)(entry) && !standIns.isStandIn(entry)) || standIns.needsContentOf(entry)

  for (const [pass, position] of needed.entries()) {
    const id = ids[position] as string
    const only = needed.length === 1
    const select = withFolders(want)
    const mine = async function* (): AsyncGenerator<IndexEntry> {
      for await (const candidate of indexEntries(context, backup, signal)) {
        for (const entry of select(candidate)) {
          if (isStored(entry) && !readable.has(entry.content.payload))
            throw new AppError('backup.damaged', `${displayPath(entry.path)} is in no payload of ${backup.manifest.id}`)
          if (entry.hardlink !== undefined ? !only : !isStored(entry) ? pass > 0 : entry.content.payload !== position)
            continue
          yield standIns.apply(entry)
        }
      }
    }
    const payload = plan.find(id)
    if (payload === undefined) {
      yield* withoutPayload(plan, id, mine())
      continue
    }
    const reader = await openPayload(context, payload, plan.pool, signal)
    // Content that moved, or that several files share, is not in path order: it waits for a further round.
    let late: IndexEntry[] = []
    yield* inOrder(reader, mine(), late, plan)
    while (late.length > 0) {
      const round = late.sort((a, b) => (a.content?.at ?? 0) - (b.content?.at ?? 0))
      late = []
      yield* inOrder(reader, round, late, plan)
    }
  }
  if (needed.length === 1) return
  const select = withFolders(want)
  for await (const candidate of indexEntries(context, backup, signal)) {
    for (const entry of select(candidate)) if (entry.hardlink !== undefined) yield publicEntry(standIns.apply(entry))
  }
}

/** Entries whose content ascends in the payload; the others go to `late`. */
async function* inOrder(
  reader: PayloadReader,
  entries: AsyncIterable<IndexEntry> | Iterable<IndexEntry>,
  late: IndexEntry[],
  { transient, selection: { signal } }: ReadPlan,
): AsyncGenerator<RestoredEntry> {
  const queue: IndexEntry[] = []
  const spans = async function* (): AsyncGenerator<Span> {
    let end = 0
    for await (const entry of entries) {
      const span = spanOf(entry)
      if (span !== undefined && span.start < end) {
        late.push(entry)
        continue
      }
      queue.push(entry)
      if (span === undefined) continue
      end = span.end
      yield span
    }
  }
  const cursor = new PieceCursor(reader.pieces(spans()), transient)
  try {
    for (;;) {
      const entry = queue.shift()
      if (entry !== undefined) {
        throwIfAborted(signal)
        yield restored(entry, cursor)
      } else if (!(await cursor.next())) break
    }
    // What came after the last span.
    for (const entry of queue) yield restored(entry, cursor)
  } finally {
    await cursor.close()
  }
}

async function* withoutPayload(
  plan: ReadPlan,
  id: string,
  entries: AsyncIterable<IndexEntry>,
): AsyncGenerator<RestoredEntry> {
  const { backup, context } = plan
  for await (const entry of entries) {
    if (!isStored(entry)) {
      yield restored(entry, new PieceCursor(noPieces()))
      continue
    }
    const what = `${displayPath(entry.path)} of ${backup.manifest.id}`
    const error = new AppError('backup.chain-broken', `${what} is in ${id}, which is not in ${context.name}`)
    if (plan.onUnreadable === undefined) throw error
    plan.onUnreadable(error, entry)
  }
}

async function findStandIns({ context, backup, selection }: ReadPlan): Promise<LinkStandIns> {
  const standIns = new LinkStandIns()
  if (selection.want === undefined && selection.under === undefined) return standIns
  const want = wants(selection)
  const first = new Set<string>()
  for await (const entry of indexEntries(context, backup, selection.signal)) {
    // First names come before their links.
    if ((entry.links ?? 1) > 1 && entry.hardlink === undefined && want(entry)) first.add(entry.path)
    standIns.see(entry, want, first)
  }
  return standIns
}

function spanOf({ content, size }: IndexEntry): Span | undefined {
  if (content === undefined) return undefined
  const length = storedLength(content, size)
  return length === 0 ? undefined : { start: content.at, end: content.at + length }
}

/** Whether some payload holds bytes of it. */
function isStored(entry: IndexEntry): entry is IndexEntry & { content: ContentPlace } {
  return entry.content !== undefined && storedLength(entry.content, entry.size) > 0
}

function restored(entry: IndexEntry, cursor: PieceCursor): RestoredEntry {
  const { content } = entry
  if (content === undefined) return publicEntry(entry)
  return { ...publicEntry(entry), open: () => contentOf(entry, content, cursor, storedLength(content, entry.size)) }
}

async function* noPieces(): AsyncGenerator<Piece> {}

/** Without what only the archive knows. */
function publicEntry(entry: IndexEntry): Entry {
  const { content, listedSize: _listed, ...rest } = entry
  return content === undefined ? rest : { ...rest, digest: content.hash }
}
