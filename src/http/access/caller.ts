/** Who calls: by a token, by the cookie of a session, or nobody. */
import type { IncomingMessage } from 'node:http'
import type { Clock } from '../../base/clock.ts'
import { AppError } from '../../base/errors.ts'
import { parseDuration } from '../../base/units.ts'
import { SCOPES_OF, type AccessStore, type ApiToken, type Scope, type Session, type User } from '../../model/access.ts'
import { hashOf } from '../../operations/accounts.ts'
import type { Access } from '../contract/kit.ts'
import { isLoopback, type Asked } from './addresses.ts'

export interface Caller {
  user: User
  /** For the audit log: the name, and the token where one was used. */
  name: string
  scopes: ReadonlySet<Scope>
  session?: Session
  token?: ApiToken
}

export interface Limits {
  idle: string
  most: string
}

const SEEN_EVERY_MS = 60_000
const TOKEN = /^hf_[\w-]{43}$/

/** `__Host-` where a browser takes it: over TLS, and on this machine. */
export function cookieName({ origin, secure }: Asked): string {
  return secure || isLoopback(new URL(origin).host) ? '__Host-holdfast' : 'holdfast'
}

export function cookie(asked: Asked, value: string, maxAgeMs: number): string {
  const name = cookieName(asked)
  const secure = name.startsWith('__Host-') ? '; Secure' : ''
  return `${name}=${value}; Path=/; Max-Age=${Math.floor(maxAgeMs / 1000)}; HttpOnly; SameSite=Strict${secure}`
}

/** Undefined for nobody; rejects what claims to be somebody and is not. */
export function callerOf(
  request: IncomingMessage,
  asked: Asked,
  store: AccessStore,
  { clock, limits }: { clock: Clock; limits: Limits },
): Caller | undefined {
  const now = clock.now()
  const { authorization } = request.headers
  if (authorization !== undefined) {
    const [, secret = ''] = /^Bearer (\S+)$/i.exec(authorization) ?? []
    if (!TOKEN.test(secret)) throw new AppError('auth.required', 'the token is none of ours')
    return ofToken(secret, store, now)
  }
  const secret = cookieOf(request, cookieName(asked))
  return secret === undefined ? undefined : ofSession(secret, store, now, limits)
}

function ofToken(secret: string, store: AccessStore, now: Date): Caller {
  const token = store.tokenOfHash(hashOf(secret))
  const user = token && store.user(token.user)
  if (token === undefined || user === undefined || user.disabled)
    throw new AppError('auth.required', 'this token was revoked, or never was')
  if (token.expiresAt !== undefined && token.expiresAt <= now)
    throw new AppError('auth.required', `the token ${token.name} expired ${token.expiresAt.toISOString()}`)
  if (now.getTime() - (token.usedAt?.getTime() ?? 0) > SEEN_EVERY_MS) store.tokenUsed(token.id, now)
  const own = SCOPES_OF[user.role]
  // Deleting goes with administration.
  const wanted = token.scopes.includes('admin') ? SCOPES_OF.admin : token.scopes
  const scopes = new Set(own.filter((scope) => wanted.includes(scope)))
  return { user, name: `${user.name} (token ${token.name})`, scopes, token }
}

function ofSession(secret: string, store: AccessStore, now: Date, limits: Limits): Caller | undefined {
  const session = store.session(hashOf(secret))
  const user = session && store.user(session.user)
  if (session === undefined || user === undefined || user.disabled) return undefined
  const idle = now.getTime() - session.seenAt.getTime()
  if (session.expiresAt <= now || idle > parseDuration(limits.idle)) {
    store.removeSession(session.hash)
    return undefined
  }
  if (idle > SEEN_EVERY_MS) {
    store.saveSession({ ...session, seenAt: now })
    store.userSeen(user.id, now)
  }
  return { user, name: user.name, scopes: new Set(SCOPES_OF[user.role]), session }
}

function cookieOf(request: IncomingMessage, name: string): string | undefined {
  for (const part of (request.headers.cookie ?? '').split(';')) {
    const [key, ...value] = part.split('=')
    if (key?.trim() === name) return value.join('=').trim() || undefined
  }
  return undefined
}

/** Rejects who may not do this; gives the caller where there has to be one. */
export function allow(access: Access, caller: Caller | undefined): void {
  if (access === 'public') return
  if (caller === undefined) throw new AppError('auth.required', 'nobody is signed in')
  if (access !== 'self' && !caller.scopes.has(access))
    throw new AppError('auth.denied', `${caller.name} may not do this: it needs ${access}`)
}

/** What a token opened must not outlive it: it makes and ends no others, unless it may do all. */
export function byOwnHand(caller: Caller): Caller {
  if (caller.token === undefined || caller.scopes.has('admin')) return caller
  throw new AppError(
    'auth.denied',
    `${caller.name} may not make or end tokens and sessions: a session may, or an admin`,
  )
}

/** Whether somebody may still do what began as this; no sign of life, so that an open stream keeps no session alive. */
export function mayStill(
  access: Access,
  { session, token }: Caller,
  store: AccessStore,
  { clock, limits }: { clock: Clock; limits: Limits },
): boolean {
  const now = clock.now()
  const found = token === undefined ? session && store.session(session.hash) : store.tokenOfHash(token.hash)
  const user = found && store.user(found.user)
  if (found === undefined || user === undefined || user.disabled) return false
  if (found.expiresAt !== undefined && found.expiresAt <= now) return false
  if ('seenAt' in found && now.getTime() - found.seenAt.getTime() > parseDuration(limits.idle)) return false
  return access === 'public' || access === 'self' || SCOPES_OF[user.role].includes(access)
}

/** A form or a script of another site must not act by a cookie of ours. */
export function refuseForeign(request: IncomingMessage, asked: Asked, caller: Caller | undefined): void {
  const { origin, 'sec-fetch-site': site } = request.headers
  if (origin !== undefined && origin !== asked.origin)
    throw new AppError('auth.origin', `a page of ${origin} may not call ${asked.origin}`)
  if (site !== undefined && site !== 'same-origin' && site !== 'none')
    throw new AppError('auth.origin', 'a page of another site may not call this')
  if (caller?.session !== undefined && request.headers['x-holdfast-csrf'] === undefined)
    throw new AppError('auth.origin', 'a call by a session needs the header x-holdfast-csrf')
}
