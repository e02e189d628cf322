import {
  argon2Sync,
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  randomBytes,
  scryptSync,
} from 'node:crypto'
import { AppError } from '../base/errors.ts'

/**
 * `enc:v1:` and base64url of
 *
 *     0   1  key derivation: 1 argon2id (64 MiB, 3 passes, 1 lane), 2 scrypt (N 2^16, r 8, p 1)
 *     1  16  salt
 *    17  12  nonce
 *    29   8  check of the key: HMAC-SHA-256(key, "holdfast secret check"), cut
 *    37   n  AES-256-GCM of the UTF-8 text; bytes 0…36 are authenticated with it
 *  37+n  16  its tag
 *  53+n   4  SHA-256 of all before, cut: a damaged value is told from a wrong passphrase before any key is tried
 */
export const ENCRYPTED = /enc:v1:[\w-]+/g

export type Kdf = 'argon2id' | 'scrypt'

/** A passphrase as typed, or the bytes of a key file. */
export type BoxKey = { passphrase: string } | { keyFile: Uint8Array }

const KDF_IDS: Record<Kdf, number> = { argon2id: 1, scrypt: 2 }
const SALT = 1
const NONCE = 17
const CHECK = 29
const BODY = 37
const TAG_LENGTH = 16
const SUM_LENGTH = 4

export const isEncrypted = (text: string): boolean => text.startsWith('enc:v1:')

export function encryptSecret(plain: string, key: BoxKey & { kdf?: Kdf }): string {
  const head = Buffer.concat([Buffer.from([KDF_IDS[key.kdf ?? 'argon2id']]), randomBytes(NONCE - SALT + CHECK - NONCE)])
  const derived = derive(head, key)
  const header = Buffer.concat([head, checkOf(derived)])
  const cipher = createCipheriv('aes-256-gcm', derived, header.subarray(NONCE, CHECK))
  cipher.setAAD(header)
  const body = Buffer.concat([header, cipher.update(plain, 'utf8'), cipher.final(), cipher.getAuthTag()])
  return `enc:v1:${Buffer.concat([body, sumOf(body)]).toString('base64url')}`
}

/** Throws `config.secret`; the message tells a wrong passphrase from a damaged value. */
export function decryptSecret(text: string, key: BoxKey): string {
  const bytes = Buffer.from(text.slice('enc:v1:'.length), 'base64url')
  const body = bytes.subarray(0, -SUM_LENGTH)
  if (bytes.length < BODY + TAG_LENGTH + SUM_LENGTH || !bytes.subarray(-SUM_LENGTH).equals(sumOf(body))) throw damaged()
  const derived = derive(body, key)
  if (!body.subarray(CHECK, BODY).equals(checkOf(derived))) {
    throw new AppError('config.secret', 'cannot decrypt an enc: value: wrong passphrase or key file', {
      hint: 'Set HOLDFAST_SECRET_PASSPHRASE, HOLDFAST_SECRET_PASSPHRASE_FILE or HOLDFAST_SECRET_KEY_FILE to what encrypted it.',
    })
  }
  const decipher = createDecipheriv('aes-256-gcm', derived, body.subarray(NONCE, CHECK), { authTagLength: TAG_LENGTH })
  decipher.setAAD(body.subarray(0, BODY))
  decipher.setAuthTag(body.subarray(-TAG_LENGTH))
  try {
    return Buffer.concat([decipher.update(body.subarray(BODY, -TAG_LENGTH)), decipher.final()]).toString('utf8')
  } catch (cause) {
    throw damaged(cause)
  }
}

/** Which derivation a value was made with; undefined where it is damaged. */
export function kdfOf(text: string): Kdf | undefined {
  const id = Buffer.from(text.slice('enc:v1:'.length), 'base64url')[0]
  return (Object.keys(KDF_IDS) as Kdf[]).find((kdf) => KDF_IDS[kdf] === id)
}

const damaged = (cause?: unknown): AppError =>
  new AppError('config.secret', 'cannot decrypt an enc: value: it is damaged or cut off', {
    hint: 'Make the value again with `holdfast secret encrypt`; the passphrase is not the cause.',
    cause,
  })

const checkOf = (key: Buffer): Buffer =>
  createHmac('sha256', key)
    .update('holdfast secret check')
    .digest()
    .subarray(0, BODY - CHECK)

const sumOf = (body: Uint8Array): Buffer => createHash('sha256').update(body).digest().subarray(0, SUM_LENGTH)

function derive(header: Buffer, key: BoxKey): Buffer {
  const secret = 'passphrase' in key ? Buffer.from(key.passphrase.normalize('NFC'), 'utf8') : Buffer.from(key.keyFile)
  if (secret.length === 0) throw new AppError('config.secret', 'the passphrase or key file for enc: values is empty')
  const salt = header.subarray(SALT, NONCE)
  if (header[0] === KDF_IDS.argon2id) {
    const cost = { parallelism: 1, memory: 64 * 1024, passes: 3, tagLength: 32 }
    return argon2Sync('argon2id', { message: secret, nonce: salt, ...cost })
  }
  if (header[0] === KDF_IDS.scrypt) {
    return scryptSync(secret, salt, 32, { N: 2 ** 16, r: 8, p: 1, maxmem: 128 * 1024 * 1024 })
  }
  throw new AppError('config.secret', 'cannot decrypt an enc: value: made by a newer version')
}
