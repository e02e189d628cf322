/**
 * Authenticated encryption of a stream, in segments, so that a part of it can be read alone and truncation shows.
 * The bytes: docs/formats/archive.md §5.
 *
 *   0  4  magic "HFE1"
 *   4  4  length n of the header, u32 LE
 *   8  n  header, JSON: { cipher, segment, salt, kdf, check }
 *  8+n    segments: AES-256-GCM ciphertext of `segment` bytes (the last may be shorter), then its 16-byte tag
 *
 * Nonce: segment number (11 bytes, big endian), then 1 for the last segment, else 0. Each stream has a key of its own
 * (HKDF of the master key with the header's random salt), so a nonce never meets a key twice. The hash of the header
 * is authenticated with every segment.
 */
import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto'
import type { Bytes } from '../base/bytes.ts'
import { AppError } from '../base/errors.ts'
import { rechunk, type ByteStream } from '../base/streams.ts'
import { parseKdf, subkey, type KeyInfo, type MasterKey } from './keys.ts'

const MAGIC = Buffer.from('HFE1', 'latin1')
const TAG = 16
const MAX_HEADER = 64 * 1024
export const SEGMENT = 256 * 1024

export interface SealedHeader {
  key: KeyInfo
  segment: number
  salt: Buffer
  /** Bytes of the header in the stream. */
  length: number
  hash: Buffer
}

interface SegmentKeys {
  key: Buffer
  headerHash: Buffer
}

export function makeHeader(master: MasterKey, segment: number = SEGMENT): { bytes: Buffer; header: SealedHeader } {
  const salt = randomBytes(32)
  const { kdf, check } = master
  const json = Buffer.from(
    JSON.stringify({ cipher: 'aes-256-gcm', segment, salt: salt.toString('base64'), kdf, check }),
    'utf8',
  )
  const bytes = Buffer.concat([MAGIC, Buffer.alloc(4), json])
  bytes.writeUInt32LE(json.length, 4)
  return { bytes, header: { key: { kdf, check }, segment, salt, length: bytes.length, hash: sha256(bytes) } }
}

/** The length of the whole header, from its first 8 bytes. */
export function headerLength(first: Bytes, what: string): number {
  const bytes = Buffer.from(first)
  if (bytes.length < 8 || !bytes.subarray(0, 4).equals(MAGIC)) {
    throw new AppError('backup.damaged', `${what} does not begin with the mark of an encrypted stream`)
  }
  const length = bytes.readUInt32LE(4)
  if (length > MAX_HEADER) throw new AppError('backup.damaged', `${what} has a header of ${length} bytes`)
  return 8 + length
}

export function parseHeader(bytes: Bytes, what: string): SealedHeader {
  const bad = (cause?: unknown): AppError =>
    new AppError('backup.damaged', `the header of ${what} cannot be read`, { cause })
  let value: Record<string, unknown>
  try {
    value = JSON.parse(Buffer.from(bytes.subarray(8)).toString('utf8')) as Record<string, unknown>
  } catch (error) {
    throw bad(error)
  }
  const { cipher, segment, salt, check } = value
  if (cipher !== 'aes-256-gcm' || typeof salt !== 'string' || typeof check !== 'string') throw bad()
  if (typeof segment !== 'number' || !Number.isInteger(segment) || segment < 1024 || segment > 16 * 1024 * 1024)
    throw bad()
  const key = { kdf: parseKdf(value['kdf'], what), check }
  return { key, segment, salt: Buffer.from(salt, 'base64'), length: bytes.length, hash: sha256(bytes) }
}

/** Encrypts a stream: header, segments. */
export async function* seal(
  input: ByteStream,
  master: MasterKey,
  segmentSize: number = SEGMENT,
): AsyncGenerator<Bytes> {
  const { bytes, header } = makeHeader(master, segmentSize)
  yield bytes
  const keys = segmentKeys(master, header)
  let number = 0
  // One segment is held back, because the last one is marked.
  let held: Uint8Array | undefined
  for await (const segment of rechunk(input, segmentSize)) {
    if (held !== undefined) yield* sealSegment(keys, number++, false, held)
    held = segment
  }
  yield* sealSegment(keys, number, true, held ?? new Uint8Array(0))
}

/** Which stored bytes hold plaintext `start…end` of a sealed stream of `storedSize` bytes. */
export function sealedRange(
  header: SealedHeader,
  storedSize: number,
  start: number,
  end: number,
): { start: number; end: number; first: number } {
  const stride = header.segment + TAG
  const first = Math.floor(start / header.segment)
  const last = Math.max(first, Math.ceil(end / header.segment) - 1)
  return {
    first,
    start: header.length + first * stride,
    end: Math.min(storedSize, header.length + (last + 1) * stride),
  }
}

/** The plaintext size of a sealed stream; `backup.damaged` if no stream can have that many bytes. */
export function plainSize(header: SealedHeader, storedSize: number, what: string): number {
  const body = storedSize - header.length
  const stride = header.segment + TAG
  const segments = Math.max(1, Math.ceil(body / stride))
  const size = body - segments * TAG
  if (size < 0 || (segments > 1 && body - (segments - 1) * stride < TAG)) {
    throw new AppError('backup.damaged', `${what} has been cut off`)
  }
  return size
}

/**
 * Decrypts whole segments, from number `first` on. `storedSize` is the size of the whole stream: it tells which segment
 * is the last, so that a stream that was cut off fails.
 */
export async function* unseal(
  segments: ByteStream,
  master: MasterKey,
  header: SealedHeader,
  { first, storedSize, what }: { first: number; storedSize: number; what: string },
): AsyncGenerator<Bytes> {
  const keys = segmentKeys(master, header)
  const stride = header.segment + TAG
  const lastNumber = Math.max(0, Math.ceil((storedSize - header.length) / stride) - 1)
  let number = first
  for await (const sealed of rechunk(segments, stride)) {
    yield openSegment(keys, number, number === lastNumber, sealed, what)
    number += 1
  }
}

function segmentKeys(master: MasterKey, header: SealedHeader): SegmentKeys {
  return { key: subkey(master.secret, header.salt, 'stream'), headerHash: header.hash }
}

function nonce(number: number, last: boolean): Buffer {
  const bytes = Buffer.alloc(12)
  bytes.writeUIntBE(number, 5, 6)
  bytes[11] = last ? 1 : 0
  return bytes
}

function* sealSegment(keys: SegmentKeys, number: number, last: boolean, plain: Bytes): Generator<Bytes> {
  const cipher = createCipheriv('aes-256-gcm', keys.key, nonce(number, last))
  cipher.setAAD(keys.headerHash)
  yield cipher.update(plain)
  cipher.final()
  yield cipher.getAuthTag()
}

function openSegment(keys: SegmentKeys, number: number, last: boolean, sealed: Uint8Array, what: string): Bytes {
  if (sealed.length < TAG) throw new AppError('backup.damaged', `segment ${number} of ${what} has been cut off`)
  const decipher = createDecipheriv('aes-256-gcm', keys.key, nonce(number, last))
  decipher.setAAD(keys.headerHash)
  decipher.setAuthTag(sealed.subarray(sealed.length - TAG))
  const plain = decipher.update(sealed.subarray(0, sealed.length - TAG))
  try {
    decipher.final()
  } catch (error) {
    throw new AppError('backup.damaged', `segment ${number} of ${what} is not what was written`, { cause: error })
  }
  return plain
}

const sha256 = (bytes: Bytes): Buffer => createHash('sha256').update(bytes).digest()
