import type { Command } from 'commander'
import { AppError } from '../../base/errors.ts'
import type { Context } from '../context.ts'
import { openVault, withVault, type VaultOptions } from '../vault-options.ts'

export function register(program: Command, context: Context): void {
  withVault(
    program
      .command('unlock')
      .description('remove locks of a repository whose owners are gone; every other command does so by itself'),
  )
    .option('--remove-all', 'remove all locks: only when nothing works on the repository')
    .action(async (options: VaultOptions & { removeAll?: boolean }) => unlock(context, options))
}

async function unlock(context: Context, options: VaultOptions & { removeAll?: boolean }): Promise<void> {
  const vault = await openVault(context, options)
  if (vault.unlock === undefined)
    throw new AppError('vault.unsupported', `${vault.name} is an archive vault: its leases end by themselves`)
  if (context.options.dryRun === true)
    return context.out.result({ applied: false }, () => 'dry run: nothing is removed')
  const removed = await vault.unlock({ all: options.removeAll === true, signal: context.signal })
  context.out.result({ removed: removed.length, notes: removed }, () =>
    [...removed, `removed ${removed.length} locks`].join('\n'),
  )
}
