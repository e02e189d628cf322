import type { Command } from 'commander'
import { AppError } from '../../base/errors.ts'
import { formatSize, parseSize } from '../../base/units.ts'
import type { Retention } from '../../model/retention.ts'
import type { Vault } from '../../model/vault.ts'
import { toldOf } from '../../operations/locks.ts'
import type { PruneItem, PruneLimits, PrunePlan } from '../../operations/prune.ts'
import type { Context } from '../context.ts'
import { table } from '../output.ts'
import { collect, openVault, opening, withVault, type VaultOptions } from '../vault-options.ts'

interface PruneOptions extends VaultOptions {
  keepLast?: number
  keepHourly?: number
  keepDaily?: number
  keepWeekly?: number
  keepMonthly?: number
  keepYearly?: number
  keepWithin?: string
  keepPoints?: string
  keepTag?: string[]
  keepDays?: number
  timezone?: string
  maxUnused?: string
  maxRepackSize?: string
}

export function register(program: Command, context: Context): void {
  withVault(
    program.command('prune').aliases(['prune-backups', 'forget']).description('remove backups that no rule keeps'),
  )
    .argument('[job...]', 'jobs whose retention is applied; all that have one if none is named')
    .option('--keep-last <n>', 'keep the newest N', Number)
    .option('--keep-hourly <n>', 'keep the newest of each of N hours', Number)
    .option('--keep-daily <n>', '… days', Number)
    .option('--keep-weekly <n>', '… weeks', Number)
    .option('--keep-monthly <n>', '… months', Number)
    .option('--keep-yearly <n>', '… years', Number)
    .option('--keep-points <duration>', 'of a continuous log: keep every moment of this time, such as 7d', String)
    .option('--keep-within <duration>', 'keep all within this before the newest, such as 2y5m7d', String)
    .option('--keep-days <n>', 'keep all of the last N days', Number)
    .option('--keep-tag <tag>', 'keep all with this tag (repeatable)', collect)
    .option('--timezone <zone>', 'whose calendar counts (default: of the job, else UTC)')
    .option(
      '--max-unused <limit>',
      'of a repository: the share that may stay unused, such as 5% (default), or unlimited',
    )
    .option('--max-repack-size <size>', 'of a repository: write no more than this anew in one run, such as 2g')
    .option('--prune', 'accepted for those used to restic; removing is what this does')
    .action(async (jobs: string[], options: PruneOptions) => prune(context, jobs, options))
}

interface Task {
  vault: Vault
  job?: string
  retention: Retention
  timezone?: string
}

async function prune(context: Context, jobs: string[], options: PruneOptions): Promise<void> {
  const app = await context.app()
  const { planPrune, pruneAndKeepLocks } = await import('../../operations/prune.ts')
  const { recorded } = await import('../../operations/recorder.ts')
  const total: PrunePlan = { keep: [], remove: [], applied: context.options.dryRun !== true, bytesFreed: 0 }
  const limits = limitsOf(options)
  for (const task of await tasksOf(context, jobs, options)) {
    const { vault, ...request } = task
    let plan = await planPrune(app.deps, vault, request)
    if (context.options.dryRun !== true) {
      const planned = plan
      const { result, error } = await recorded(
        app.deps,
        { kind: 'prune', job: task.job ?? '', vault: vault.name, signal: context.signal },
        async (handle) => {
          handle.stage('prune')
          await vault.tidy({ signal: handle.signal })
          const applied = await pruneAndKeepLocks(app.deps, vault, planned, { handle, ...limits })
          handle.run.summary = { removed: applied.remove.map(({ id }) => id), bytes_freed: applied.bytesFreed }
          return applied
        },
      )
      if (error !== undefined) throw error
      plan = result ?? plan
    }
    total.keep.push(...plan.keep)
    total.remove.push(...plan.remove)
    if (plan.log !== undefined) total.log = [...(total.log ?? []), ...plan.log]
    total.bytesFreed += plan.bytesFreed
    if (plan.locked !== undefined) total.locked = plan.locked
    if (plan.released !== undefined) total.released = plan.released
  }
  const shape = ({ id, job, reasons }: PruneItem): Record<string, unknown> => ({ id, job, reasons })
  context.out.result(
    {
      keep: total.keep.map(shape),
      remove: total.remove.map(shape),
      log: (total.log ?? []).map(({ job, segments }) => ({ job, segments: segments.length })),
      applied: total.applied,
      bytes_freed: total.bytesFreed,
      ...(total.locked && { locked: { mode: total.locked.mode, until: total.locked.until } }),
      ...(total.released && { released: total.released }),
    },
    () => text(context, total),
  )
}

async function tasksOf(context: Context, names: string[], options: PruneOptions): Promise<Task[]> {
  const app = await context.app()
  // Only to free space: with no rule all is kept.
  const freeing = options.maxUnused !== undefined || options.maxRepackSize !== undefined
  const adHoc = retentionOf(options) ?? (freeing && names.length === 0 && options.job === undefined ? {} : undefined)
  const { timezone } = options
  if (adHoc !== undefined) {
    const job = names[0] ?? options.job
    return [
      {
        vault: await openVault(context, options),
        retention: adHoc,
        ...(job !== undefined && { job }),
        ...(timezone !== undefined && { timezone }),
      },
    ]
  }
  const jobs = names.length > 0 ? names.map((name) => app.job(name)) : Object.values(app.settings.jobs)
  const tasks: Task[] = []
  for (const { name, retention, schedule, vaults } of jobs) {
    if (retention === undefined || (options.job !== undefined && name !== options.job)) continue
    const zone = timezone ?? schedule?.timezone
    for (const vault of vaults) {
      if (options.vault !== undefined && vault !== options.vault) continue
      tasks.push({
        vault: await app.vault(vault, opening(context, options)),
        job: name,
        retention,
        ...(zone !== undefined && { timezone: zone }),
      })
    }
  }
  if (tasks.length > 0) return tasks
  throw new AppError('usage.invalid', 'there is no retention to apply', {
    hint: 'Say --keep-last N and the like, or give the job a retention.',
  })
}

function retentionOf(options: PruneOptions): Retention | undefined {
  const counts = {
    last: options.keepLast,
    hourly: options.keepHourly,
    daily: options.keepDaily,
    weekly: options.keepWeekly,
    monthly: options.keepMonthly,
    yearly: options.keepYearly,
    days: options.keepDays,
  }
  for (const [name, count] of Object.entries(counts)) {
    if (count !== undefined && (!Number.isInteger(count) || count < 0))
      throw new AppError('usage.invalid', `--keep-${name} takes a whole number`)
  }
  const given = Object.fromEntries(Object.entries(counts).filter(([, count]) => count !== undefined)) as Retention
  if (options.keepWithin !== undefined) given.within = options.keepWithin
  if (options.keepPoints !== undefined) given.points = options.keepPoints
  if (options.keepTag !== undefined) given.tags = options.keepTag
  return Object.keys(given).length === 0 ? undefined : given
}

function limitsOf({ maxUnused, maxRepackSize }: PruneOptions): PruneLimits {
  const limits: PruneLimits = {}
  if (maxRepackSize !== undefined) limits.maxRepackBytes = parseSize(maxRepackSize)
  if (maxUnused === undefined) return limits
  const percent = maxUnused === 'unlimited' ? 100 : Number(/^(\d+(?:\.\d+)?)%?$/.exec(maxUnused)?.[1] ?? Number.NaN)
  if (!(percent >= 0 && percent <= 100))
    throw new AppError('usage.invalid', `--max-unused ${maxUnused} is no percentage such as 5%`)
  return { ...limits, maxUnused: percent / 100 }
}

function text({ out }: Context, plan: PrunePlan): string {
  const row =
    (mark: string) =>
    (item: PruneItem): string[] => [mark, item.id, item.job, formatSize(item.storedBytes), item.reasons.join('; ')]
  const rows = [
    ...plan.keep.map(row(out.paint('green', 'keep'))),
    ...plan.remove.map(row(out.paint('red', plan.applied ? 'removed' : 'remove'))),
  ]
  const verb = plan.applied
    ? `removed ${plan.remove.length} backups, ${formatSize(plan.bytesFreed)} freed`
    : `dry run: would remove ${plan.remove.length} backups`
  const log = (plan.log ?? []).map(
    ({ job, segments }) =>
      `\n${plan.applied ? 'removed' : 'would remove'} ${segments.length} pieces of the log of ${job}`,
  )
  const { mode, until } = plan.locked ?? {}
  const locked =
    until === undefined
      ? ''
      : `\nwhat is removed stays locked (${mode}) and is paid for until ${until.toISOString().slice(0, 10)} at the latest; \`asOf\` reads it`
  const released = plan.released === undefined ? '' : `\n${toldOf(plan.released)}`
  return `${table(['', 'ID', 'JOB', 'STORED', 'WHY'], rows, [3])}\n${verb}, kept ${plan.keep.length}${log.join('')}${locked}${released}`
}
