/** From a password or a raw key to the master key of an archive vault. docs/formats/archive.md §5. */
import { createHmac, hkdfSync, pbkdf2, randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { AppError } from '../base/errors.ts'

export type Kdf =
  | { type: 'scrypt'; salt: string; N: number; r: number; p: number }
  | { type: 'pbkdf2-sha256'; salt: string; iterations: number }
  | { type: 'raw' }

/** How to get the master key, and how to know that it is the right one. Safe to publish. */
export interface KeyInfo {
  kdf: Kdf
  /** 16 bytes that only the right key gives, base64. */
  check: string
}

export interface MasterKey extends KeyInfo {
  secret: Buffer
}

export const SCRYPT_DEFAULT = { N: 32_768, r: 8, p: 3 }
export const PBKDF2_DEFAULT_ITERATIONS = 600_000
/** Memory and time that parameters from outside may cost. */
const MAX_SCRYPT = 512 * 1024 * 1024
const MAX_WORK = 2 ** 26
const MAX_ITERATIONS = 20_000_000

const scryptAsync = promisify(scrypt) as (
  password: string,
  salt: Uint8Array,
  length: number,
  options: { N: number; r: number; p: number; maxmem: number },
) => Promise<Buffer>
const pbkdf2Async = promisify(pbkdf2)

export const newSalt = (): string => randomBytes(32).toString('base64')

/** A new key: derived, with its check value. */
export async function createKey(kdf: Kdf, secret: string): Promise<MasterKey> {
  const key = await derive(kdf, secret)
  return { kdf, check: checkValue(key).toString('base64'), secret: key }
}

/** The key that `info` describes; `vault.wrong-password` when `secret` does not give it. */
export async function unlockKey(info: KeyInfo, secret: string, what: string): Promise<MasterKey> {
  const key = await derive(info.kdf, secret)
  const expected = Buffer.from(info.check, 'base64')
  if (expected.length !== 16 || !timingSafeEqual(checkValue(key), expected)) {
    throw new AppError(
      'vault.wrong-password',
      `this ${info.kdf.type === 'raw' ? 'key' : 'password'} does not open ${what}`,
    )
  }
  return { ...info, secret: key }
}

/** One key for one purpose. */
export function subkey(master: Buffer, salt: Uint8Array, purpose: string): Buffer {
  return Buffer.from(hkdfSync('sha256', master, salt, `holdfast ${purpose} v1`, 32))
}

/** 32 bytes from base64 or hex; or, as the key is a password then, undefined. */
export function parseRawKey(text: string): Buffer | undefined {
  const trimmed = text.trim()
  if (/^[0-9a-f]{64}$/i.test(trimmed)) return Buffer.from(trimmed, 'hex')
  if (/^[A-Za-z0-9+/_-]{43}=?$/.test(trimmed)) return Buffer.from(trimmed, 'base64')
  return undefined
}

export function parseKdf(value: unknown, what: string): Kdf {
  const bad = (): AppError => new AppError('backup.damaged', `${what} has key parameters that make no sense`)
  if (typeof value !== 'object' || value === null) throw bad()
  const { type, salt, N, r, p, iterations } = value as Record<string, unknown>
  if (type === 'raw') return { type }
  if (typeof salt !== 'string') throw bad()
  if (type === 'pbkdf2-sha256') {
    if (!isCount(iterations) || iterations > MAX_ITERATIONS) throw bad()
    return { type, salt, iterations }
  }
  if (type !== 'scrypt' || !isCount(N) || !isCount(r) || !isCount(p)) throw bad()
  if (N < 2 || (N & (N - 1)) !== 0 || N > 2 ** 30) throw bad()
  if (128 * N * r > MAX_SCRYPT || 128 * p * r > MAX_SCRYPT || N * r * p > MAX_WORK) throw bad()
  return { type, salt, N, r, p }
}

const isCount = (value: unknown): value is number => typeof value === 'number' && Number.isInteger(value) && value > 0

async function derive(kdf: Kdf, secret: string): Promise<Buffer> {
  if (kdf.type === 'raw') {
    const key = parseRawKey(secret)
    if (key === undefined) {
      throw new AppError('vault.wrong-password', 'the key is not 32 bytes in base64 or hex', {
        hint: 'Make one with `openssl rand -base64 32`, or use a password instead.',
      })
    }
    return key
  }
  const salt = Buffer.from(kdf.salt, 'base64')
  if (kdf.type === 'pbkdf2-sha256') return pbkdf2Async(secret, salt, kdf.iterations, 32, 'sha256')
  const { N, r, p } = kdf
  return scryptAsync(secret, salt, 32, { N, r, p, maxmem: 256 * r * (N + p) + 1024 * 1024 })
}

function checkValue(key: Buffer): Buffer {
  return createHmac('sha256', key).update('holdfast key check v1').digest().subarray(0, 16)
}
