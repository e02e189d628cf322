import type { Command } from 'commander'
import { AppError } from '../../base/errors.ts'
import type { Secret } from '../../model/settings.ts'
import type { VaultKeys } from '../../model/vault.ts'
import type { Context } from '../context.ts'
import { table } from '../output.ts'
import { openVault, withVault, type VaultOptions } from '../vault-options.ts'

interface KeyOptions extends VaultOptions {
  newPasswordFile?: string
  newPasswordCommand?: string
}

export function register(program: Command, context: Context): void {
  const command = program.command('key').description('the passwords that open a repository vault')
  withVault(command.command('list').description('the keys, each with who made it')).action(
    async (options: KeyOptions) => list(context, await keysOf(context, options)),
  )
  withNew(withVault(command.command('add').description('add a password; all open the same vault'))).action(
    async (options: KeyOptions) => {
      const keys = await keysOf(context, options)
      if (dryRun(context, 'would add a key')) return
      const id = await keys.add(newPassword(context, options))
      context.out.result({ added: id }, () => `added key ${id.slice(0, 8)}`)
    },
  )
  withNew(withVault(command.command('passwd').description('change the password that is used now'))).action(
    async (options: KeyOptions) => {
      const keys = await keysOf(context, options)
      if (dryRun(context, 'would change the password')) return
      const id = await keys.change(newPassword(context, options))
      context.out.result({ changed: id }, () => `changed the password: key ${id.slice(0, 8)}`)
    },
  )
  withVault(
    command.command('remove').argument('<id>', 'the beginning of its id').description('remove a password'),
  ).action(async (prefix: string, options: KeyOptions) => {
    const keys = await keysOf(context, options)
    if (dryRun(context, `would remove key ${prefix}`)) return
    const id = await keys.remove(prefix)
    context.out.result({ removed: id }, () => `removed key ${id.slice(0, 8)}`)
  })
}

const withNew = (command: Command): Command =>
  command
    .option('--new-password-file <file>', 'read the new password from this file')
    .option('--new-password-command <command>', 'run this program for the new password')

function dryRun({ options, out }: Context, text: string): boolean {
  if (options.dryRun !== true) return false
  out.result({ applied: false }, () => text)
  return true
}

async function keysOf(context: Context, options: KeyOptions): Promise<VaultKeys> {
  const { keys, name } = await openVault(context, options)
  if (keys !== undefined) return keys
  throw new AppError('vault.unsupported', `${name} is an archive vault, which has one password`)
}

function newPassword(context: Context, { newPasswordFile, newPasswordCommand }: KeyOptions): Secret {
  const given = context.password({
    ...(newPasswordFile !== undefined && { passwordFile: newPasswordFile }),
    ...(newPasswordCommand !== undefined && { passwordCommand: newPasswordCommand }),
    noEnvironment: true,
  })
  const secret = given ?? context.askPassword('New password', { twice: true })
  if (secret !== undefined) return secret
  throw new AppError('vault.no-password', 'no new password was given', {
    hint: 'Use --new-password-file or --new-password-command.',
  })
}

async function list({ out }: Context, keys: VaultKeys): Promise<void> {
  const found = await keys.list()
  out.result(
    found.map((key) => ({ ...key, created: key.created.toISOString() })),
    () =>
      table(
        ['ID', 'USER', 'HOST', 'CREATED', ''],
        found.map(({ id, user, host, created, current }) => [
          id.slice(0, 8),
          user,
          host,
          created.toISOString().slice(0, 19),
          current ? 'in use' : '',
        ]),
        [],
      ),
  )
}
