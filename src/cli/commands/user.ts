import type { Command } from 'commander'
import { AppError } from '../../base/errors.ts'
import type { AccessStore, Role, User } from '../../model/access.ts'
import { auditNote } from '../audit-note.ts'
import type { Context } from '../context.ts'
import { table } from '../output.ts'

const ROLES: readonly Role[] = ['viewer', 'operator', 'restorer', 'admin']

interface PasswordChoice {
  newPasswordFile?: string
}

/** Who may sign in to the page and the API. Works without the server: also the way back in. */
export function register(program: Command, context: Context): void {
  const user = program.command('user').description('accounts of the web page and the API, also when nobody can sign in')
  user
    .command('list')
    .description('all accounts')
    .action(async () => list(context))
  withPassword(user.command('add').description('make an account'))
    .argument('<name>')
    .option('--role <role>', ROLES.join(', '), 'viewer')
    .action(async (name: string, options: PasswordChoice & { role: string }) => add(context, name, options))
  withPassword(user.command('password').description('set another password; sessions of the account end'))
    .argument('<name>')
    .action(async (name: string, options: PasswordChoice) => {
      const account = await named(context, name)
      const password = await newPassword(context, options)
      await change(context, account, 'user.password', (now) => ({ ...now, secret: { ...now.secret, password } }))
    })
  user
    .command('role')
    .description('change what an account may do; its sessions end')
    .argument('<name>')
    .argument('<role>', ROLES.join(', '))
    .action(async (name: string, text: string) => {
      const role = roleOf(text)
      await change(context, await named(context, name), 'user.change', (now) => ({ ...now, role }))
    })
  user
    .command('disable-2fa')
    .description('turn the second factor of an account off')
    .argument('<name>')
    .action(async (name: string) => {
      await change(context, await named(context, name), 'user.totp-off', ({ secret, ...now }) => {
        const { totp: _, ...rest } = secret
        return { ...now, secret: { ...rest, recovery: [] } }
      })
    })
  for (const [word, disabled] of [
    ['disable', true],
    ['enable', false],
  ] as const)
    user
      .command(word)
      .description(
        disabled ? 'let an account sign in no more; sessions and tokens stop working' : 'let an account sign in again',
      )
      .argument('<name>')
      .action(async (name: string) => {
        await change(context, await named(context, name), 'user.change', (now) => ({ ...now, disabled }))
      })
  user
    .command('remove')
    .description('remove an account with its sessions and tokens')
    .argument('<name>')
    .action(async (name: string) => {
      const { store, found } = await named(context, name)
      if (context.options.dryRun !== true) {
        store.removeUser(found.id)
        await auditNote(context, 'user.remove', found.name)
      }
      context.out.result({ name: found.name, removed: context.options.dryRun !== true }, () => `removed ${found.name}`)
    })
}

const withPassword = (command: Command): Command =>
  command.option('--new-password-file <file>', 'read the password of the account from this file (default: asked for)')

async function list(context: Context): Promise<void> {
  const app = await context.app()
  const users = app
    .history()
    .server.access.users()
    .map(({ secret, ...rest }) => ({
      ...rest,
      totp: secret.totp?.on === true,
    }))
  context.out.result(users, () =>
    users.length === 0
      ? 'no accounts: `holdfast server` prints the link that makes the first one'
      : table(
          ['NAME', 'ROLE', '2FA', 'SEEN (UTC)', ''],
          users.map(({ name, role, totp, seenAt, disabled, subject }) => [
            name,
            role,
            totp ? 'yes' : 'no',
            seenAt?.toISOString().slice(0, 16).replace('T', ' ') ?? 'never',
            [disabled ? 'disabled' : '', subject === undefined ? '' : 'single sign-on'].filter(Boolean).join(', '),
          ]),
        ),
  )
}

async function add(context: Context, name: string, options: PasswordChoice & { role: string }): Promise<void> {
  const role = roleOf(options.role)
  const app = await context.app()
  const { access } = app.history().server
  if (access.userNamed(name) !== undefined) throw new AppError('request.exists', `there is an account ${name}`)
  const password = await newPassword(context, options)
  const { newUser } = await import('../../operations/accounts.ts')
  if (context.options.dryRun !== true) {
    access.saveUser(newUser(name, role, app.clock.now(), password))
    await auditNote(context, 'user.create', name)
  }
  context.out.result({ name, role }, () => `${name} may sign in as ${role}`)
}

interface Named {
  store: AccessStore
  found: User
}

async function named(context: Context, name: string): Promise<Named> {
  const store = (await context.app()).history().server.access
  const found = store.userNamed(name)
  if (found === undefined)
    throw new AppError('request.not-found', `there is no account ${name}`, { hint: 'See `holdfast user list`.' })
  return { store, found }
}

async function change(
  context: Context,
  { store, found }: Named,
  action: string,
  changed: (user: User) => User,
): Promise<void> {
  const dryRun = context.options.dryRun === true
  const { changeUser } = await import('../../operations/accounts.ts')
  const user = dryRun ? changed(found) : changeUser(store, found, changed)
  if (!dryRun) {
    store.removeSessions(user.id)
    await auditNote(context, action, user.name)
  }
  const { secret, ...rest } = user
  context.out.result({ ...rest, totp: secret.totp?.on === true }, () => `changed ${user.name}`)
}

async function newPassword(context: Context, { newPasswordFile }: PasswordChoice): Promise<string> {
  const secret =
    newPasswordFile === undefined
      ? context.askPassword('Password of the account', { twice: true })
      : context.password({ passwordFile: newPasswordFile })
  if (secret === undefined)
    throw new AppError('usage.invalid', 'a password is needed', {
      hint: 'Name a file that holds it with --new-password-file.',
    })
  const text = await secret.read()
  if (text.length < 10) throw new AppError('usage.invalid', 'a password has at least 10 characters')
  const { hashPassword } = await import('../../base/password.ts')
  return hashPassword(text)
}

function roleOf(text: string): Role {
  const role = ROLES.find((one) => one === text)
  if (role !== undefined) return role
  throw new AppError('usage.invalid', `${text} is none of ${ROLES.join(', ')}`)
}
