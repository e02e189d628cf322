/** How a server is convinced: clear text, MD5, SCRAM-SHA-256 (RFC 5802, 7677). */
import { createHash, createHmac, pbkdf2Sync, randomBytes, timingSafeEqual } from 'node:crypto'
import { AppError } from '../../base/errors.ts'
import type { Message } from './frames.ts'
import { message, type Frames } from './frames.ts'

interface Login {
  user: string
  password: string | undefined
}

const denied = (why: string): AppError =>
  new AppError('source.denied', why, { hint: 'Check user, password and pg_hba.conf of the server.' })

/** Answers one message `R`. Gives what the next one is to be read with, where there is a next one. */
export async function authenticate(frames: Frames, first: Message, login: Login): Promise<void> {
  const kind = first.body.readInt32BE(0)
  if (kind === 0) return
  const { user, password } = login
  if (password === undefined) throw denied('the server asks for a password, and none was given')
  switch (kind) {
    case 3:
      frames.send(message('p', password))
      return
    case 5: {
      const inner = md5(Buffer.from(password + user))
      frames.send(message('p', `md5${md5(Buffer.concat([Buffer.from(inner), first.body.subarray(4, 8)]))}`))
      return
    }
    case 10:
      return scram(frames, first, password)
    default:
      throw denied(`the server wants a login of a kind (${kind}) that is not known here`)
  }
}

const md5 = (bytes: Uint8Array): string => createHash('md5').update(bytes).digest('hex')
const hmac = (key: Uint8Array, text: string | Uint8Array): Buffer => createHmac('sha256', key).update(text).digest()

async function scram(frames: Frames, { body }: Message, password: string): Promise<void> {
  const mechanisms = body.toString('latin1', 4).split('\0')
  if (!mechanisms.includes('SCRAM-SHA-256')) throw denied(`the server knows only ${mechanisms.join(' ')}`)
  const nonce = randomBytes(18).toString('base64')
  const bare = `n=,r=${nonce}`
  const initial = Buffer.from(`n,,${bare}`)
  const length = Buffer.alloc(4)
  length.writeInt32BE(initial.length)
  frames.send(message('p', 'SCRAM-SHA-256', Buffer.concat([length, initial])))

  const challenge = await answer(frames, 11)
  const { r = '', s = '', i = '' } = fields(challenge)
  const rounds = Number(i)
  if (!r.startsWith(nonce) || r === nonce || !Number.isInteger(rounds) || rounds < 1 || rounds > 10_000_000)
    throw denied('the answer of the server to the login is not right')
  const salted = pbkdf2Sync(password.normalize('NFKC'), Buffer.from(s, 'base64'), rounds, 32, 'sha256')
  const clientKey = hmac(salted, 'Client Key')
  const stored = createHash('sha256').update(clientKey).digest()
  const proofless = `c=biws,r=${r}`
  const all = `${bare},${challenge},${proofless}`
  const signature = hmac(stored, all)
  const proof = Buffer.from(clientKey.map((byte, at) => byte ^ (signature[at] as number)))
  frames.send(message('p', Buffer.from(`${proofless},p=${proof.toString('base64')}`)))

  const { v = '' } = fields(await answer(frames, 12))
  const expected = hmac(hmac(salted, 'Server Key'), all)
  const got = Buffer.from(v, 'base64')
  if (got.length !== expected.length || !timingSafeEqual(got, expected))
    throw denied('the server does not know the password itself: it may not be the one that it seems')
}

async function answer(frames: Frames, kind: number): Promise<string> {
  const { type, body } = await frames.next()
  if (type === 'E') throw serverError(body)
  if (type !== 'R' || body.readInt32BE(0) !== kind) throw denied('the login was answered with something unknown')
  return body.toString('utf8', 4)
}

const fields = (text: string): Record<string, string> =>
  Object.fromEntries(text.split(',').map((part) => [part.slice(0, 1), part.slice(2)]))

/** `details.sqlstate` tells what it was. */
export function serverError(body: Buffer): AppError {
  const parts = new Map(
    body
      .toString('utf8')
      .split('\0')
      .filter((part) => part !== '')
      .map((part) => [part.slice(0, 1), part.slice(1)]),
  )
  const sqlstate = parts.get('C') ?? ''
  const text = parts.get('M') ?? 'the server refused without a word'
  const details = { sqlstate }
  if (sqlstate.startsWith('28') || sqlstate === '42501')
    return new AppError('source.denied', text, {
      details,
      hint: 'Give the role the attribute REPLICATION (ALTER ROLE … REPLICATION) and a line `host replication …` in pg_hba.conf.',
    })
  if (sqlstate === '57P03' || sqlstate === '53300' || sqlstate === '57P01' || sqlstate === '57P02')
    return new AppError('source.unreachable', text, { details })
  if (sqlstate === '3D000') return new AppError('source.not-found', text, { details })
  return new AppError('source.failed', text, { details })
}
