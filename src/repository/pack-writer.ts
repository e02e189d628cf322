/**
 * Turns content into sealed blobs of packs. One for each thread and type of blob: it works in memory that is used again
 * and again, and shares nothing with others but the index, in which it claims what nobody has stored yet.
 */
import { hash } from 'node:crypto'
import type { Bytes } from '../base/bytes.ts'
import { AppError } from '../base/errors.ts'
import { zstdCompressor, type FrameFunction } from '../base/zstd-frames.ts'
import type { BlobIndex } from './blob-index.ts'
import { memoryFor, opens, type OpenedBlob } from './blob.ts'
import { SEAL_OVERHEAD, sealInto, type SealKey } from './crypto.ts'
import { ID_LENGTH, type BlobType } from './ids.ts'
import { entryLength, encodeHeader } from './pack-header.ts'

/** A pack is closed once it has this many bytes. */
export const PACK_SIZE = 16 * 1024 * 1024
/** Largest content of a data blob; trees may be larger. */
export const MAX_CHUNK = 8 * 1024 * 1024
/** So that headers stay small, also where all blobs are tiny. */
const MOST_BLOBS = 50_000

/** What a finished blob of `length` bytes of content may take. */
export const sealedRoom = (length: number): number => SEAL_OVERHEAD + length + (length >> 7) + 1024

/** What a pack's memory must have: one blob may come when a byte is missing to its size. */
export const packRoom = (packSize: number): number =>
  packSize + sealedRoom(MAX_CHUNK) + MOST_BLOBS * entryLength(1) + SEAL_OVERHEAD + 4

export interface WriterSettings {
  key: SealKey
  index: BlobIndex
  type: BlobType
  /** Of zstd; undefined in a repository of version 1, which has no compression. */
  level: number | undefined
  /** Open each blob again before it counts as written: finds bad memory. */
  verify: boolean
  packSize?: number
}

/** Blobs of a pack in the order in which they lie, without the pack's own header. */
export interface OpenPack {
  memory: Uint8Array
  /** Bytes of blobs. */
  length: number
  /** The entries of the header, not sealed: pack-header.ts. */
  header: Uint8Array
  /** Their numbers in the index. */
  entries: Uint32Array
}

export interface FullPack extends OpenPack {
  id: string
  /** Bytes in all. */
  size: number
}

export interface PackMemory {
  /** Memory of at least that size; the one before belongs to whoever was given its pack. */
  take(size: number): Uint8Array
  /** A pack is finished: to be stored from its memory. */
  full(pack: FullPack): void
}

export interface WriterCounts {
  blobs: number
  /** Bytes of their content, and as they lie in packs. */
  bytes: number
  packed: number
}

/** What all writers of a thread share, as each works to its end before another one begins. */
const compressors = new Map<number, FrameFunction>()

function compressorOf(level: number): FrameFunction {
  const known = compressors.get(level) ?? zstdCompressor(level)
  compressors.set(level, known)
  return known
}

export class PackWriter {
  readonly counts: WriterCounts = { blobs: 0, bytes: 0, packed: 0 }
  readonly #settings: WriterSettings
  readonly #memory: PackMemory
  readonly #packSize: number
  readonly #compress: FrameFunction | undefined
  #pack: Uint8Array | undefined
  #length = 0
  #header = Buffer.allocUnsafeSlow(4096)
  #headerLength = 0
  #entries: number[] = []

  constructor(settings: WriterSettings, memory: PackMemory) {
    this.#settings = settings
    this.#memory = memory
    this.#packSize = settings.packSize ?? PACK_SIZE
    this.#compress = settings.level === undefined ? undefined : compressorOf(settings.level)
  }

  get type(): BlobType {
    return this.#settings.type
  }

  /** Stores what is not there yet. Gives the id, 32 bytes. */
  store(content: Bytes): Buffer {
    const id = hash('sha256', content, 'buffer')
    const { index, type } = this.#settings
    const entry = index.claim(type, id)
    if (entry !== -1) this.#write(content, id, entry)
    return id
  }

  /** Stores what another repository has, compressed as it is there, unless it is here. */
  storeOpened({ packed, content }: OpenedBlob, id: Buffer): void {
    const { index, type } = this.#settings
    const entry = index.claim(type, id)
    if (entry === -1) return
    const asItIs = this.#compress !== undefined && packed !== content
    this.#write(content, id, entry, asItIs ? packed : undefined)
  }

  /** Takes a sealed blob over as it is, from another pack; `entry` is its number in the index. */
  copy(sealed: Bytes, id: Buffer, uncompressedLength: number, entry: number): void {
    if (this.#length > 0 && sealed.length > MAX_CHUNK) this.#finish()
    this.#pack ??= this.#memory.take(Math.max(packRoom(this.#packSize), sealedRoom(sealed.length) + 1024))
    this.#pack.set(sealed, this.#length)
    this.counts.bytes += uncompressedLength === 0 ? sealed.length - SEAL_OVERHEAD : uncompressedLength
    this.#append(id, sealed.length, uncompressedLength, entry)
  }

  /** What is left when no more comes; undefined when there is nothing. */
  rest(): OpenPack | undefined {
    if (this.#length === 0) return undefined
    const rest = this.#open()
    this.#reset()
    return rest
  }

  /** `packed`: its frame, if there is one already. */
  #write(content: Bytes, id: Buffer, entry: number, packed?: Bytes): void {
    const room = sealedRoom(Math.max(content.length, packed?.length ?? 0))
    // Trees may be larger than any chunk.
    if (this.#length > 0 && room > sealedRoom(MAX_CHUNK)) this.#finish()
    this.#pack ??= this.#memory.take(Math.max(packRoom(this.#packSize), room + 1024))
    let plain = packed ?? content
    if (this.#compress !== undefined && packed === undefined) {
      const scratch = memoryFor('packed', room)
      plain = scratch.subarray(0, this.#compress(content, scratch))
    }
    const length = sealInto(this.#settings.key, plain, this.#pack, this.#length)
    const uncompressedLength = this.#compress === undefined ? 0 : content.length
    if (this.#settings.verify) this.#verify(id, length, content.length)
    this.counts.bytes += content.length
    this.#append(id, length, uncompressedLength, entry)
  }

  #append(id: Buffer, length: number, uncompressedLength: number, entry: number): void {
    this.#addToHeader(id, length, uncompressedLength)
    this.#entries.push(entry)
    this.#length += length
    this.counts.blobs += 1
    this.counts.packed += length
    if (this.#length >= this.#packSize || this.#entries.length >= MOST_BLOBS) this.#finish()
  }

  /** Opens the blob again, as a restore would: decrypted, expanded, hashed. */
  #verify(id: Buffer, length: number, contentLength: number): void {
    const { key } = this.#settings
    const sealed = (this.#pack as Uint8Array).subarray(this.#length, this.#length + length)
    if (opens(key, sealed, { id, contentLength, compressed: this.#compress !== undefined })) return
    throw new AppError('run.failed', 'a blob could not be read back right after it was made', {
      hint: 'The memory or the processor of this machine makes mistakes: test it before you trust any backup.',
    })
  }

  #addToHeader(id: Buffer, length: number, uncompressedLength: number): void {
    const one = encodeHeader([{ id, type: this.#settings.type, length, uncompressedLength }])
    if (this.#headerLength + one.length > this.#header.length) {
      const larger = Buffer.allocUnsafeSlow(this.#header.length * 2)
      larger.set(this.#header.subarray(0, this.#headerLength))
      this.#header = larger
    }
    this.#header.set(one, this.#headerLength)
    this.#headerLength += one.length
  }

  #open(): OpenPack {
    return {
      memory: this.#pack as Uint8Array,
      length: this.#length,
      header: Uint8Array.from(this.#header.subarray(0, this.#headerLength)),
      entries: Uint32Array.from(this.#entries),
    }
  }

  #finish(): void {
    const pack = closePack(this.#settings.key, this.#open())
    this.#reset()
    this.#memory.full(pack)
  }

  #reset(): void {
    this.#pack = undefined
    this.#length = 0
    this.#headerLength = 0
    this.#entries = []
  }
}

/** Puts the header behind the blobs, for which the memory has room. */
export function closePack(key: SealKey, pack: OpenPack): FullPack {
  const { memory, length, header } = pack
  const sealed = sealInto(key, header, memory, length)
  const size = length + sealed + 4
  new DataView(memory.buffer, memory.byteOffset).setUint32(length + sealed, sealed, true)
  return { ...pack, size, id: hash('sha256', memory.subarray(0, size), 'hex') }
}

/** One pack out of two, in the memory of the first; undefined when they would be more than a pack has. */
export function joinPacks(a: OpenPack, b: OpenPack, packSize = PACK_SIZE): OpenPack | undefined {
  const room = a.memory.length - a.length - b.length - a.header.length - b.header.length - SEAL_OVERHEAD - 4
  if (a.length + b.length > packSize + MAX_CHUNK / 2 || room < 0) return undefined
  a.memory.set(b.memory.subarray(0, b.length), a.length)
  return {
    memory: a.memory,
    length: a.length + b.length,
    header: Buffer.concat([a.header, b.header]),
    entries: Uint32Array.from([...a.entries, ...b.entries]),
  }
}

/** The 32 bytes of an id among several. */
export const idAt = (ids: Uint8Array, number: number): string =>
  Buffer.from(ids.buffer, ids.byteOffset + number * ID_LENGTH, ID_LENGTH).toString('hex')
