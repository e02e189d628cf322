import { isAppError } from '../base/errors.ts'
import type { ByteReader } from '../base/reader.ts'
import type { SourceEntry } from '../model/entry.ts'
import type { BlockWriter } from './block-writer.ts'
import {
  contentHash,
  fill,
  hashOf,
  padded,
  SMALL,
  type ContainerWriter,
  type KnownContent,
  type MaybePromise,
  type StoredFile,
} from './container.ts'
import type { ContentPlace } from './index-format.ts'
import { BLOCK, headerLength, padding, putHeader, sparseMap, TAR_END, tarHeader } from './tar.ts'

const ZEROS = new Uint8Array(64 * 1024)

/** Writes a backup's container as tar. */
export function tarWriter(out: BlockWriter): ContainerWriter {
  async function zeros(count: number): Promise<void> {
    for (let rest = count; rest > 0; rest -= ZEROS.length)
      await out.write(ZEROS.subarray(0, Math.min(rest, ZEROS.length)))
  }

  function small(
    entry: SourceEntry,
    reader: ByteReader,
    size: number,
    known: KnownContent,
  ): MaybePromise<StoredFile | ContentPlace> {
    const head = headerLength(entry, size)
    const room = out.room(head + size + BLOCK)
    return room === undefined
      ? inBlock(entry, reader, size, known, head)
      : room.then(() => inBlock(entry, reader, size, known, head))
  }

  function inBlock(
    entry: SourceEntry,
    reader: ByteReader,
    size: number,
    known: KnownContent,
    head: number,
  ): MaybePromise<StoredFile | ContentPlace> {
    const content = out.memory.subarray(out.used + head, out.used + head + size)
    const got = fill(reader, content)
    return typeof got === 'number'
      ? finish(entry, content, got, known, head)
      : got.then((count) => finish(entry, content, count, known, head))
  }

  /** Content first, header after, in front of it: the header then has the true size. */
  function finish(
    entry: SourceEntry,
    content: Buffer,
    got: number,
    known: KnownContent,
    head: number,
  ): StoredFile | ContentPlace {
    const hash = hashOf(got === content.length ? content : content.subarray(0, got))
    const place = known(hash, got)
    if (place !== undefined) return place
    const { memory, used } = out
    putHeader(memory, used, head, entry, got)
    const end = used + head + got
    const pad = padding(got)
    memory.fill(0, end, end + pad)
    const at = out.offset + head
    out.advance(head + got + pad)
    return { size: got, place: { hash, at } }
  }

  /** The header promises `size` bytes. A file that shrank is filled up with zeros; the index tells its true size. */
  async function large(entry: SourceEntry, reader: ByteReader, size: number): Promise<StoredFile> {
    const map = entry.extents === undefined ? undefined : sparseMap(entry.extents, entry.size)
    await out.write(tarHeader(entry, (map?.length ?? 0) + size, map))
    if (map !== undefined) await out.write(map)
    const at = out.offset
    const hash = contentHash()
    let got = 0
    const content = map === undefined ? reader : padded(reader, size)
    while (got < size) {
      const room = out.room(1)
      if (room !== undefined) await room
      const { memory, used } = out
      const wanted = memory.subarray(used, used + Math.min(memory.length - used, size - got))
      let count: number
      try {
        const answer = content.read(wanted)
        count = typeof answer === 'number' ? answer : await answer
      } catch (error) {
        // No index line will name this member, but what comes after it must begin where its header says that it ends.
        if (isAppError(error, 'source.not-found', 'source.denied', 'source.failed'))
          await zeros(size - got + padding(size))
        throw error
      }
      if (count === 0) break
      hash.update(wanted.subarray(0, count))
      out.advance(count)
      got += count
    }
    await zeros(size - got + padding(size))
    const place = { hash: hash.digest(), at, ...(entry.extents && { extents: entry.extents }) }
    return { size: entry.extents === undefined ? got : entry.size, place }
  }

  return {
    member: (entry) => out.write(tarHeader(entry, 0)),
    file(entry, reader, known) {
      const data = entry.extents?.reduce((sum, [, length]) => sum + length, 0)
      const size = data ?? reader.size ?? entry.size
      return size <= SMALL && data === undefined ? small(entry, reader, size, known) : large(entry, reader, size)
    },
    end: async () => out.write(TAR_END),
  }
}
