/**
 * age v1 files (age-encryption.org/v1): X25519 recipients or a passphrase, so that `age -d` opens them. Header by hand,
 * primitives from Node. The payload is ChaCha20-Poly1305 in 64 KiB chunks and can be read from any chunk on.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  hkdfSync,
  randomBytes,
  scrypt,
  timingSafeEqual,
} from 'node:crypto'
import { createPrivateKey, createPublicKey, diffieHellman, generateKeyPairSync } from 'node:crypto'
import { promisify } from 'node:util'
import type { Bytes } from '../base/bytes.ts'
import { AppError } from '../base/errors.ts'
import { collect, rechunk, type ByteStream } from '../base/streams.ts'
import type { Secret } from '../model/settings.ts'
import { cut, type ByteSource, type Opener, type Sealer } from './cipher.ts'
import { decodeBech32 } from './bech32.ts'

const CHUNK = 64 * 1024
const TAG = 16
const MAX_HEADER = 64 * 1024
/** 64 MiB for a moment; `age` itself takes four times that. */
const WORK_FACTOR = 16
const MAX_WORK_FACTOR = 22

interface Stanza {
  type: string
  args: string[]
  body: Buffer
}

const scryptAsync = promisify(scrypt) as (
  password: string,
  salt: Uint8Array,
  length: number,
  options: { N: number; r: number; p: number; maxmem: number },
) => Promise<Buffer>
const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64').replaceAll('=', '')
const hkdf = (key: Uint8Array, salt: Uint8Array, info: string): Buffer =>
  Buffer.from(hkdfSync('sha256', key, salt, info, 32))

export function ageSealer(recipients: readonly string[], password: Secret | undefined): Sealer {
  return {
    info: { type: 'age' },
    async *seal(stream) {
      const fileKey = randomBytes(16)
      const stanzas = recipients.map((recipient) => wrapX25519(recipient, fileKey))
      if (stanzas.length === 0) {
        if (password === undefined)
          throw new AppError('vault.no-password', 'age encryption needs recipients or a password')
        stanzas.push(await wrapScrypt(await password.read(), fileKey))
      }
      const head = Buffer.from(`age-encryption.org/v1\n${stanzas.map(stanzaText).join('')}---`, 'latin1')
      const nonce = randomBytes(16)
      yield Buffer.concat([head, Buffer.from(` ${base64(headerMac(fileKey, head))}\n`, 'latin1'), nonce])
      yield* sealChunks(stream, hkdf(fileKey, nonce, 'payload'))
    },
  }
}

export function ageOpener(identity: Secret | undefined, password: Secret | undefined): Opener {
  return {
    async open(stored) {
      const { head, stanzas, mac, length } = await readHeader(stored)
      const fileKey = await unwrap(stanzas, identity, password, stored.what)
      if (!timingSafeEqual(headerMac(fileKey, head), mac))
        throw new AppError('backup.damaged', `the age header of ${stored.what} was changed`)
      const nonce = await collect(stored.read({ start: length, end: length + 16 }))
      const key = hkdf(fileKey, nonce, 'payload')
      const start = length + 16
      const body = stored.size - start
      const chunks = Math.max(1, Math.ceil(body / (CHUNK + TAG)))
      const size = body - chunks * TAG
      if (size < 0) throw new AppError('backup.damaged', `${stored.what} has been cut off`)
      return {
        size,
        what: stored.what,
        async *read(range) {
          const first = Math.min(Math.floor(range.start / CHUNK), chunks - 1)
          const last = Math.min(Math.max(first, Math.ceil(range.end / CHUNK) - 1), chunks - 1)
          const sealed = stored.read({
            start: start + first * (CHUNK + TAG),
            end: Math.min(stored.size, start + (last + 1) * (CHUNK + TAG)),
          })
          yield* cut(
            openChunks(sealed, key, first, chunks, stored.what),
            range.start - first * CHUNK,
            range.end - range.start,
          )
        },
      }
    },
  }
}

async function* sealChunks(stream: ByteStream, key: Buffer): AsyncGenerator<Bytes> {
  let number = 0
  let held: Uint8Array | undefined
  for await (const chunk of rechunk(stream, CHUNK)) {
    if (held !== undefined) yield sealChunk(key, number++, false, held)
    held = chunk
  }
  yield sealChunk(key, number, true, held ?? new Uint8Array(0))
}

function chunkNonce(number: number, last: boolean): Buffer {
  const nonce = Buffer.alloc(12)
  nonce.writeUIntBE(number, 5, 6)
  nonce[11] = last ? 1 : 0
  return nonce
}

function sealChunk(key: Buffer, number: number, last: boolean, plain: Bytes): Buffer {
  const cipher = createCipheriv('chacha20-poly1305', key, chunkNonce(number, last), { authTagLength: TAG })
  return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()])
}

async function* openChunks(
  sealed: ByteStream,
  key: Buffer,
  first: number,
  total: number,
  what: string,
): AsyncGenerator<Bytes> {
  let number = first
  for await (const chunk of rechunk(sealed, CHUNK + TAG)) {
    yield openSealed(key, chunkNonce(number, number === total - 1), chunk, `chunk ${number} of ${what}`)
    number += 1
  }
}

function openSealed(key: Buffer, nonce: Buffer, sealed: Uint8Array, what: string): Buffer {
  const damaged = (cause?: unknown): AppError =>
    new AppError('backup.damaged', `${what} is not what was written`, { cause })
  if (sealed.length < TAG) throw damaged()
  const decipher = createDecipheriv('chacha20-poly1305', key, nonce, { authTagLength: TAG })
  decipher.setAuthTag(sealed.subarray(sealed.length - TAG))
  const plain = decipher.update(sealed.subarray(0, sealed.length - TAG))
  try {
    decipher.final()
  } catch (error) {
    throw damaged(error)
  }
  return plain
}

/** `-> TYPE ARGS…`, then the body in lines of 64 characters, the last one shorter (or empty). */
function stanzaText({ type, args, body }: Stanza): string {
  const text = base64(body)
  const lines: string[] = []
  for (let at = 0; at <= text.length; at += 64) lines.push(text.slice(at, at + 64))
  return `-> ${[type, ...args].join(' ')}\n${lines.join('\n')}\n`
}

function headerMac(fileKey: Buffer, head: Buffer): Buffer {
  return createHmac('sha256', hkdf(fileKey, new Uint8Array(0), 'header'))
    .update(head)
    .digest()
}

interface Header {
  /** From the first byte to `---`. */
  head: Buffer
  stanzas: Stanza[]
  mac: Buffer
  length: number
}

async function readHeader(stored: ByteSource): Promise<Header> {
  const bad = (): AppError => new AppError('backup.damaged', `${stored.what} does not begin with an age header`)
  const start = Buffer.from(await collect(stored.read({ start: 0, end: Math.min(stored.size, MAX_HEADER) })))
  const mark = start.indexOf('\n--- ')
  const end = start.indexOf('\n', mark + 1)
  if (!start.subarray(0, 22).equals(Buffer.from('age-encryption.org/v1\n')) || mark < 0 || end < 0) throw bad()
  const head = start.subarray(0, mark + 4)
  const mac = Buffer.from(start.toString('latin1', mark + 5, end), 'base64')
  if (mac.length !== 32) throw bad()
  const stanzas: Stanza[] = []
  for (const line of start.toString('latin1', 22, mark).split('\n')) {
    if (line.startsWith('-> ')) {
      const [type = '', ...args] = line.slice(3).split(' ')
      stanzas.push({ type, args, body: Buffer.alloc(0) })
      continue
    }
    const stanza = stanzas.at(-1)
    if (stanza === undefined) throw bad()
    stanza.body = Buffer.concat([stanza.body, Buffer.from(line, 'base64')])
  }
  return { head, stanzas, mac, length: end + 1 }
}

async function unwrap(
  stanzas: readonly Stanza[],
  identity: Secret | undefined,
  password: Secret | undefined,
  what: string,
): Promise<Buffer> {
  const passphrase = stanzas.find(({ type }) => type === 'scrypt')
  if (passphrase !== undefined) {
    if (password === undefined)
      throw new AppError('vault.no-password', `${what} is encrypted with a passphrase and none was given`)
    return unwrapScrypt(passphrase, await password.read(), what)
  }
  if (identity === undefined) {
    throw new AppError('vault.no-password', `${what} is encrypted for age recipients and no identity was given`, {
      hint: 'Set encryption.identity to the secret key (AGE-SECRET-KEY-1…) of one of the recipients.',
    })
  }
  const lines = (await identity.read()).split('\n').map((line) => line.trim())
  for (const line of lines.filter((text) => text.startsWith('AGE-SECRET-KEY-1'))) {
    const scalar = decodeBech32(line.toLowerCase(), 'age-secret-key-')
    for (const stanza of stanzas) {
      const fileKey = stanza.type === 'X25519' ? unwrapX25519(stanza, scalar) : undefined
      if (fileKey !== undefined) return fileKey
    }
  }
  throw new AppError('vault.wrong-password', `no identity opens ${what}`)
}

// X25519 keys in the DER envelopes that node:crypto wants.
const SPKI = Buffer.from('302a300506032b656e032100', 'hex')
const PKCS8 = Buffer.from('302e020100300506032b656e04220420', 'hex')
const publicKeyOf = (raw: Uint8Array): ReturnType<typeof createPublicKey> =>
  createPublicKey({ key: Buffer.concat([SPKI, raw]), format: 'der', type: 'spki' })
const ZERO_NONCE = Buffer.alloc(12)
const X25519_INFO = 'age-encryption.org/v1/X25519'

function wrapX25519(recipient: string, fileKey: Buffer): Stanza {
  const theirs = decodeBech32(recipient.toLowerCase(), 'age')
  const { publicKey, privateKey } = generateKeyPairSync('x25519')
  const ephemeral = publicKey.export({ format: 'der', type: 'spki' }).subarray(SPKI.length)
  const shared = diffieHellman({ privateKey, publicKey: publicKeyOf(theirs) })
  const key = hkdf(shared, Buffer.concat([ephemeral, theirs]), X25519_INFO)
  return { type: 'X25519', args: [base64(ephemeral)], body: sealChunkWith(key, fileKey) }
}

function unwrapX25519(stanza: Stanza, scalar: Uint8Array): Buffer | undefined {
  const privateKey = createPrivateKey({ key: Buffer.concat([PKCS8, scalar]), format: 'der', type: 'pkcs8' })
  const mine = createPublicKey(privateKey).export({ format: 'der', type: 'spki' }).subarray(SPKI.length)
  const ephemeral = Buffer.from(stanza.args[0] ?? '', 'base64')
  if (ephemeral.length !== 32) return undefined
  const shared = diffieHellman({ privateKey, publicKey: publicKeyOf(ephemeral) })
  try {
    return openSealed(hkdf(shared, Buffer.concat([ephemeral, mine]), X25519_INFO), ZERO_NONCE, stanza.body, 'stanza')
  } catch {
    return undefined
  }
}

function sealChunkWith(key: Buffer, plain: Bytes): Buffer {
  const cipher = createCipheriv('chacha20-poly1305', key, ZERO_NONCE, { authTagLength: TAG })
  return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()])
}

async function scryptKey(password: string, salt: Buffer, factor: number): Promise<Buffer> {
  const N = 2 ** factor
  return scryptAsync(password, Buffer.concat([Buffer.from('age-encryption.org/v1/scrypt'), salt]), 32, {
    N,
    r: 8,
    p: 1,
    maxmem: 129 * N * 8 + 1024 * 1024,
  })
}

async function wrapScrypt(password: string, fileKey: Buffer): Promise<Stanza> {
  const salt = randomBytes(16)
  return {
    type: 'scrypt',
    args: [base64(salt), String(WORK_FACTOR)],
    body: sealChunkWith(await scryptKey(password, salt, WORK_FACTOR), fileKey),
  }
}

async function unwrapScrypt(stanza: Stanza, password: string, what: string): Promise<Buffer> {
  const factor = Number(stanza.args[1])
  if (!Number.isInteger(factor) || factor < 1 || factor > MAX_WORK_FACTOR)
    throw new AppError('backup.damaged', `${what} asks for a work factor of ${stanza.args[1]}`)
  const key = await scryptKey(password, Buffer.from(stanza.args[0] ?? '', 'base64'), factor)
  try {
    return openSealed(key, ZERO_NONCE, stanza.body, 'stanza')
  } catch (error) {
    throw new AppError('vault.wrong-password', `this passphrase does not open ${what}`, { cause: error })
  }
}
