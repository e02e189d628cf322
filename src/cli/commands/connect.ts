import type { Command } from 'commander'
import type { Context } from '../context.ts'
import { opening, openVaults, withVault, type VaultOptions } from '../vault-options.ts'

export function register(program: Command, context: Context): void {
  withVault(program.command('connect').description('adopt an existing vault: rebuild the catalogue from what is in it'))
    .argument('[place...]', 'vaults to read; all configured ones if none is named')
    .action(async (places: string[], options: VaultOptions) => {
      const app = await context.app()
      const vaults =
        places.length > 0
          ? await Promise.all(places.map(async (place) => app.vault(place, opening(context, options))))
          : await openVaults(context, options)
      const found: {
        vault: string
        format: string
        backups: number
        jobs: string[]
        broken: number
        newest: Date | null
      }[] = []
      for (const vault of vaults) {
        const backups = await vault.backups({ signal: context.signal })
        if (context.options.dryRun !== true) app.history().replaceBackups(vault.name, backups)
        const jobs = [...new Set(backups.map(({ job }) => job))]
        found.push({
          vault: vault.name,
          format: vault.format,
          backups: backups.length,
          jobs,
          broken: backups.filter(({ broken }) => broken !== undefined).length,
          newest: backups.at(-1)?.time ?? null,
        })
      }
      context.out.result(found, () =>
        found
          .map(({ vault, backups, jobs, broken, newest }) => {
            const state = broken > 0 ? `, ${broken} of them broken: see \`holdfast check\`` : ''
            return `${vault}: ${backups} backups${state}${jobs.length > 0 ? `, of ${jobs.join(', ')}, the newest from ${newest?.toISOString() ?? ''}` : ''}`
          })
          .join('\n'),
      )
    })
}
