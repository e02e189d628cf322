/** What tar and zip have in common for the writer of a backup. */
import { createHash, hash as hashOnce } from 'node:crypto'
import type { ByteReader } from '../base/reader.ts'
import type { SourceEntry } from '../model/entry.ts'
import type { ContentPlace } from './index-format.ts'

/** Content up to this size is read into memory whole, so that its header can tell the truth and it can be left out again. */
export const SMALL = 512 * 1024

/** What a hundred thousand small files must not wait for is given at once. */
export type MaybePromise<T> = T | Promise<T>

export interface StoredFile {
  /** Bytes of content read. */
  size: number
  /** Where it was stored; without `payload`, which is the backup in hand. */
  place: Omit<ContentPlace, 'payload'>
}

export interface ContainerWriter {
  /** A member without content: folder, link, device … */
  member(entry: SourceEntry): Promise<void> | undefined
  /**
   * Reads the content to its end and stores it, unless `known` says of its hash and size that the vault has it already:
   * then nothing is stored, and its place is given back as `known` told it.
   */
  file(entry: SourceEntry, reader: ByteReader, known: KnownContent): MaybePromise<StoredFile | ContentPlace>
  end(): Promise<void>
}

/** The place of content that an earlier backup of the chain stored. */
export type KnownContent = (hash: string, size: number) => ContentPlace | undefined

export const isStored = (result: StoredFile | ContentPlace): result is StoredFile => 'place' in result

export const hashOf = (bytes: Uint8Array): string => hashOnce('sha256', bytes, 'base64').slice(0, 43)

/** A running hash in the same form. */
export function contentHash(): { update(bytes: Uint8Array): void; digest(): string } {
  const hash = createHash('sha256')
  return { update: (bytes) => void hash.update(bytes), digest: () => hash.digest('base64').slice(0, 43) }
}

/** Gives at least `size` bytes: zeros after the end of a file that shrank below where its data was. */
export function padded(reader: ByteReader, size: number): ByteReader {
  let got = 0
  const counted = (into: Uint8Array, count: number): number => {
    const given = count > 0 ? count : Math.min(into.length, Math.max(size - got, 0))
    if (count === 0) into.fill(0, 0, given)
    got += given
    return given
  }
  return {
    close: () => reader.close(),
    read(into) {
      const answer = reader.read(into)
      return typeof answer === 'number' ? counted(into, answer) : answer.then((count) => counted(into, count))
    },
  }
}

/** Fills `into` as far as the content goes; at once, if the reader answers at once. */
export function fill(reader: ByteReader, into: Uint8Array): MaybePromise<number> {
  let filled = 0
  while (filled < into.length) {
    const got = reader.read(filled === 0 ? into : into.subarray(filled))
    if (typeof got !== 'number') return fillSlowly(reader, into, filled, got)
    if (got === 0) break
    filled += got
  }
  return filled
}

async function fillSlowly(
  reader: ByteReader,
  into: Uint8Array,
  before: number,
  first: Promise<number>,
): Promise<number> {
  let filled = before
  for (let count = await first; count > 0; count = await reader.read(into.subarray(filled))) {
    filled += count
    if (filled === into.length) break
  }
  return filled
}
