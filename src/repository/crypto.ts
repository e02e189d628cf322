/**
 * How every file and blob is sealed: `IV (16) || AES-256-CTR(plaintext) || Poly1305-AES (16)`. The sum covers the
 * ciphertext alone; which blob it is, is shown by its SHA-256. docs/formats/repository.md §3.
 */
import {
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  randomFillSync,
  type Cipheriv,
  type KeyObject,
} from 'node:crypto'
import type { Bytes } from '../base/bytes.ts'
import { MAC_LENGTH, PIECE, poly1305, polyBegin, polyEnd, polyPiece } from './poly1305.ts'

const IV_LENGTH = 16
/** What sealing adds. */
export const SEAL_OVERHEAD = IV_LENGTH + MAC_LENGTH

/** 64 bytes: AES-256 key (32), AES-128 key k of the sum (16), its r (16). */
export const RAW_KEY_LENGTH = 64

export interface SealKey {
  raw: Uint8Array
  encrypt: KeyObject
  /** AES-128-ECB under k: a block cipher has no state, so one object serves all messages. */
  pad: Cipheriv
  r: Uint8Array
}

export function sealKey(raw: Uint8Array): SealKey {
  if (raw.length !== RAW_KEY_LENGTH) throw new RangeError('a key has 64 bytes')
  const pad = createCipheriv('aes-128-ecb', raw.subarray(32, 48), null)
  pad.setAutoPadding(false)
  return { raw, encrypt: createSecretKey(raw.subarray(0, 32)), pad, r: raw.subarray(48, 64) }
}

/** Random bytes are drawn for many IVs at once. */
const ivs = Buffer.alloc(256 * IV_LENGTH)
let nextIv = ivs.length

function newIv(): Buffer {
  if (nextIv === ivs.length) {
    randomFillSync(ivs)
    nextIv = 0
  }
  nextIv += IV_LENGTH
  return ivs.subarray(nextIv - IV_LENGTH, nextIv)
}

/** Seals into `into` at `at`, which must have room; gives the length. In pieces, so that each stays in the cache. */
export function sealInto(key: SealKey, plaintext: Bytes, into: Uint8Array, at: number): number {
  const iv = newIv()
  into.set(iv, at)
  const cipher = createCipheriv('aes-256-ctr', key.encrypt, iv)
  const { length } = plaintext
  polyBegin(key.r)
  let done = 0
  for (; length - done > PIECE; done += PIECE) {
    const piece = cipher.update(plaintext.subarray(done, done + PIECE))
    into.set(piece, at + IV_LENGTH + done)
    polyPiece(piece)
    giveBack(piece)
  }
  const last = cipher.update(done === 0 ? plaintext : plaintext.subarray(done))
  into.set(last, at + IV_LENGTH + done)
  polyEnd(last, key.pad.update(iv), into, at + IV_LENGTH + length)
  giveBack(last)
  return length + SEAL_OVERHEAD
}

/** At once: the collector would let such memory gather, as it lies outside its heap. */
function giveBack({ buffer, length }: Buffer): void {
  if (length >= 4096 && buffer.byteLength === length && buffer instanceof ArrayBuffer) buffer.transfer(0)
}

export function seal(key: SealKey, plaintext: Bytes): Uint8Array {
  const sealed = Buffer.allocUnsafeSlow(plaintext.length + SEAL_OVERHEAD)
  sealInto(key, plaintext, sealed, 0)
  return sealed
}

const sum = Buffer.alloc(MAC_LENGTH)

/** The plaintext, or undefined when the key is another or a bit is wrong. */
export function unseal(key: SealKey, sealed: Bytes): Buffer | undefined {
  if (!isWhole(key, sealed)) return undefined
  const iv = sealed.subarray(0, IV_LENGTH)
  const ciphertext = sealed.subarray(IV_LENGTH, sealed.length - MAC_LENGTH)
  return createDecipheriv('aes-256-ctr', key.encrypt, iv).update(ciphertext)
}

/** As unseal, into memory that is there; gives the number of bytes, -1 when a bit is wrong. */
export function unsealInto(key: SealKey, sealed: Bytes, into: Uint8Array): number {
  if (!isWhole(key, sealed)) return -1
  const decipher = createDecipheriv('aes-256-ctr', key.encrypt, sealed.subarray(0, IV_LENGTH))
  const ciphertext = sealed.subarray(IV_LENGTH, sealed.length - MAC_LENGTH)
  for (let done = 0; done < ciphertext.length; done += PIECE) {
    const piece = decipher.update(ciphertext.subarray(done, done + PIECE))
    into.set(piece, done)
    giveBack(piece)
  }
  return ciphertext.length
}

function isWhole(key: SealKey, sealed: Bytes): boolean {
  if (sealed.length < SEAL_OVERHEAD) return false
  const ciphertext = sealed.subarray(IV_LENGTH, sealed.length - MAC_LENGTH)
  poly1305(key.r, key.pad.update(sealed.subarray(0, IV_LENGTH)), ciphertext, sum, 0)
  let difference = 0
  for (let i = 0; i < MAC_LENGTH; i += 1)
    difference |= (sum[i] as number) ^ (sealed[sealed.length - MAC_LENGTH + i] as number)
  return difference === 0
}
