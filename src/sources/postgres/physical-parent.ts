/**
 * Backups by block, from PostgreSQL 17 on: the server sends what changed since a backup whose manifest it is shown. The
 * parts before are carried over from that backup, so that each backup is whole by itself.
 */
import { isAppError } from '../../base/errors.ts'
import { streamOfReader } from '../../base/reader.ts'
import type { Entry, SourceEntry } from '../../model/entry.ts'
import type { ParentBackup } from '../../model/source.ts'
import { collect } from '../../base/streams.ts'
import {
  ABOUT_CLUSTER,
  incrementalManifest,
  MANIFEST,
  parseAboutCluster,
  partOfManifest,
  pieceOfTar,
} from './physical-layout.ts'
import type { Replication } from './replication.ts'

/** A restore goes through all of them. */
const MOST_PARTS = 30
const CHUNK = 64 * 1024

export interface Built {
  /** The number of the part that comes now. */
  number: number
  fullAt: string
  /** What there is already, by path. */
  before: SourceEntry[]
}

/** Undefined where a full backup is to be made; `why` is told where that is not by design. */
export async function buildOn(
  parent: ParentBackup,
  replication: Replication,
  tell: (why: string) => void,
): Promise<Built | undefined> {
  if (replication.version < 170_000) return undefined
  const { wire, system } = replication
  const [[[summarized = ''] = []] = []] = await wire.query('SHOW summarize_wal')
  if (summarized !== 'on') return undefined
  const about = parseAboutCluster(await read(parent, ABOUT_CLUSTER), ABOUT_CLUSTER)
  const { fullAt } = about
  if (fullAt === undefined || about.system !== system) return undefined
  if (parent.since !== undefined && new Date(fullAt) < parent.since) return undefined
  const parts = parent.differential ? 0 : (about.incrementals ?? 0)
  if (parts >= MOST_PARTS) return undefined
  const before: SourceEntry[] = []
  for await (const entry of parent.entries()) {
    const part = partOf(entry)
    if (part !== undefined && part <= parts) before.push(carried(entry, parent))
  }
  try {
    await uploadManifest(replication, await read(parent, parts === 0 ? MANIFEST : incrementalManifest(parts)))
  } catch (error) {
    if (!isAppError(error) || error.details['sqlstate'] === undefined) throw error
    tell(error.message)
    return undefined
  }
  return { number: parts + 1, fullAt, before }
}

/** Which part an entry belongs to; undefined for what is made anew. */
function partOf({ kind, path }: Entry): number | undefined {
  if (kind === 'directory') {
    const found = /^incremental(?:\/(\d{4})(?:\/|$))?/.exec(path)
    return found === null ? 0 : Number(found[1] ?? 1)
  }
  return pieceOfTar(path)?.part ?? partOfManifest(path)
}

/** The vault knows it again by what it looks like, and asks for its content only if it has not got it. */
function carried({ digest: _digest, ...entry }: Entry, parent: ParentBackup): SourceEntry {
  return entry.kind === 'file' ? { ...entry, open: () => parent.open(entry.path) } : entry
}

const read = async (parent: ParentBackup, path: string): Promise<Uint8Array> =>
  collect(streamOfReader(parent.open(path)))

async function uploadManifest({ wire }: Replication, manifest: Uint8Array): Promise<void> {
  wire.begin('UPLOAD_MANIFEST')
  for (;;) if ((await wire.next()).type === 'G') break
  for (let at = 0; at < manifest.length; at += CHUNK) wire.copyData(manifest.subarray(at, at + CHUNK))
  wire.copyDone()
  for (;;) if ((await wire.next()).type === 'Z') break
}
