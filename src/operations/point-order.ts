/** A restore to a moment that somebody asked for and a worker makes; and what those on the command line share with it. */
import { statSync } from 'node:fs'
import { dirname } from 'node:path'
import { AppError } from '../base/errors.ts'
import type { DatabaseTargetSettings } from '../model/databases.ts'
import type { SourceSettings } from '../model/job.ts'
import type { LaneReplay, PointTarget, Reached } from '../model/lane.ts'
import type { RestoreOrder } from '../model/service.ts'
import type { Vault } from '../model/vault.ts'
import { bringBack } from './restore.ts'
import { databaseOrder } from './restore-order.ts'
import { describePoint, planPoint, readPlan, type Asked, type PointPlan } from './restore-point.ts'
import type { Deps, RunHandle } from './recorder.ts'

/** How the targets of each engine are opened. */
export interface PointTargets {
  cluster(settings: {
    folder: string
    tablespaces: Record<string, string>
    owner?: Owner
    dryRun: boolean
  }): Promise<PointTarget>
  database(settings: DatabaseTargetSettings, from: string): Promise<PointTarget>
  file(file: string, replace: boolean): Promise<LaneReplay>
}

export interface Owner {
  uid: number
  gid: number
}

interface PointOrder {
  vault: Vault
  job: string
  order: RestoreOrder & { point: NonNullable<RestoreOrder['point']> }
  /** Of the job, for where its server is. */
  source: SourceSettings | undefined
}

export async function restorePointByOrder(
  deps: Pick<Deps, 'clock'>,
  targets: PointTargets,
  { vault, job, order, source }: PointOrder,
  handle: Pick<RunHandle, 'run' | 'signal' | 'stage' | 'onProgress' | 'onWarning' | 'log'>,
): Promise<void> {
  const { signal } = handle
  const plan = await planPoint(vault, job, askedOf(order.point), { signal })
  handle.log(
    'info',
    `${job} as of ${describePoint(plan.point)}: ${plan.backup?.id ?? 'a copy in the log'}, and ${plan.segments.length} pieces of log`,
  )
  const how = { base: plan.base?.lane, point: plan.point, until: plan.chain.until, signal }
  const figures = ({ position, time, transactions }: Reached): Record<string, unknown> => ({
    reached: position,
    transactions,
    ...(time && { last_commit: time.toISOString() }),
  })
  if (plan.engine === 'sqlite') {
    const { to } = order
    const file = to.type === 'database' ? to.file : undefined
    if (file === undefined) throw new AppError('usage.invalid', 'say which file the database is restored to')
    const replay = await targets.file(file, order.overwrite === 'always')
    await replay.prepare?.(readPlan(vault, plan, { signal }), how)
    handle.stage('restore', file)
    const onStep = (what: string): void => handle.log('info', what)
    handle.run.summary = figures(await replay.run(readPlan(vault, plan, { signal }), { ...how, onStep }))
    return
  }
  const { backup } = plan
  if (backup === undefined) throw new AppError('internal.bug', 'a point without a backup')
  const { target, replay } = await targetOf(targets, { vault, plan, order, source })
  await replay.prepare?.(readPlan(vault, plan, { signal }), how)
  await bringBack(
    deps,
    vault,
    {
      backup,
      target,
      selection: {},
      forward: async (during) => figures(await replay.run(readPlan(vault, plan, during), { ...how, ...during })),
    },
    handle,
  )
}

export const askedOf = (point: NonNullable<RestoreOrder['point']>): Asked =>
  'at' in point ? { kind: 'point', text: point.at } : { kind: 'event', event: point.before }

async function targetOf(
  targets: PointTargets,
  {
    vault,
    plan,
    order,
    source,
  }: { vault: Vault; plan: PointPlan; order: RestoreOrder; source: SourceSettings | undefined },
): Promise<PointTarget> {
  const { engine, backup } = plan
  const { to } = order
  if (engine === 'postgres') {
    if (to.type !== 'folder')
      throw new AppError('usage.invalid', 'a PostgreSQL cluster is restored to a folder', {
        hint: 'Start a server of the same version on it.',
      })
    const owner = ownerOf(to.path)
    return targets.cluster({ folder: to.path, tablespaces: {}, dryRun: false, ...(owner && { owner }) })
  }
  if (engine !== 'mysql' || backup === undefined)
    throw new AppError('usage.invalid', `points in time of ${engine} cannot be restored`)
  if (to.type === 'folder' || order.paths.length > 0)
    throw new AppError('usage.invalid', 'a point in time is of a whole database, on a server')
  const settings = databaseOrder(order, backup, source, false)
  const from = databaseOf(await databasesOf(vault, backup.id), backup.id, settings)
  return targets.database({ ...settings, database: settings.database ?? from }, from)
}

/** Which database of the backup is meant. */
export function databaseOf(names: readonly string[], id: string, { from, database }: DatabaseTargetSettings): string {
  const found = from ?? (names.length === 1 ? names[0] : database)
  if (found !== undefined && names.includes(found)) return found
  throw new AppError('usage.invalid', `${id} has the databases ${names.join(', ')}`, {
    hint: 'Name one with --from-database.',
  })
}

/** Folders of a dump. */
export async function databasesOf(vault: Vault, id: string): Promise<string[]> {
  const names: string[] = []
  for await (const { kind, path } of vault.entries(id))
    if (kind === 'directory' && !path.includes('/')) names.push(decodeURIComponent(path))
  return names
}

/** No server runs as root: what root restores belongs to whom the folder, or the one above it, belongs to. */
export function ownerOf(folder: string): Owner | undefined {
  if (process.getuid?.() !== 0) return undefined
  for (let at = folder; ; at = dirname(at)) {
    const found = statSync(at, { throwIfNoEntry: false })
    if (found !== undefined) return found.uid === 0 ? undefined : { uid: found.uid, gid: found.gid }
    if (at === dirname(at)) return undefined
  }
}
