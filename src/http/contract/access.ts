/** Signing in, users, tokens, the audit log. */
import * as z from 'zod'
import { byId, paging, time } from './fields.ts'
import { route } from './kit.ts'

export const role = z
  .enum(['viewer', 'operator', 'restorer', 'admin'])
  .describe(
    'viewer sees; operator also runs, pauses and acknowledges; restorer sees, restores and downloads; admin does all.',
  )
export const scope = z.enum(['read', 'operate', 'restore', 'admin'])

const userName = z
  .string()
  .regex(/^[\p{L}\p{N}][\p{L}\p{N}._@ -]{0,63}$/u, 'letters, digits and . _ @ - and spaces, up to 64')
const password = z.string().min(10, 'at least 10 characters').max(1000)
const code = z.string().min(6).max(32).describe('Six digits of the authenticator, or a recovery code.')

const me = z.strictObject({
  name: z.string(),
  role,
  scopes: z.array(z.enum(['read', 'operate', 'restore', 'delete', 'admin'])),
  totp: z.boolean(),
  via: z.enum(['session', 'token']),
  expiresAt: time.optional(),
})

const user = z.strictObject({
  id: z.string(),
  name: z.string(),
  role,
  totp: z.boolean(),
  disabled: z.boolean(),
  oidc: z.boolean().describe('Signs in by the identity provider.'),
  createdAt: time,
  lastSeenAt: time.optional(),
})

const session = z.strictObject({
  id: z.string(),
  current: z.boolean(),
  createdAt: time,
  seenAt: time,
  expiresAt: time,
  agent: z.string(),
  address: z.string(),
})

const token = z.strictObject({
  id: z.string(),
  name: z.string(),
  user: z.string(),
  scopes: z.array(scope),
  ending: z.string().describe('The last four characters.'),
  createdAt: time,
  expiresAt: time.optional(),
  lastUsedAt: time.optional(),
})

const auditEntry = z.strictObject({
  id: z.number().int(),
  at: time,
  actor: z.string(),
  action: z.string(),
  object: z.string(),
  detail: z.record(z.string(), z.unknown()),
  address: z.string().optional(),
  hash: z.string().describe('SHA-256 over this entry and the hash of the one before.'),
})

export const accessRoutes = {
  'GET /api/v1/setup': route({
    access: 'public',
    summary: 'Whether the first account is still to be made, and how to sign in',
    answer: z.strictObject({
      needed: z.boolean(),
      version: z.string(),
      oidc: z.strictObject({ name: z.string() }).optional(),
    }),
  }),
  'POST /api/v1/setup': route({
    access: 'public',
    summary: 'Make the first account, with the one-time token that the console shows',
    body: z.strictObject({ token: z.string().max(200), name: userName, password }),
    answer: me,
    status: 201,
    example: { token: 'from the console', name: 'ada', password: 'a long one' },
  }),
  'POST /api/v1/session': route({
    access: 'public',
    summary: 'Sign in; the session is a cookie',
    description: 'Answers 401 with `auth.code-needed` when the account asks for a second factor and `code` is missing.',
    body: z.strictObject({ name: z.string().max(64), password: z.string().max(1000), code: code.optional() }),
    answer: me,
    status: 201,
    example: { name: 'ada', password: 'a long one' },
  }),
  'GET /api/v1/session': route({ access: 'self', summary: 'Who is signed in, and what they may do', answer: me }),
  'DELETE /api/v1/session': route({ access: 'self', summary: 'Sign out', status: 204 }),
  'GET /api/v1/sessions': route({
    access: 'self',
    summary: 'Own sessions',
    answer: z.strictObject({ items: z.array(session) }),
  }),
  'DELETE /api/v1/sessions/{id}': route({ access: 'self', summary: 'End an own session', params: byId, status: 204 }),
  'POST /api/v1/session/password': route({
    access: 'self',
    summary: 'Change the own password; other sessions end',
    body: z.strictObject({ current: z.string().max(1000), password }),
    status: 204,
  }),
  'POST /api/v1/session/totp': route({
    access: 'self',
    summary: 'Begin a second factor: the secret for the authenticator',
    body: z.strictObject({ password: z.string().max(1000) }),
    answer: z.strictObject({ secret: z.string(), uri: z.string() }),
  }),
  'PUT /api/v1/session/totp': route({
    access: 'self',
    summary: 'Turn the second factor on with a first code; gives the recovery codes, once',
    body: z.strictObject({ code }),
    answer: z.strictObject({ recoveryCodes: z.array(z.string()) }),
  }),
  'POST /api/v1/session/totp/off': route({
    access: 'self',
    summary: 'Turn the second factor off',
    body: z.strictObject({ password: z.string().max(1000) }),
    status: 204,
  }),
  'GET /api/v1/oidc/start': route({
    access: 'public',
    summary: 'Go to the identity provider',
    query: z.object({ to: z.string().max(500).optional().describe('A path of the page to come back to.') }),
    status: 302,
  }),
  'GET /api/v1/oidc/callback': route({
    access: 'public',
    summary: 'Where the identity provider sends the browser back to',
    query: z.looseObject({}),
    status: 302,
  }),

  'GET /api/v1/users': route({
    access: 'admin',
    summary: 'Users',
    answer: z.strictObject({ items: z.array(user) }),
  }),
  'POST /api/v1/users': route({
    access: 'admin',
    summary: 'Add a user',
    body: z.strictObject({ name: userName, password, role }),
    answer: user,
    status: 201,
    example: { name: 'grace', password: 'a long one', role: 'operator' },
  }),
  'PATCH /api/v1/users/{id}': route({
    access: 'admin',
    summary: 'Change a user: role, password, second factor, whether the account may sign in',
    params: byId,
    body: z.strictObject({
      role: role.optional(),
      password: password.optional(),
      disabled: z.boolean().optional(),
      totp: z.literal(false).optional().describe('Turns the second factor off.'),
    }),
    answer: user,
  }),
  'DELETE /api/v1/users/{id}': route({
    access: 'admin',
    summary: 'Remove a user with all sessions and tokens',
    params: byId,
    status: 204,
  }),

  'GET /api/v1/tokens': route({
    access: 'self',
    summary: 'Own API tokens; of an admin those of all',
    answer: z.strictObject({ items: z.array(token) }),
  }),
  'POST /api/v1/tokens': route({
    access: 'self',
    summary: 'Make an API token; its text is shown this once',
    body: z.strictObject({
      name: z.string().min(1).max(100),
      scopes: z.array(scope).min(1),
      expiresAt: time.optional(),
    }),
    answer: z.strictObject({ token: z.string(), item: token }),
    status: 201,
    example: { name: 'nightly script', scopes: ['read', 'operate'] },
  }),
  'DELETE /api/v1/tokens/{id}': route({ access: 'self', summary: 'Revoke a token', params: byId, status: 204 }),

  'GET /api/v1/audit': route({
    access: 'admin',
    summary: 'Every change, restore and download, newest first',
    query: z.object({
      ...paging,
      actor: z.string().max(200).optional(),
      action: z.string().max(100).optional().describe('Its beginning, such as `job.`.'),
    }),
    answer: z.strictObject({
      items: z.array(auditEntry),
      next: z.string().optional(),
    }),
  }),
  'GET /api/v1/audit/check': route({
    access: 'admin',
    summary: 'Whether the chain of hashes of the audit log is whole',
    answer: z.strictObject({ ok: z.boolean(), entries: z.number().int(), brokenAt: z.number().int().optional() }),
  }),
}
