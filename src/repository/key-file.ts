/** Files in `keys/`: the master key, sealed under a password. docs/formats/repository.md §2. */
import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { userName } from '../base/user.ts'
import { AppError } from '../base/errors.ts'
import { concat, utf8, type Bytes } from '../base/bytes.ts'
import { seal, sealKey, unseal, RAW_KEY_LENGTH } from './crypto.ts'
import { scryptKey, type ScryptCost } from './scrypt.ts'
import { countIn, damaged, isObject, parseObject, textIn, type JsonObject } from './parse.ts'

const SALT_LENGTH = 64
/** N and r as restic's calibration chooses them; p makes it about half a second. */
const COST = { N: 32_768, r: 8 }
const WANTED_MS = 500
/** Foreign key files may not ask for more memory or work than this: 128 * N * r bytes, times p. */
const MAX_MEMORY = 1024 * 1024 * 1024
const MAX_WORK = 16 * MAX_MEMORY

export interface KeyFile {
  created: string
  username: string
  hostname: string
  N: number
  r: number
  p: number
  salt: Uint8Array
  data: Uint8Array
}

const userKey = async (password: string, salt: Uint8Array, cost: ScryptCost): Promise<Buffer> =>
  scryptKey(utf8(password), salt, RAW_KEY_LENGTH, cost)

let calibrated: Promise<number> | undefined

/** p such that one guess costs about half a second here, by the code that most who guess would use: one lane after the other. */
async function calibrate(): Promise<number> {
  const started = performance.now()
  await userKey('calibration', randomBytes(SALT_LENGTH), { ...COST, p: 1 })
  return Math.max(1, Math.min(16, Math.round(WANTED_MS / (performance.now() - started))))
}

export async function newKeyFile(
  master: Uint8Array,
  password: string,
  { now, p }: { now: Date; p?: number },
): Promise<KeyFile> {
  const cost = { ...COST, p: p ?? (await (calibrated ??= calibrate())) }
  const salt = randomBytes(SALT_LENGTH)
  const key = sealKey(await userKey(password, salt, cost))
  return {
    created: now.toISOString(),
    username: userName(),
    hostname: hostname(),
    ...cost,
    salt,
    data: seal(key, utf8(encodeMaster(master))),
  }
}

const base64 = (bytes: Bytes): string => Buffer.from(bytes).toString('base64')

function encodeMaster(raw: Uint8Array): string {
  const mac = { k: base64(raw.subarray(32, 48)), r: base64(raw.subarray(48, 64)) }
  return JSON.stringify({ mac, encrypt: base64(raw.subarray(0, 32)) })
}

export function encodeKeyFile({ created, username, hostname: host, N, r, p, salt, data }: KeyFile): Uint8Array {
  return utf8(
    JSON.stringify({
      created,
      username,
      hostname: host,
      kdf: 'scrypt',
      N,
      r,
      p,
      salt: base64(salt),
      data: base64(data),
    }),
  )
}

export function parseKeyFile(bytes: Bytes, what: string): KeyFile {
  const object = parseObject(bytes, what)
  if (textIn(object, 'kdf') !== 'scrypt')
    throw new AppError('vault.unsupported', `${what} uses another key derivation than scrypt`)
  const [N, r, p] = [countIn(object, 'N') ?? 0, countIn(object, 'r') ?? 0, countIn(object, 'p') ?? 0]
  const salt = bytesIn(object, 'salt')
  const data = bytesIn(object, 'data')
  if (N < 2 || !Number.isInteger(Math.log2(N)) || r < 1 || p < 1 || salt?.length !== SALT_LENGTH || data === undefined)
    throw damaged(what, 'its parameters make no sense')
  if (128 * N * r > MAX_MEMORY || 128 * N * r * p > MAX_WORK)
    throw new AppError('vault.unsupported', `${what} asks for more memory or work than is reasonable`)
  const [created = '', username = '', host = ''] = ['created', 'username', 'hostname'].map((name) =>
    textIn(object, name),
  )
  return { created, username, hostname: host, N, r, p, salt, data }
}

/** The 64 bytes of the master key; undefined when the password is another. */
export async function openKeyFile(file: KeyFile, password: string, what: string): Promise<Uint8Array | undefined> {
  const plain = unseal(sealKey(await userKey(password, file.salt, file)), file.data)
  if (plain === undefined) return undefined
  const object = parseObject(plain, what)
  const mac = object['mac']
  const parts = [bytesIn(object, 'encrypt'), ...(isObject(mac) ? [bytesIn(mac, 'k'), bytesIn(mac, 'r')] : [])]
  const raw = concat(parts.flatMap((part) => part ?? []))
  if (raw.length !== RAW_KEY_LENGTH || parts[0]?.length !== 32 || parts[1]?.length !== 16)
    throw damaged(what, 'it holds no master key')
  return raw
}

export const newMasterKey = (): Uint8Array => randomBytes(RAW_KEY_LENGTH)

function bytesIn(object: JsonObject, name: string): Uint8Array | undefined {
  const text = textIn(object, name)
  return text === undefined ? undefined : Buffer.from(text, 'base64')
}
