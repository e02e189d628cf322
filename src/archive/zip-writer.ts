/**
 * Zip with zip64 where needed; `unzip` and every desktop opens it. Layout: APPNOTE 4.3; what is used of it:
 * docs/formats/archive.md §4. Content is deflated file by file.
 */
import { Readable } from 'node:stream'
import { crc32, createDeflateRaw, deflateRawSync } from 'node:zlib'
import { streamOfReader, type ByteReader } from '../base/reader.ts'
import { pathToBytes } from '../base/paths.ts'
import { tap } from '../base/streams.ts'
import type { Entry, EntryKind, SourceEntry } from '../model/entry.ts'
import type { BlockWriter } from './block-writer.ts'
import {
  contentHash,
  fill,
  hashOf,
  padded,
  SMALL,
  type ContainerWriter,
  type KnownContent,
  type StoredFile,
} from './container.ts'
import type { ContentPlace } from './index-format.ts'

const MAX32 = 0xffff_ffff
const FILE_TYPE: Record<EntryKind, number> = {
  file: 0o100_000,
  directory: 0o040_000,
  symlink: 0o120_000,
  fifo: 0o010_000,
  chardev: 0o020_000,
  blockdev: 0o060_000,
  socket: 0o140_000,
}

interface Member {
  name: Buffer
  method: 0 | 8
  crc: number
  packed: number
  size: number
  /** Of the local header. */
  at: number
  streamed: boolean
}

export function zipWriter(out: BlockWriter, level: number): ContainerWriter {
  const directory: Buffer[] = []
  let count = 0

  async function whole(entry: Entry, content: Uint8Array): Promise<Member> {
    const deflated = content.length > 0 ? deflateRawSync(content, { level }) : content
    const smaller = deflated.length < content.length
    const bytes = smaller ? deflated : content
    const member: Member = {
      ...named(entry),
      method: smaller ? 8 : 0,
      crc: crc32(content),
      packed: bytes.length,
      size: content.length,
      at: out.offset,
      streamed: false,
    }
    await out.write(localHeader(entry, member))
    await out.write(bytes)
    return member
  }

  async function small(
    entry: SourceEntry,
    reader: ByteReader,
    size: number,
    known: KnownContent,
  ): Promise<StoredFile | ContentPlace> {
    const memory = Buffer.allocUnsafe(size)
    const content = memory.subarray(0, await fill(reader, memory))
    const hash = hashOf(content)
    const place = known(hash, content.length)
    if (place !== undefined) return place
    const member = await whole(entry, content)
    list(entry, member)
    return {
      size: content.length,
      place: { hash, at: out.offset - member.packed, packed: member.method === 8 ? member.packed : undefined },
    }
  }

  /** Sizes are not known before the content ends: they follow it in a data descriptor. */
  async function large(entry: SourceEntry, reader: ByteReader): Promise<StoredFile> {
    const member: Member = { ...named(entry), method: 8, crc: 0, packed: 0, size: 0, at: out.offset, streamed: true }
    await out.write(localHeader(entry, member))
    const at = out.offset
    const hash = contentHash()
    const see = tap((chunk) => {
      hash.update(chunk)
      member.crc = crc32(chunk, member.crc)
      member.size += chunk.length
    })
    const deflate = createDeflateRaw({ level, chunkSize: 256 * 1024 })
    const source = Readable.from(see(streamOfReader(reader)), { objectMode: false })
    source.on('error', (error) => deflate.destroy(error))
    for await (const chunk of source.pipe(deflate) as AsyncIterable<Buffer>) await out.write(chunk)
    member.packed = out.offset - at
    const descriptor = Buffer.alloc(24)
    descriptor.writeUInt32LE(0x0807_4b50, 0)
    descriptor.writeUInt32LE(member.crc, 4)
    descriptor.writeBigUInt64LE(BigInt(member.packed), 8)
    descriptor.writeBigUInt64LE(BigInt(member.size), 16)
    await out.write(descriptor)
    list(entry, member)
    return { size: member.size, place: { hash: hash.digest(), at, packed: member.packed } }
  }

  function list(entry: Entry, member: Member): void {
    directory.push(directoryHeader(entry, member))
    count += 1
  }

  return {
    async member(entry) {
      const link = withoutHardlink(entry)
      // Devices and fifos have no form in zip: the index has them, and Holdfast restores them from there.
      if (link.kind !== 'directory' && link.kind !== 'symlink') return
      list(link, await whole(link, link.kind === 'symlink' ? pathToBytes(link.linkTarget ?? '') : new Uint8Array(0)))
    },
    async file(entry, reader, known) {
      // Holes have no form in zip either: with extents the reader leaves them out, and the index says where they were.
      const data = entry.extents?.reduce((sum, [, length]) => sum + length, 0)
      const size = data ?? reader.size ?? entry.size
      const stored =
        size <= SMALL && data === undefined
          ? await small(entry, reader, size, known)
          : await large(entry, data === undefined ? reader : padded(reader, data))
      if (data === undefined || !('place' in stored)) return stored
      return { size: entry.size, place: { ...stored.place, extents: entry.extents } }
    },
    async end() {
      const at = out.offset
      for (const header of directory) await out.write(header)
      await out.write(directoryEnd(count, out.offset - at, at))
    },
  }
}

function named(entry: Entry): { name: Buffer } {
  return { name: pathToBytes(entry.kind === 'directory' ? `${entry.path}/` : entry.path) }
}

/** Bit 11: names are UTF-8. Bit 3: sizes follow the content. */
const flags = (member: Member): number => 0x0800 | (member.streamed ? 0x0008 : 0)

function localHeader(entry: Entry, member: Member): Buffer {
  const zip64 = member.streamed ? 20 : 0
  const out = Buffer.alloc(30 + member.name.length + zip64)
  out.writeUInt32LE(0x0403_4b50, 0)
  out.writeUInt16LE(member.streamed ? 45 : 20, 4)
  common(out, 6, entry, member)
  if (member.streamed) {
    out.writeUInt32LE(MAX32, 18)
    out.writeUInt32LE(MAX32, 22)
  }
  out.writeUInt16LE(member.name.length, 26)
  out.writeUInt16LE(zip64, 28)
  out.set(member.name, 30)
  if (zip64 > 0) {
    out.writeUInt16LE(1, 30 + member.name.length)
    out.writeUInt16LE(16, 32 + member.name.length)
  }
  return out
}

/** flags, method, time, date, crc, packed, size */
function common(out: Buffer, at: number, entry: Entry, member: Member): void {
  const [time, date] = dosTime(entry.mtime.s)
  out.writeUInt16LE(flags(member), at)
  out.writeUInt16LE(member.method, at + 2)
  out.writeUInt16LE(time, at + 4)
  out.writeUInt16LE(date, at + 6)
  out.writeUInt32LE(member.crc, at + 8)
  out.writeUInt32LE(Math.min(member.packed, MAX32), at + 12)
  out.writeUInt32LE(Math.min(member.size, MAX32), at + 16)
}

function directoryHeader(entry: Entry, member: Member): Buffer {
  const long = [member.size, member.packed, member.at].filter((value) => value >= MAX32)
  const zip64 = long.length > 0 ? 4 + 8 * long.length : 0
  // Extended timestamp: `UT`, 5 bytes, flag 1 = modification time.
  const stamp = entry.mtime.s >= -(2 ** 31) && entry.mtime.s < 2 ** 31 ? 9 : 0
  const out = Buffer.alloc(46 + member.name.length + zip64 + stamp)
  out.writeUInt32LE(0x0201_4b50, 0)
  out.writeUInt16LE((3 << 8) | 45, 4)
  out.writeUInt16LE(member.streamed || zip64 > 0 ? 45 : 20, 6)
  common(out, 8, entry, member)
  out.writeUInt16LE(member.name.length, 28)
  out.writeUInt16LE(zip64 + stamp, 30)
  const dos = entry.kind === 'directory' ? 0x10 : 0
  out.writeUInt32LE((((FILE_TYPE[entry.kind] | entry.mode) << 16) | dos) >>> 0, 38)
  out.writeUInt32LE(Math.min(member.at, MAX32), 42)
  out.set(member.name, 46)
  let at = 46 + member.name.length
  if (zip64 > 0) {
    out.writeUInt16LE(1, at)
    out.writeUInt16LE(zip64 - 4, at + 2)
    long.forEach((value, index) => out.writeBigUInt64LE(BigInt(value), at + 4 + 8 * index))
    at += zip64
  }
  if (stamp > 0) {
    out.write('UT', at, 'latin1')
    out.writeUInt16LE(5, at + 2)
    out[at + 4] = 1
    out.writeInt32LE(entry.mtime.s, at + 5)
  }
  return out
}

/** Zip64 end record and locator, then the classic end. */
function directoryEnd(count: number, size: number, at: number): Buffer {
  const out = Buffer.alloc(56 + 20 + 22)
  out.writeUInt32LE(0x0606_4b50, 0)
  out.writeBigUInt64LE(44n, 4)
  out.writeUInt16LE((3 << 8) | 45, 12)
  out.writeUInt16LE(45, 14)
  out.writeBigUInt64LE(BigInt(count), 24)
  out.writeBigUInt64LE(BigInt(count), 32)
  out.writeBigUInt64LE(BigInt(size), 40)
  out.writeBigUInt64LE(BigInt(at), 48)
  out.writeUInt32LE(0x0706_4b50, 56)
  out.writeBigUInt64LE(BigInt(at + size), 64)
  out.writeUInt32LE(1, 72)
  out.writeUInt32LE(0x0605_4b50, 76)
  out.writeUInt16LE(Math.min(count, 0xffff), 84)
  out.writeUInt16LE(Math.min(count, 0xffff), 86)
  out.writeUInt32LE(Math.min(size, MAX32), 88)
  out.writeUInt32LE(Math.min(at, MAX32), 92)
  return out
}

/** Two-second steps from 1980 on, in UTC. */
function dosTime(seconds: number): [number, number] {
  const date = new Date(Math.max(seconds, 315_532_800) * 1000)
  const year = Math.min(date.getUTCFullYear() - 1980, 127)
  return [
    (date.getUTCHours() << 11) | (date.getUTCMinutes() << 5) | (date.getUTCSeconds() >> 1),
    (year << 9) | ((date.getUTCMonth() + 1) << 5) | date.getUTCDate(),
  ]
}

/** Zip has no hard links: a further name becomes a symlink to the first one. The index of a backup has what it was. */
function withoutHardlink(entry: Entry): Entry {
  const { hardlink, ...rest } = entry
  if (hardlink === undefined) return entry
  const up = '../'.repeat(entry.path.split('/').length - 1)
  return { ...rest, kind: 'symlink', mode: 0o777, size: 0, linkTarget: `${up}${hardlink}` }
}
