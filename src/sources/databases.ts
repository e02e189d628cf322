/** The sources beside files, each loaded when it is wanted: `holdfast list` must not wait for a database driver. */
import { AppError } from '../base/errors.ts'
import type { DatabaseSourceSettings, DatabaseTargetSettings } from '../model/databases.ts'
import type { SourceSettings } from '../model/job.ts'
import type { LaneReplay, LaneSource, PointTarget, PointTrial } from '../model/lane.ts'
import type { Source, Target, Trial } from '../model/source.ts'
import type { ClusterTargetSettings } from './postgres/cluster-target.ts'

export async function databaseSource(settings: DatabaseSourceSettings): Promise<Source> {
  switch (settings.type) {
    case 'command':
      return (await import('./command/source.ts')).command(settings)
    case 'sqlite':
      return (await import('./sqlite/source.ts')).sqlite(settings)
    case 'postgres':
      return settings.method === 'physical'
        ? (await import('./postgres/physical.ts')).postgresPhysical(settings)
        : (await import('./postgres/source.ts')).postgres(settings)
    case 'mysql':
      return (await import('./mysql/source.ts')).mysql(settings)
    case 'mongodb':
      return (await import('./mongodb/source.ts')).mongodb(settings)
  }
}

export async function databaseTarget(settings: DatabaseTargetSettings): Promise<Target> {
  const { type, database, from, replace, dryRun } = settings
  switch (type) {
    case 'sqlite': {
      if (database === undefined)
        throw new AppError('usage.invalid', 'say which file the database is restored to', {
          hint: 'Write --to sqlite:FILE, or --db sqlite --database FILE.',
        })
      const { sqliteTarget } = await import('./sqlite/target.ts')
      return sqliteTarget({
        file: database,
        ...(from !== undefined && { database: from }),
        ...(replace !== undefined && { replace }),
        ...(dryRun !== undefined && { dryRun }),
      })
    }
    case 'postgres':
      return (await import('./postgres/target.ts')).postgresTarget(settings)
    case 'mysql':
      return (await import('./mysql/target.ts')).mysqlTarget(settings)
    case 'mongodb':
      return (await import('./mongodb/target.ts')).mongoTarget(settings)
  }
}

/** The log of a source; undefined where it has none that can be followed. */
export async function laneSource(settings: SourceSettings, job: string): Promise<LaneSource | undefined> {
  if (settings.type === 'postgres' && settings.method === 'physical')
    return (await import('./postgres/lane.ts')).postgresLane(settings, job)
  if (settings.type === 'mysql' && settings.binlog === true)
    return (await import('./mysql/lane.ts')).mariadbLane(settings)
  if (settings.type === 'sqlite') return (await import('./sqlite/lane.ts')).sqliteLane(settings)
  return undefined
}

/** Where a physical backup of PostgreSQL goes. */
export async function clusterPoint(settings: ClusterTargetSettings): Promise<PointTarget> {
  const { clusterTarget } = await import('./postgres/cluster-target.ts')
  const { clusterReplay } = await import('./postgres/cluster-replay.ts')
  const { seekInLog } = await import('./postgres/cluster-seek.ts')
  const target = clusterTarget(settings)
  return {
    target,
    replay: {
      prepare: seekInLog,
      run: async (segments, how) => {
        const { segmentSize } = target.about()
        const { folder, owner } = settings
        return clusterReplay({ folder, segmentSize, ...(owner && { owner }) }).run(segments, how)
      },
    },
  }
}

/** A file that becomes an SQLite database, out of the log alone. */
export async function filePoint(file: string, replace: boolean): Promise<LaneReplay> {
  return (await import('./sqlite/replay.ts')).sqliteReplay({ file, replace })
}

/** Where a database of a backup goes that is then brought forward. `from`: what it is called in the backup. */
export async function databasePoint(settings: DatabaseTargetSettings, from: string): Promise<PointTarget> {
  const target = await databaseTarget({ ...settings, from })
  if (settings.type !== 'mysql')
    throw new AppError('source.unsupported', `points in time of ${settings.type} cannot be restored`)
  const { mariadbReplay } = await import('./mysql/replay.ts')
  return { target, replay: mariadbReplay({ target: settings, from, to: settings.database ?? from }) }
}

/** How moments of an engine are proved. */
export async function pointTrialOf(engine: string): Promise<PointTrial | undefined> {
  switch (engine) {
    case 'sqlite':
      return (await import('./sqlite/point-trial.ts')).sqlitePointTrial
    case 'mysql':
      return (await import('./mysql/trial.ts')).mysqlPointTrial
    case 'postgres':
      return (await import('./postgres/cluster-trial.ts')).clusterPointTrial
    default:
      return undefined
  }
}

/** How backups of a source are proved; undefined for those that are files. */
export async function trialOf(source: string): Promise<Trial | undefined> {
  switch (source) {
    case 'sqlite':
      return (await import('./sqlite/trial.ts')).sqliteTrial
    case 'mysql':
      return (await import('./mysql/trial.ts')).mysqlTrial
    case 'postgres':
      return (await import('./postgres/trial.ts')).postgresTrial
    case 'postgres-physical':
      return (await import('./postgres/cluster-trial.ts')).clusterTrial
    case 'mongodb':
      return (await import('./mongodb/trial.ts')).mongoTrial
    default:
      return undefined
  }
}
