/** New accounts and tokens. Of what signs in only hashes are kept. */
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { AppError } from '../base/errors.ts'
import type { AccessStore, ApiToken, User } from '../model/access.ts'

/** Enough for random secrets of 256 bits; passwords have a slow one. */
export const hashOf = (secret: string): string => createHash('sha256').update(secret).digest('hex')
export const newSecret = (): string => randomBytes(32).toString('base64url')

export function newUser(name: string, role: User['role'], now: Date, password?: string): User {
  const secret = { ...(password !== undefined && { password }), recovery: [] }
  return { id: randomUUID(), name, role, disabled: false, createdAt: now, secret }
}

/** As the account is now, not as it was before something was waited for: nothing that others changed meanwhile is put back. */
export function changeUser(
  store: AccessStore,
  { id, name }: Pick<User, 'id' | 'name'>,
  change: (user: User) => User,
): User {
  const user = store.user(id)
  if (user === undefined) throw new AppError('request.not-found', `the account ${name} is gone`)
  const changed = change(user)
  store.saveUser(changed)
  return changed
}

export function newToken(
  user: Pick<User, 'id'>,
  { name, scopes, expiresAt }: Pick<ApiToken, 'name' | 'scopes'> & { expiresAt?: Date | undefined },
  now: Date,
): { secret: string; token: ApiToken } {
  const secret = `hf_${newSecret()}`
  const token: ApiToken = {
    id: randomUUID(),
    hash: hashOf(secret),
    user: user.id,
    name,
    scopes,
    ending: secret.slice(-4),
    createdAt: now,
    ...(expiresAt && { expiresAt }),
  }
  return { secret, token }
}
