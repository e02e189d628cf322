/** Passwords of accounts: argon2id, as `argon2id$m,t,p$salt$hash` in base64url. */
import { argon2, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { AppError } from './errors.ts'

/** What OWASP asks for: 19 MiB, two passes; about 50 ms. */
const MEMORY_KIB = 19_456
const PASSES = 2
const LENGTH = 32

const derive = promisify(argon2)

/** Each hash takes memory and a core: few at a time, and no long queue. */
const AT_ONCE = 2
const MOST_WAITING = 32
let working = 0
const waiting: (() => void)[] = []

export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16)
  const hash = await bounded(async () => hashOf(password, salt, MEMORY_KIB, PASSES))
  return ['argon2id', `${MEMORY_KIB},${PASSES}`, salt.toString('base64url'), hash.toString('base64url')].join('$')
}

/** Takes as long whether or not there is a hash, so that nobody learns which accounts exist. */
export async function checkPassword(password: string, stored: string | undefined): Promise<boolean> {
  const [, cost = '', salt = '', hash = ''] = (stored ?? '').split('$')
  const [memory = MEMORY_KIB, passes = PASSES] = cost === '' ? [] : cost.split(',').map(Number)
  const found = await bounded(async () =>
    hashOf(password, salt === '' ? randomBytes(16) : Buffer.from(salt, 'base64url'), memory, passes),
  )
  const wanted = Buffer.from(hash, 'base64url')
  return wanted.length === found.length && timingSafeEqual(wanted, found)
}

async function hashOf(password: string, nonce: Buffer, memory: number, passes: number): Promise<Buffer> {
  const message = Buffer.from(password.normalize('NFC'), 'utf8')
  return derive('argon2id', { message, nonce, memory, passes, parallelism: 1, tagLength: LENGTH })
}

async function bounded<T>(work: () => Promise<T>): Promise<T> {
  if (waiting.length >= MOST_WAITING)
    throw new AppError('request.too-many', 'too many people sign in at once', { retryAfter: 5 })
  if (working >= AT_ONCE) await new Promise<void>((resolve) => waiting.push(resolve))
  working += 1
  try {
    return await work()
  } finally {
    working -= 1
    waiting.shift()?.()
  }
}
