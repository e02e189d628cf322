/** Users, tokens, the audit log. */
import { AppError } from '../../base/errors.ts'
import { hashPassword } from '../../base/password.ts'
import type { AccessStore, ApiToken, User } from '../../model/access.ts'
import { newToken, newUser } from '../../operations/accounts.ts'
import type { accessRoutes } from '../contract/access.ts'
import { byOwnHand } from '../access/caller.ts'
import { signedIn, type Api, type Handlers } from '../handler.ts'

type Own = Extract<
  keyof typeof accessRoutes,
  `${string} /api/v1/users${string}` | `${string} /api/v1/tokens${string}` | `${string} /api/v1/audit${string}`
>

export function userHandlers(api: Api): Handlers<Own> {
  const { clock } = api.app
  const store = (): AccessStore => api.app.history().server.access
  const audit = () => api.app.history().server.audit

  function find(id: string): User {
    const user = store().user(id)
    if (user === undefined) throw new AppError('request.not-found', `there is no user ${id}`)
    return user
  }

  /** Somebody has to be able to let the others in. */
  function keepAnAdmin(changed: User, after: User | undefined): void {
    const others = store()
      .users()
      .filter(({ id, role, disabled }) => id !== changed.id && role === 'admin' && !disabled)
    if (others.length === 0 && (after === undefined || after.role !== 'admin' || after.disabled))
      throw new AppError('request.in-use', 'this is the last admin', { hint: 'Make another admin first.' })
  }

  return {
    'GET /api/v1/users': () => ({ items: store().users().map(shown) }),
    async 'POST /api/v1/users'({ body, audit: keep }) {
      const user = newUser(body.name, body.role, clock.now(), await hashPassword(body.password))
      if (store().userNamed(body.name) !== undefined)
        throw new AppError('request.exists', `there is a user ${body.name}`)
      store().saveUser(user)
      keep({ role: body.role }, body.name)
      return shown(user)
    },
    async 'PATCH /api/v1/users/{id}'({ params, body, audit: keep }) {
      const password = body.password === undefined ? undefined : await hashPassword(body.password)
      const before = find(params.id)
      const { totp: second, ...secret } = before.secret
      const after: User = {
        ...before,
        ...(body.role !== undefined && { role: body.role }),
        ...(body.disabled !== undefined && { disabled: body.disabled }),
        secret: {
          ...secret,
          ...(password !== undefined && { password }),
          ...(body.totp === false ? { recovery: [] } : second && { totp: second }),
        },
      }
      keepAnAdmin(before, after)
      store().saveUser(after)
      // What was open under the old rights ends.
      if (body.role !== undefined || body.password !== undefined || after.disabled) store().removeSessions(after.id)
      const { password: given, ...told } = body
      keep({ ...told, ...(given !== undefined && { password: 'changed' }) }, before.name)
      return shown(after)
    },
    'DELETE /api/v1/users/{id}'({ params, audit: keep }) {
      const user = find(params.id)
      keepAnAdmin(user, undefined)
      store().removeUser(user.id)
      keep({}, user.name)
      return undefined
    },

    'GET /api/v1/tokens'({ caller }) {
      const { user, scopes } = signedIn({ caller })
      const names = new Map(
        store()
          .users()
          .map(({ id, name }) => [id, name]),
      )
      const all = scopes.has('admin') ? store().tokens() : store().tokens(user.id)
      return { items: all.map((token) => shownToken(token, names.get(token.user) ?? '')) }
    },
    'POST /api/v1/tokens'({ body, caller, audit: keep }) {
      const { user, scopes } = byOwnHand(signedIn({ caller }))
      const missing = body.scopes.filter((scope) => !scopes.has(scope))
      if (missing.length > 0)
        throw new AppError('auth.denied', `a token may do no more than who makes it: not ${missing.join(', ')}`)
      if (body.expiresAt !== undefined && body.expiresAt <= clock.now())
        throw new AppError('request.invalid', 'expiresAt is in the past')
      const { secret, token } = newToken(user, body, clock.now())
      store().saveToken(token)
      keep({ scopes: body.scopes, name: body.name }, token.id)
      return { token: secret, item: shownToken(token, user.name) }
    },
    'DELETE /api/v1/tokens/{id}'({ params, caller }) {
      const { user, scopes, token } = signedIn({ caller })
      if (token?.id !== params.id) byOwnHand(signedIn({ caller }))
      const own = scopes.has('admin') ? store().tokens() : store().tokens(user.id)
      if (!own.some(({ id }) => id === params.id) || !store().removeToken(params.id))
        throw new AppError('request.not-found', `there is no token ${params.id}`)
      return undefined
    },

    'GET /api/v1/audit'({ query }) {
      const { cursor, limit, actor, action } = query
      const before = cursor === undefined ? undefined : Number(cursor)
      if (before !== undefined && !Number.isSafeInteger(before))
        throw new AppError('request.invalid', 'cursor: is none of ours')
      const items = audit().list({
        limit: limit + 1,
        ...(before !== undefined && { before }),
        ...(actor !== undefined && { actor }),
        ...(action !== undefined && { action }),
      })
      const shownItems = items.slice(0, limit)
      return { items: shownItems, ...(items.length > limit && { next: String(shownItems.at(-1)?.id) }) }
    },
    'GET /api/v1/audit/check': () => audit().check(),
  }
}

const shown = ({ id, name, role, disabled, subject, createdAt, seenAt, secret }: User) => ({
  id,
  name,
  role,
  disabled,
  totp: secret.totp?.on === true,
  oidc: subject !== undefined,
  createdAt,
  ...(seenAt && { lastSeenAt: seenAt }),
})

const shownToken = ({ id, name, scopes, ending, createdAt, expiresAt, usedAt }: ApiToken, user: string) => ({
  id,
  name,
  user,
  // Deleting goes with administration.
  scopes: scopes.filter((scope) => scope !== 'delete'),
  ending,
  createdAt,
  ...(expiresAt && { expiresAt }),
  ...(usedAt && { lastUsedAt: usedAt }),
})
