import type { Command } from 'commander'
import { AppError } from '../../base/errors.ts'
import { parseDuration } from '../../base/units.ts'
import { SCOPES_OF, type Scope } from '../../model/access.ts'
import { auditNote } from '../audit-note.ts'
import type { Context } from '../context.ts'
import { table } from '../output.ts'
import { collect } from '../vault-options.ts'

const SCOPES: readonly Scope[] = ['read', 'operate', 'restore', 'admin']

interface CreateOptions {
  user?: string
  scope?: string[]
  expires?: string
}

export function register(program: Command, context: Context): void {
  const token = program.command('token').description('API tokens, for programs')
  token
    .command('create')
    .description('make a token; its text is shown this once')
    .argument('<name>', 'what it is for')
    .option('--scope <scope>', `${SCOPES.join(', ')} (repeatable; default: read)`, collect)
    .option('--user <name>', 'the account that it belongs to (default: the only admin)')
    .option('--expires <duration>', 'such as 90d; never if absent')
    .action(async (name: string, options: CreateOptions) => create(context, name, options))
  token
    .command('list')
    .description('all tokens, without their text')
    .action(async () => list(context))
  token
    .command('revoke')
    .description('a token works no more')
    .argument('<id>', 'its id, or the beginning of it')
    .action(async (id: string) => revoke(context, id))
}

async function create(
  context: Context,
  name: string,
  { user, scope = ['read'], expires }: CreateOptions,
): Promise<void> {
  const scopes = scope.map((text) => {
    const known = SCOPES.find((one) => one === text)
    if (known === undefined) throw new AppError('usage.invalid', `--scope ${text} is none of ${SCOPES.join(', ')}`)
    return known
  })
  const app = await context.app()
  const { access } = app.history().server
  const admins = access.users().filter(({ role, disabled }) => role === 'admin' && !disabled)
  const owner = user === undefined ? (admins.length === 1 ? admins[0] : undefined) : access.userNamed(user)
  if (owner === undefined)
    throw new AppError('usage.invalid', user === undefined ? 'say whose token it is' : `there is no account ${user}`, {
      hint: 'Name the account with --user; see `holdfast user list`, and make one with `holdfast user add`.',
    })
  const missing = scopes.filter((one) => !SCOPES_OF[owner.role].includes(one))
  if (missing.length > 0)
    throw new AppError('usage.invalid', `${owner.name} is ${owner.role} and may not ${missing.join(', ')}`)
  const now = app.clock.now()
  const expiresAt = expires === undefined ? undefined : new Date(now.getTime() + parseDuration(expires))
  const { newToken } = await import('../../operations/accounts.ts')
  const { secret, token } = newToken(owner, { name, scopes, expiresAt }, now)
  if (context.options.dryRun !== true) {
    access.saveToken(token)
    await auditNote(context, 'token.create', token.id, { scopes, name, user: owner.name })
  }
  context.out.result({ token: secret, id: token.id, name, scopes, user: owner.name, expiresAt }, () => secret)
}

async function list(context: Context): Promise<void> {
  const { access } = (await context.app()).history().server
  const names = new Map(access.users().map(({ id, name }) => [id, name]))
  const tokens = access.tokens().map((token) => {
    const { hash: _, user, ...rest } = token
    return { ...rest, user: names.get(user) ?? '' }
  })
  context.out.result(tokens, () =>
    tokens.length === 0
      ? 'no tokens'
      : table(
          ['ID', 'NAME', 'USER', 'SCOPES', 'ENDS IN', 'EXPIRES', 'USED (UTC)'],
          tokens.map(({ id, name, user, scopes, ending, expiresAt, usedAt }) => [
            id.slice(0, 8),
            name,
            user,
            scopes.join(' '),
            ending,
            expiresAt?.toISOString().slice(0, 10) ?? 'never',
            usedAt?.toISOString().slice(0, 16).replace('T', ' ') ?? 'never',
          ]),
        ),
  )
}

async function revoke(context: Context, id: string): Promise<void> {
  const app = await context.app()
  const { access } = app.history().server
  const found = access.tokens().filter((token) => token.id.startsWith(id))
  const [token] = found
  if (token === undefined || found.length > 1)
    throw new AppError('usage.invalid', `${found.length === 0 ? 'no token begins' : 'several tokens begin'} with ${id}`)
  if (context.options.dryRun !== true) {
    access.removeToken(token.id)
    await auditNote(context, 'token.revoke', token.id, { name: token.name })
  }
  context.out.result({ id: token.id, revoked: context.options.dryRun !== true }, () => `revoked ${token.name}`)
}
