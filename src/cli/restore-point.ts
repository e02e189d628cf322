/** `restore --at` and `--before`, and restores of clusters: a backup, and the log after it. */
import { resolve } from 'node:path'
import type { App } from '../app.ts'
import { AppError } from '../base/errors.ts'
import type { Backup } from '../model/backup.ts'
import type { PointTarget, Reached } from '../model/lane.ts'
import type { Vault } from '../model/vault.ts'
import { databaseOf, databasesOf, ownerOf } from '../operations/point-order.ts'
import { readPlan, type PointPlan } from '../operations/restore-point.ts'
import type { Context } from './context.ts'
import type { RestoreOptions } from './commands/restore.ts'
import { databaseTargetOf } from './database-options.ts'
import { showRestore } from './restore-view.ts'
import { openVaults, type VaultOptions } from './vault-options.ts'

/** A cluster as of one backup, without the log after it. */
export async function restoreClusterCommand(
  context: Context,
  { vault, backup }: { vault: Vault; backup: Backup },
  options: RestoreOptions,
): Promise<void> {
  const app = await context.app()
  const { target } = await clusterOf(context, app, options)
  const { restore } = await import('../operations/restore.ts')
  const done = await restore(
    app.deps,
    vault,
    { backup, target, selection: {}, dryRun: context.options.dryRun === true },
    { signal: context.signal },
  )
  showRestore(context, done, { backup, to: target.name, effects: [] })
}

export async function restorePointCommand(context: Context, reference: string, options: RestoreOptions): Promise<void> {
  const { out, signal } = context
  if (options.at !== undefined && options.before !== undefined)
    throw new AppError('usage.invalid', '--at and --before exclude each other')
  if (reference !== 'latest' || options.file !== undefined)
    throw new AppError('usage.invalid', '--at and --before choose the backup themselves')
  const app = await context.app()
  const { vault, job } = await laneOf(context, options)
  const { planPoint, describePoint } = await import('../operations/restore-point.ts')
  const { restore } = await import('../operations/restore.ts')
  const asked =
    options.before === undefined
      ? ({ kind: 'point', text: options.at as string } as const)
      : ({ kind: 'event', event: options.before } as const)
  const plan = await planPoint(vault, job, asked, { signal })
  const { backup } = plan
  const bytes = plan.segments.reduce((sum, { size }) => sum + size, 0)
  out.note(
    `${job} as of ${describePoint(plan.point)}: ${backup === undefined ? 'a copy in the log' : backup.id}, and ${plan.segments.length} pieces of log (${bytes} bytes)`,
  )
  if (plan.engine === 'sqlite') return fromLog(context, app, vault, plan, options)
  const { target, replay } = await pointTargetOf(context, app, vault, plan, options)
  if (backup === undefined) throw new AppError('internal.bug', 'a point without a backup')
  const how = { base: plan.base?.lane, point: plan.point, until: plan.chain.until, signal }
  await replay.prepare?.(readPlan(vault, plan, { signal }), how)
  let reached: Reached | undefined
  const done = await restore(
    app.deps,
    vault,
    {
      backup,
      target,
      selection: {},
      dryRun: context.options.dryRun === true,
      forward: async (during) => {
        reached = await replay.run(readPlan(vault, plan, during), { ...how, ...during })
        return { reached: reached.position, transactions: reached.transactions }
      },
    },
    { signal },
  )
  const more =
    reached === undefined
      ? {}
      : { reached: reached.position, last_commit: reached.time, transactions: reached.transactions }
  showRestore(context, done, { backup, to: target.name, effects: [], more })
  if (reached !== undefined)
    out.print(
      `  reached ${reached.position}: ${reached.transactions} transactions after the backup${reached.time === undefined ? '' : `, the last of ${reached.time.toISOString()}`}`,
    )
}

/** The log itself holds what a restore begins with. */
async function fromLog(
  context: Context,
  app: App,
  vault: Vault,
  plan: PointPlan,
  options: RestoreOptions,
): Promise<void> {
  const { out, signal } = context
  const settings = databaseTargetOf(context, options, 'sqlite')
  if (settings?.database === undefined)
    throw new AppError('usage.invalid', 'say which file the database is restored to', {
      hint: 'Write --to sqlite:FILE.',
    })
  const file = settings.database
  const replay = await app.filePoint(file, settings.replace === true)
  const how = { base: undefined, point: plan.point, until: plan.chain.until, signal }
  await replay.prepare?.(readPlan(vault, plan, { signal }), how)
  if (context.options.dryRun === true) return out.print(`dry run: create ${file}`)
  const { recorded } = await import('../operations/recorder.ts')
  const { run, result, error } = await recorded(
    app.deps,
    { kind: 'restore', job: plan.job, vault: vault.name, signal },
    async (handle) => {
      handle.stage('restore', file)
      return replay.run(readPlan(vault, plan, { signal: handle.signal }), {
        ...how,
        signal: handle.signal,
        onStep: (what) => handle.log('info', what),
      })
    },
  )
  out.line({
    message_type: 'summary',
    run_id: run.id,
    status: run.status,
    ...(result && { reached: result.position, last_commit: result.time, transactions: result.transactions }),
    warnings: run.warnings,
  })
  if (error !== undefined) throw error
  out.print(
    `${out.paint('green', '✓')} restored ${file} as of ${result?.time?.toISOString() ?? ''}: ${result?.transactions ?? 0} transactions after a copy`,
  )
}

/** The vault and the job whose log is meant. */
export async function laneOf(
  context: Context,
  options: Pick<RestoreOptions, 'job'> & VaultOptions,
): Promise<{ vault: Vault; job: string }> {
  const found: { vault: Vault; job: string }[] = []
  for (const vault of await openVaults(context, options))
    for (const job of await vault.lanes.jobs({ signal: context.signal }))
      if (options.job === undefined || options.job === job) found.push({ vault, job })
  const jobs = new Set(found.map(({ job }) => job))
  const [first] = found
  if (first === undefined)
    throw new AppError(
      'restore.unreachable',
      `no log is stored${options.job === undefined ? '' : ` of ${options.job}`}`,
      {
        hint: 'Points in time come with a continuous log: see `holdfast lane --help`.',
      },
    )
  if (jobs.size > 1)
    throw new AppError('usage.invalid', 'logs of several jobs are stored', {
      hint: `Name one with --job: ${[...jobs].join(', ')}.`,
    })
  // Any of several vaults will do; that which reaches furthest is best.
  const { viewLane } = await import('../operations/restore-point.ts')
  let best = { ...first, until: 0 }
  if (found.length > 1)
    for (const one of found) {
      const until = (await viewLane(one.vault, one.job))?.windows.at(-1)?.to.getTime() ?? 0
      if (until > best.until) best = { ...one, until }
    }
  return best
}

async function pointTargetOf(
  context: Context,
  app: App,
  vault: Vault,
  plan: PointPlan,
  options: RestoreOptions,
): Promise<PointTarget> {
  const { engine, backup } = plan
  if (engine === 'postgres') return clusterOf(context, app, options)
  if (engine === 'mysql' && backup !== undefined) {
    const settings = databaseTargetOf(context, options, backup.source)
    if (settings === undefined)
      throw new AppError('usage.invalid', 'say which server the database is restored to', {
        hint: 'Write --to mysql://USER@HOST/DATABASE, or --host … --database ….',
      })
    if (options.only !== undefined || options.globals !== undefined)
      throw new AppError(
        'usage.invalid',
        'a point in time is of a whole database: --only and --globals do not go with it',
      )
    const from = databaseOf(await databasesOf(vault, backup.id), backup.id, settings)
    return app.databasePoint({ ...settings, database: settings.database ?? from }, from)
  }
  throw new AppError('usage.invalid', `points in time of ${engine} cannot be restored`)
}

async function clusterOf(context: Context, app: App, options: RestoreOptions): Promise<PointTarget> {
  if (options.to === undefined || /^[a-z][\w+-]*:/i.test(options.to))
    throw new AppError('usage.invalid', 'a PostgreSQL cluster is restored to a folder', {
      hint: 'Write --to FOLDER, then start a server of the same version on it.',
    })
  for (const name of ['only', 'exclude', 'delete', 'sparse', 'partial', 'overwrite', 'fromDatabase'] as const)
    if (options[name] !== undefined)
      throw new AppError('usage.invalid', `--${name} means nothing for a cluster, which is restored whole`)
  const folder = resolve(options.to)
  const tablespaces = Object.fromEntries(
    (options.tablespace ?? []).map((text) => {
      const [what = '', where] = text.split(/=(.*)/s)
      if (where === undefined || where === '')
        throw new AppError('usage.invalid', `--tablespace ${text} is not OID=FOLDER`)
      return [what, resolve(where)]
    }),
  )
  const owner = ownerOf(folder)
  return app.clusterPoint({
    folder,
    tablespaces,
    ...(owner && { owner }),
    dryRun: context.options.dryRun === true,
  })
}
