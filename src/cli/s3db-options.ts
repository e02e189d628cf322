/** s3db databases in `backup --db s3db` and `restore`: an address takes the place of a server. */
import { AppError } from '../base/errors.ts'
import { literalSecret } from '../model/secret.ts'
import type { SourceSettings } from '../model/job.ts'
import type { Secret } from '../model/settings.ts'
import type { App } from '../app.ts'
import type { Context } from './context.ts'
import { DATABASE_ONLY, type DatabaseOptions, type RestoreDatabaseOptions } from './database-options.ts'

/** Of a server, which an s3db database has not. */
const SERVER_ONLY = [...DATABASE_ONLY.filter((name) => name !== 'db' && name !== 'url'), 'host', 'database'] as const

export function s3dbSourceOf(context: Context, options: DatabaseOptions, words: readonly string[]): SourceSettings {
  refuseServer(options)
  if (options.excludeDatabase !== undefined)
    throw new AppError('usage.invalid', '--exclude-database means nothing here')
  if (words.length > 1) throw new AppError('usage.invalid', `${words[1]} is not a setting of a database`)
  const { table, excludeTable } = options
  return {
    type: 's3db',
    options: {
      url: addressOf(context, options.url ?? words[0]),
      ...(table && { resources: table }),
      ...(excludeTable && { exclude: excludeTable }),
    },
  }
}

type RestoreOptions = RestoreDatabaseOptions & {
  inPlace?: boolean
  delete?: boolean
  exclude?: string[]
  sparse?: boolean
  partial?: boolean
}

/** The database that a restore goes to; undefined when it goes to a folder. */
export async function s3dbTargetOf(
  context: Context,
  app: App,
  options: RestoreOptions,
  source: string,
): Promise<Awaited<ReturnType<App['s3dbTarget']>> | undefined> {
  const { to, db, url, only, exclude, overwrite, inPlace } = options
  if (source !== 's3db') {
    if (db !== 's3db') return undefined
    throw new AppError('usage.invalid', `a backup of a source of type ${source} cannot be restored to s3db`)
  }
  if (inPlace === true)
    throw new AppError('usage.invalid', 'a backup does not know how to log in to the database that it came from', {
      hint: 'Say --db s3db --url URL, or --to URL.',
    })
  const address = /^(s3|https?|file|sqlite|memory):/.test(to ?? '') ? to : undefined
  if (address === undefined && db !== 's3db') return undefined
  refuseServer(options)
  const given = (['sparse', 'partial', 'fromDatabase', 'globals'] as const).find((name) => options[name] !== undefined)
  if (given !== undefined) throw new AppError('usage.invalid', `--${given} means nothing for an s3db database`)
  if (options.delete === true && overwrite !== 'always')
    throw new AppError('usage.invalid', '--delete needs --overwrite always')
  return app.s3dbTarget(addressOf(context, address ?? url), {
    ...(only && { include: only }),
    ...(exclude && { exclude }),
    // What is equal is not written in any case.
    overwrite:
      overwrite === undefined ? 'refuse' : overwrite === 'never' || overwrite === 'if-newer' ? overwrite : 'always',
    delete: options.delete === true,
    dryRun: context.options.dryRun === true,
  })
}

function refuseServer(options: DatabaseOptions): void {
  const given = SERVER_ONLY.find((name) => options[name] !== undefined)
  if (given !== undefined)
    throw new AppError('usage.invalid', `--${given} is of a database server; s3db has an address`, {
      hint: 'Set HOLDFAST_S3DB_CONNECTION, or say --url URL.',
    })
}

function addressOf(context: Context, given: string | undefined): Secret {
  const text = given ?? context.env['HOLDFAST_S3DB_CONNECTION']
  if (text !== undefined && text !== '')
    return literalSecret(text, given === undefined ? 'HOLDFAST_S3DB_CONNECTION' : '--url')
  throw new AppError('usage.invalid', 'no s3db database was named', {
    hint: 'Set HOLDFAST_S3DB_CONNECTION, or say --url URL, such as sqlite:///file.db.',
  })
}
