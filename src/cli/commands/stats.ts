import type { Command } from 'commander'
import { formatSize } from '../../base/units.ts'
import type { Usage } from '../../model/usage.ts'
import type { Context } from '../context.ts'
import type { VaultStats } from '../../operations/stats.ts'
import { table } from '../output.ts'
import { openVaults, withVault, type VaultOptions } from '../vault-options.ts'

/** Growth is told by the last month. */
const MEASURED_MS = 30 * 86_400_000

export function register(program: Command, context: Context): void {
  withVault(program.command('stats').description('storage use and growth, by job')).action(
    async (options: VaultOptions) => {
      const { stats } = await import('../../operations/stats.ts')
      const { growthPerDay, daysToFull } = await import('../../policy/forecast.ts')
      const app = await context.app()
      const all: (VaultStats & { usage: Usage[]; growthPerDay?: number; daysToFull?: number })[] = []
      for (const vault of await openVaults(context, options)) {
        const found = await stats(vault, {
          signal: context.signal,
          ...(options.job !== undefined && { job: options.job }),
        })
        const usage = app.deps.catalogue.usage(vault.name, new Date(app.clock.now().getTime() - MEASURED_MS))
        const [growth, days] = [growthPerDay(usage), daysToFull(usage, app.settings.vaults[vault.name]?.limits?.stop)]
        all.push({
          ...found,
          usage,
          ...(growth !== undefined && { growthPerDay: Math.round(growth) }),
          ...(days !== undefined && { daysToFull: Math.round(days) }),
        })
      }
      context.out.result(all, () =>
        all
          .map(
            ({
              vault,
              backups,
              storedBytes,
              restorableBytes,
              free,
              total,
              jobs,
              usage,
              growthPerDay: grows,
              daysToFull: full,
            }) => {
              const space =
                free === undefined || total === undefined ? '' : `, ${formatSize(free)} of ${formatSize(total)} free`
              const head = `${context.out.paint('bold', vault)}: ${backups} backups take ${formatSize(storedBytes)} for ${formatSize(restorableBytes)} of content${space}`
              const last = usage.at(-1)
              const measured =
                last === undefined
                  ? ''
                  : `\n  measured ${last.at.toISOString().slice(0, 10)}: ${formatSize(last.bytes)} in ${last.objects} objects${
                      grows === undefined ? '' : `, ${grows < 0 ? '−' : '+'}${formatSize(Math.abs(grows))} a day`
                    }${full === undefined ? '' : `, full in ${full} days`}`
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
                ? head + measured
                : `${head}${measured}\n${table(['JOB', 'BACKUPS', 'FULL', 'STORED', 'CONTENT', 'GROWTH', 'NEWEST (UTC)'], rows, [1, 2, 3, 4])}`
            },
          )
          .join('\n\n'),
      )
    },
  )
}
