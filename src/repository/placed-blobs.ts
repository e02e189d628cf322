/** Sealed blobs out of packs, many with one request. */
import { isAppError } from '../base/errors.ts'
import { collect } from '../base/streams.ts'
import type { Cancel } from '../model/vault.ts'
import { keyOfFile } from './ids.ts'
import type { IndexedRepository } from './repository.ts'

export interface PlacedBlob {
  /** Its number in the index. */
  entry: number
  offset: number
  length: number
  uncompressedLength: number
}

export interface SealedBlob extends PlacedBlob {
  /** Undefined when the pack is missing or cut. */
  sealed: Uint8Array | undefined
}

/** Blobs that are not wanted are read with the others where a request of its own would cost more. */
const GAP = 256 * 1024
const MOST_RANGE = 16 * 1024 * 1024

/** By number of their pack; `wants` is asked of every entry. */
export function wantedByPack(
  { index }: IndexedRepository,
  wants: (entry: number, pack: number) => boolean,
): Map<number, PlacedBlob[]> {
  const wanted = new Map<number, PlacedBlob[]>()
  for (let entry = 0; entry < index.count; entry += 1) {
    const { pack, ...place } = index.place(entry)
    if (!wants(entry, pack)) continue
    const blobs = wanted.get(pack)
    if (blobs === undefined) wanted.set(pack, [{ entry, ...place }])
    else blobs.push({ entry, ...place })
  }
  return wanted
}

/** The wanted blobs of one pack in the order in which they lie, by ranges. */
export async function* sealedBlobs(
  { storage, packs }: IndexedRepository,
  pack: number,
  wanted: readonly PlacedBlob[],
  cancel: Cancel,
): AsyncGenerator<SealedBlob[]> {
  const file = keyOfFile('data', packs.id(pack))
  for (const { start, end, blobs } of coalesce(wanted)) {
    let bytes: Uint8Array | undefined
    try {
      bytes = await collect(storage.get(file, { range: { start, end }, ...cancel }), end - start)
    } catch (error) {
      if (!isAppError(error, 'storage.not-found', 'storage.truncated')) throw error
    }
    yield blobs.map((blob) => {
      const at = blob.offset - start
      return { ...blob, sealed: bytes?.subarray(at, at + blob.length) }
    })
  }
}

interface Range {
  start: number
  end: number
  blobs: PlacedBlob[]
}

function coalesce(blobs: readonly PlacedBlob[]): Range[] {
  const ranges: Range[] = []
  for (const blob of [...blobs].sort((a, b) => a.offset - b.offset)) {
    const last = ranges.at(-1)
    const end = blob.offset + blob.length
    if (last !== undefined && blob.offset - last.end <= GAP && end - last.start <= MOST_RANGE) {
      last.end = Math.max(last.end, end)
      last.blobs.push(blob)
    } else ranges.push({ start: blob.offset, end, blobs: [blob] })
  }
  return ranges
}
