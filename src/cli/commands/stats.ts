import type { Command } from 'commander'
import { formatSize } from '../../base/units.ts'
import type { Context } from '../context.ts'
import type { VaultStats } from '../../operations/stats.ts'
import { table } from '../output.ts'
import { openVaults, withVault, type VaultOptions } from '../vault-options.ts'

export function register(program: Command, context: Context): void {
  withVault(program.command('stats').description('storage use and growth, by job')).action(
    async (options: VaultOptions) => {
      const { stats } = await import('../../operations/stats.ts')
      const all: VaultStats[] = []
      for (const vault of await openVaults(context, options))
        all.push(await stats(vault, { signal: context.signal, ...(options.job !== undefined && { job: options.job }) }))
      context.out.result(all, () =>
        all
          .map(({ vault, backups, storedBytes, restorableBytes, free, total, jobs }) => {
            const space =
              free === undefined || total === undefined ? '' : `, ${formatSize(free)} of ${formatSize(total)} free`
            const head = `${context.out.paint('bold', vault)}: ${backups} backups take ${formatSize(storedBytes)} for ${formatSize(restorableBytes)} of content${space}`
            const rows = jobs.map((job) => [
              job.job,
              String(job.backups),
              String(job.fulls),
              formatSize(job.storedBytes),
              formatSize(job.sourceBytes),
              job.growthPerDay > 0 ? `${formatSize(job.growthPerDay)}/day` : '',
              job.newest.toISOString().slice(0, 19),
            ])
            return jobs.length === 0
              ? head
              : `${head}\n${table(['JOB', 'BACKUPS', 'FULL', 'STORED', 'CONTENT', 'GROWTH', 'NEWEST (UTC)'], rows, [1, 2, 3, 4])}`
          })
          .join('\n\n'),
      )
    },
  )
}
