import type { Command } from 'commander'
import { formatSize } from '../../base/units.ts'
import type { Usage } from '../../model/usage.ts'
import type { Context } from '../context.ts'
import type { Requests } from '../../model/storage.ts'
import type { JobStats, VaultStats } from '../../operations/stats.ts'
import type { Asked, Cost } from '../../policy/cost.ts'
import { table } from '../output.ts'
import { openVaults, withVault, type VaultOptions } from '../vault-options.ts'

interface Shown extends VaultStats {
  jobs: (JobStats & { requests: Requests; cost?: Cost })[]
  usage: Usage[]
  growthPerDay?: number
  daysToFull?: number
  /** Of the last thirty days. */
  requests: Requests
  /** By the prices of the vault. */
  cost?: Cost
}

const money = (amount: number, currency: string): string =>
  `${amount.toFixed(amount > 0 && amount < 0.01 ? 4 : 2)} ${currency}`

function estimateOf({ currency, perMonth, stored, requests, daysToBudget }: Cost): string {
  const budget =
    daysToBudget === undefined
      ? ''
      : daysToBudget === 0
        ? '; the budget is used up'
        : `; the budget is used up in ${Math.round(daysToBudget)} days`
  return `about ${money(perMonth, currency)} a month: ${money(stored, currency)} stored, ${money(requests, currency)} for requests${budget}`
}

/** Growth is told by the last month. */
const MEASURED_MS = 30 * 86_400_000

export function register(program: Command, context: Context): void {
  withVault(program.command('stats').description('storage use and growth, by job')).action(
    async (options: VaultOptions) => {
      const { askedOf, stats } = await import('../../operations/stats.ts')
      const { growthPerDay, daysToFull } = await import('../../policy/forecast.ts')
      const app = await context.app()
      const { costOf, sumOf, vaultCost } = await import('../../policy/cost.ts')
      const all: Shown[] = []
      for (const vault of await openVaults(context, options)) {
        const found = await stats(vault, {
          signal: context.signal,
          ...(options.job !== undefined && { job: options.job }),
        })
        const now = app.clock.now()
        const since = new Date(now.getTime() - MEASURED_MS)
        const usage = app.deps.catalogue.usage(vault.name, since)
        const asked = askedOf(app.deps, vault.name, since)
        const { prices } = app.settings.vaults[vault.name] ?? {}
        const cost = prices && vaultCost(prices, usage, asked, now)
        const ofJob = (job: string): Asked[] => asked.filter((one) => one.job === job)
        const [growth, days] = [growthPerDay(usage), daysToFull(usage, app.settings.vaults[vault.name]?.limits?.stop)]
        all.push({
          ...found,
          jobs: found.jobs.map((job) => ({
            ...job,
            requests: sumOf(ofJob(job.job)),
            ...(prices && { cost: costOf(prices, job.storedBytes, ofJob(job.job), now) }),
          })),
          usage,
          requests: sumOf(asked),
          ...(cost && { cost }),
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
              cost,
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
                ...(cost === undefined ? [] : [money(job.cost?.perMonth ?? 0, cost.currency)]),
                job.growthPerDay > 0 ? `${formatSize(job.growthPerDay)}/day` : '',
                job.newest.toISOString().slice(0, 19),
              ])
              const estimate = cost === undefined ? '' : `\n  ${estimateOf(cost)}`
              const columns = [
                'JOB',
                'BACKUPS',
                'FULL',
                'STORED',
                'CONTENT',
                ...(cost ? ['A MONTH'] : []),
                'GROWTH',
                'NEWEST (UTC)',
              ]
              return jobs.length === 0
                ? head + measured + estimate
                : `${head}${measured}${estimate}\n${table(columns, rows, cost ? [1, 2, 3, 4, 5] : [1, 2, 3, 4])}`
            },
          )
          .join('\n\n'),
      )
    },
  )
}
