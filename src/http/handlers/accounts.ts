/** Signing in and out, the own account. */
import { randomBytes, timingSafeEqual } from 'node:crypto'
import { AppError } from '../../base/errors.ts'
import { checkPassword, hashPassword } from '../../base/password.ts'
import { newTotpSecret, totpStep, totpUri } from '../../base/totp.ts'
import { parseDuration } from '../../base/units.ts'
import { VERSION } from '../../base/version.ts'
import { SCOPES_OF, type User } from '../../model/access.ts'
import type { Asked } from '../access/addresses.ts'
import { changeUser, hashOf, newSecret, newUser } from '../../operations/accounts.ts'
import { byOwnHand, cookie, type Caller } from '../access/caller.ts'
import { oidcRoutes } from '../access/oidc.ts'
import { beginAttempt } from '../access/throttle.ts'
import type { accessRoutes } from '../contract/access.ts'
import type { Served } from '../contract/index.ts'
import { signedIn, type Api, type Handlers } from '../handler.ts'

type Me = Served<'GET /api/v1/session'>['answer']
type Own = Exclude<
  keyof typeof accessRoutes,
  `${string} /api/v1/users${string}` | `${string} /api/v1/tokens${string}` | `${string} /api/v1/audit${string}`
>

const RECOVERY_CODES = 10

export function accountHandlers(api: Api): Handlers<Own> {
  const { clock, settings } = api.app
  const store = (): ReturnType<typeof access> => access(api)
  const note = (asked: Asked, actor: string, action: string, object = actor): void =>
    api.app
      .history()
      .server.audit.append({ at: clock.now(), actor, action, object, detail: {}, address: asked.address })

  return {
    'GET /api/v1/setup': () => ({
      needed: store().users().length === 0,
      version: VERSION,
      ...(settings.server.oidc && { oidc: { name: settings.server.oidc.name } }),
    }),

    async 'POST /api/v1/setup'({ body, asked, request, headers }) {
      const wanted = api.setupToken()
      const attempt = beginAttempt(store(), clock, 'set-up', asked.address)
      if (wanted === undefined || !same(hashOf(body.token), wanted))
        throw new AppError('auth.failed', 'this is not the token of the set-up', {
          hint: 'It is printed where the server was started, and works until the first account is made.',
        })
      attempt.succeeded()
      const user = newUser(body.name, 'admin', clock.now(), await hashPassword(body.password))
      if (!store().saveFirstUser(user)) throw new AppError('request.exists', 'there is an account already')
      note(asked, user.name, 'user.first')
      return signIn(api, user, { asked, agent: request.headers['user-agent'] ?? '', headers })
    },

    async 'POST /api/v1/session'({ body, asked, request, caller, headers }) {
      const attempt = beginAttempt(store(), clock, body.name, asked.address)
      const before = store().userNamed(body.name)
      const right = await checkPassword(body.password, before?.secret.password)
      const user = before && store().user(before.id)
      const refuse = (why: string): AppError => {
        note(asked, body.name.slice(0, 64), 'session.refused')
        return new AppError('auth.failed', why)
      }
      if (user === undefined || !right || user.disabled || user.secret.password !== before?.secret.password)
        throw refuse('name or password is wrong')
      if (user.secret.totp?.on === true) {
        if (body.code === undefined) {
          // The password was right: that is no failed attempt yet.
          attempt.withdraw()
          throw new AppError('auth.code-needed', 'this account has a second factor')
        }
        if (!takeCode(api, user, body.code)) throw refuse('the code is wrong or was used before')
      }
      attempt.succeeded()
      if (caller?.session !== undefined) store().removeSession(caller.session.hash)
      note(asked, user.name, 'session.begin')
      return signIn(api, user, { asked, agent: request.headers['user-agent'] ?? '', headers })
    },

    'GET /api/v1/session': ({ caller }) => meOf(signedIn({ caller })),
    'DELETE /api/v1/session'({ caller, asked, headers }) {
      const { session } = signedIn({ caller })
      if (session !== undefined) store().removeSession(session.hash)
      headers['set-cookie'] = cookie(asked, '', 0)
      return undefined
    },
    'GET /api/v1/sessions': ({ caller }) => {
      const { user, session: own } = signedIn({ caller })
      const items = store()
        .sessions(user.id)
        .map(({ hash, createdAt, seenAt, expiresAt, agent, address }) => ({
          id: hash.slice(0, 16),
          current: hash === own?.hash,
          createdAt,
          seenAt,
          expiresAt,
          agent,
          address,
        }))
      return { items }
    },
    'DELETE /api/v1/sessions/{id}'({ params, caller }) {
      const { user } = byOwnHand(signedIn({ caller }))
      const found = store()
        .sessions(user.id)
        .find(({ hash }) => hash.slice(0, 16) === params.id)
      if (found === undefined) throw new AppError('request.not-found', `there is no session ${params.id}`)
      store().removeSession(found.hash)
      return undefined
    },

    async 'POST /api/v1/session/password'({ body, caller, asked }) {
      const { user, session } = await proved(signedIn({ caller }), body.current, asked)
      const password = await hashPassword(body.password)
      changeUser(store(), user, (now) => ({ ...now, secret: { ...now.secret, password } }))
      store().removeSessions(user.id, session === undefined ? {} : { but: session.hash })
      return undefined
    },
    async 'POST /api/v1/session/totp'({ body, caller, asked }) {
      const { user } = await proved(signedIn({ caller }), body.password, asked)
      const secret = newTotpSecret()
      changeUser(store(), user, (now) => {
        if (now.secret.totp?.on === true) throw new AppError('request.exists', 'the second factor is on already')
        return { ...now, secret: { ...now.secret, totp: { secret, on: false } } }
      })
      return { secret, uri: totpUri(secret, user.name) }
    },
    'PUT /api/v1/session/totp'({ body, caller, asked }) {
      const { user, session } = signedIn({ caller })
      const attempt = beginAttempt(store(), clock, user.name, asked.address)
      const codes = Array.from({ length: RECOVERY_CODES }, () => recoveryCode())
      const recovery = codes.map((one) => hashOf(one))
      changeUser(store(), user, (now) => {
        const { totp } = now.secret
        const step = totp && totpStep(totp.secret, body.code, clock.now())
        if (totp === undefined || totp.on || step === undefined)
          throw new AppError('auth.failed', totp === undefined ? 'no second factor was begun' : 'the code is wrong', {
            hint: 'Begin again with POST /api/v1/session/totp, and look at the clocks of server and telephone.',
          })
        return { ...now, secret: { ...now.secret, totp: { ...totp, on: true, step }, recovery } }
      })
      attempt.withdraw()
      store().removeSessions(user.id, session === undefined ? {} : { but: session.hash })
      return { recoveryCodes: codes }
    },
    async 'POST /api/v1/session/totp/off'({ body, caller, asked }) {
      const { user } = await proved(signedIn({ caller }), body.password, asked)
      changeUser(store(), user, (now) => {
        const { totp: _, ...secret } = now.secret
        return { ...now, secret: { ...secret, recovery: [] } }
      })
      return undefined
    },

    ...oidcRoutes(api, (user, how) => {
      note(how.asked, user.name, 'session.begin')
      return signIn(api, user, how)
    }),
  }

  /** Who only found an open session must not take the account over. */
  async function proved(caller: Caller, password: string, asked: Asked): Promise<Caller> {
    const attempt = beginAttempt(store(), clock, caller.user.name, asked.address)
    if (!(await checkPassword(password, caller.user.secret.password)))
      throw new AppError('auth.failed', 'the password is wrong')
    attempt.withdraw()
    return caller
  }
}

const access = (api: Api) => api.app.history().server.access

interface How {
  asked: Asked
  agent: string
  headers: Record<string, string | string[]>
}

/** A new secret with each sign-in. */
export function signIn(api: Api, user: User, { asked, agent, headers }: How): Me {
  const { clock, settings } = api.app
  const now = clock.now()
  const most = parseDuration(settings.server.session.most)
  const secret = newSecret()
  const session = {
    hash: hashOf(secret),
    user: user.id,
    createdAt: now,
    seenAt: now,
    expiresAt: new Date(now.getTime() + most),
    agent: agent.slice(0, 200),
    address: asked.address,
  }
  access(api).saveSession(session)
  access(api).userSeen(user.id, now)
  headers['set-cookie'] = cookie(asked, secret, most)
  return meOf({ user, name: user.name, scopes: new Set(SCOPES_OF[user.role]), session })
}

function meOf({ user, scopes, session, token }: Caller): Me {
  const expiresAt = session?.expiresAt ?? token?.expiresAt
  return {
    name: user.name,
    role: user.role,
    scopes: [...scopes],
    totp: user.secret.totp?.on === true,
    via: token === undefined ? 'session' : 'token',
    ...(expiresAt && { expiresAt }),
  }
}

/** A code of the authenticator, or a recovery code: each works once. */
function takeCode(api: Api, user: User, code: string): boolean {
  const { totp, recovery } = user.secret
  if (totp === undefined) return false
  const step = totpStep(totp.secret, code, api.app.clock.now(), totp.step)
  if (step !== undefined) {
    access(api).saveUser({ ...user, secret: { ...user.secret, totp: { ...totp, step } } })
    return true
  }
  const hash = hashOf(code.trim().toLowerCase())
  if (!recovery.includes(hash)) return false
  access(api).saveUser({ ...user, secret: { ...user.secret, recovery: recovery.filter((one) => one !== hash) } })
  return true
}

/** 80 bits, as `abcd-efgh-…`. */
function recoveryCode(): string {
  const text = [...randomBytes(16)].map((byte) => 'abcdefghjkmnpqrstuvwxyz23456789'[byte % 31]).join('')
  return text.replaceAll(/.{4}(?!$)/g, '$&-')
}

const same = (a: string, b: string): boolean => a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b))
