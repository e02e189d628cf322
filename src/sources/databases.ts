/** The sources beside files, each loaded when it is wanted: `holdfast list` must not wait for a database driver. */
import { AppError } from '../base/errors.ts'
import type { DatabaseSourceSettings, DatabaseTargetSettings } from '../model/databases.ts'
import type { Source, Target, Trial } from '../model/source.ts'

export async function databaseSource(settings: DatabaseSourceSettings): Promise<Source> {
  switch (settings.type) {
    case 'command':
      return (await import('./command/source.ts')).command(settings)
    case 'sqlite':
      return (await import('./sqlite/source.ts')).sqlite(settings)
    case 'postgres':
      return (await import('./postgres/source.ts')).postgres(settings)
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

/** How backups of a source are proved; undefined for those that are files. */
export async function trialOf(source: string): Promise<Trial | undefined> {
  switch (source) {
    case 'sqlite':
      return (await import('./sqlite/trial.ts')).sqliteTrial
    case 'mysql':
      return (await import('./mysql/trial.ts')).mysqlTrial
    case 'postgres':
      return (await import('./postgres/trial.ts')).postgresTrial
    case 'mongodb':
      return (await import('./mongodb/trial.ts')).mongoTrial
    default:
      return undefined
  }
}
