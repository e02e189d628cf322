import { resolve } from 'node:path'
import type { Command } from 'commander'
import { AppError } from '../../base/errors.ts'
import { displayPath, isUnder } from '../../base/paths.ts'
import type { Entry } from '../../model/entry.ts'
import type { EntrySelection } from '../../model/vault.ts'
import { backupOfFile } from '../archive-file.ts'
import { globMatcher } from '../globs.ts'
import type { Context } from '../context.ts'
import { databaseTargetOf, typeOfUrl, withServer, type RestoreDatabaseOptions } from '../database-options.ts'
import { s3dbTargetOf } from '../s3db-options.ts'
import { showRestore } from '../restore-view.ts'
import { collect, findBackup, withVault, type Found, type VaultOptions } from '../vault-options.ts'

export interface RestoreOptions extends VaultOptions, RestoreDatabaseOptions {
  file?: string
  inPlace?: boolean
  exclude?: string[]
  overwrite?: 'never' | 'if-newer' | 'if-changed' | 'always'
  delete?: boolean
  sparse?: boolean
  partial?: boolean
  at?: string
  before?: string
  tablespace?: string[]
}

/** What a physical backup of PostgreSQL says that it is. */
const CLUSTER = 'postgres-physical'

const OVERWRITE = ['never', 'if-newer', 'if-changed', 'always']

export function register(program: Command, context: Context): void {
  const command = withVault(program.command('restore').description('bring a backup, or a part of it, back'))
    .option('--tag <tag>', 'only backups with this tag (repeat: with all of them)', collect)
    .option('--host <name>', 'only backups of this host; with --db or --database: the database server')
  withServer(command)
    .option('--database <name>', 'restore to a database of this name; of sqlite the file', collect)
    .option('--from-database <name>', 'which database of the backup, if there are several')
    .option('--globals', 'roles and other things of the whole database server too')
    .argument('[backup]', 'id or its beginning, latest, or ID:/sub/path', 'latest')
    .option('--to <folder|url>', 'restore below this folder, by full path; or to a database: postgres://…, sqlite:FILE')
    .option('--file <archive>', 'the backup that this file of an archive vault belongs to')
    .option(
      '--at <point>',
      'to a moment: a time, latest, a place in the log (LSN, GTID), xid:N, or a named restore point',
    )
    .option('--before <event>', 'to just before an event that `holdfast timeline` names')
    .option('--tablespace <oid=folder>', 'of a PostgreSQL cluster: where a tablespace goes (repeatable)', collect)
    .option('--in-place', 'restore to where it came from')
    .option('--only <path|glob>', 'only this file, folder, table or pattern (repeatable)', collect)
    .option('--exclude <glob>', 'not this (repeatable)', collect)
    .option('--overwrite <mode>', `what to do with what exists: ${OVERWRITE.join(', ')}; refused unless said`)
    .option('--delete', 'remove from restored folders what the backup does not have')
    .option('--no-ownership', 'do not set owners')
    .option('--ownership', 'set owners, devices and special attributes (default for root)')
    .option('--sparse', 'make holes for zeros in all files')
    .option('--partial', 'of a damaged chain, restore what is left')
    .action(async (backup: string, options: RestoreOptions) => restoreCommand(context, backup, options))
}

async function restoreCommand(context: Context, reference: string, options: RestoreOptions): Promise<void> {
  const { out, signal } = context
  const dryRun = context.options.dryRun === true
  const toDatabase = options.db !== undefined || options.database !== undefined
  if (
    [options.to !== undefined, options.inPlace === true, toDatabase && options.to === undefined].filter(Boolean)
      .length !== 1
  ) {
    throw new AppError('usage.invalid', 'say where to restore', {
      hint: 'Write --to FOLDER, --to postgres://USER@HOST/DATABASE, or --in-place to restore where it came from.',
    })
  }
  if (options.overwrite !== undefined && !OVERWRITE.includes(options.overwrite))
    throw new AppError('usage.invalid', `--overwrite ${options.overwrite} is none of ${OVERWRITE.join(', ')}`)
  if (options.at !== undefined || options.before !== undefined) {
    const { restorePointCommand } = await import('../restore-point.ts')
    return restorePointCommand(context, reference, options)
  }
  const app = await context.app()
  const isDatabase = toDatabase || (options.to !== undefined && typeOfUrl(options.to) !== undefined)
  const { host: _, ...filter } = options
  const named = options.file === undefined ? undefined : backupOfFile(options.file)
  if (named !== undefined && (reference !== 'latest' || options.vault !== undefined))
    throw new AppError('usage.invalid', '--file names the backup and its vault already')
  const { vault, backup, under } = await findBackup(context, named?.id ?? reference, {
    ...(isDatabase ? filter : options),
    ...(named && { vault: named.vault }),
  })
  if (backup.source === CLUSTER) {
    const { restoreClusterCommand } = await import('../restore-point.ts')
    return restoreClusterCommand(context, { vault, backup }, options)
  }
  const s3db = await s3dbTargetOf(context, app, options, backup.source)
  const database = s3db === undefined ? databaseTargetOf(context, options, backup.source) : undefined
  if (database !== undefined) refuseForDatabases(options, under)
  const toFiles = database === undefined && s3db === undefined
  const selection = toFiles ? selectionOf(options, under) : {}
  const { overwrite, ownership, sparse, delete: remove } = options
  const whole = selection.want === undefined && under === undefined
  const strip = under === undefined || !toFiles ? undefined : await stripOf(vault, backup.id, under)
  const filesSettings = (): Parameters<typeof app.filesTarget>[0] => ({
    root: options.inPlace === true ? '/' : resolve(options.to as string),
    ...(options.inPlace === true ? { inPlace: backup.paths } : strip !== undefined && { strip }),
    ...(overwrite && { overwrite }),
    ...(ownership !== undefined && { ownership }),
    ...(sparse !== undefined && { sparse }),
    ...(remove === true && { delete: deleteRoots(options, under, backup.paths) }),
    ...(whole && { expectedBytes: backup.sourceBytes, exactBytes: async () => bytesWithoutHoles(vault, backup.id) }),
    dryRun,
  })
  const target =
    s3db ?? (database === undefined ? app.filesTarget(filesSettings()) : await app.databaseTarget(database))
  const { restore } = await import('../../operations/restore.ts')
  const { siblingsOf } = await import('../../operations/fallback.ts')
  const { vaults: all = [] } = app.settings.jobs[backup.job] ?? {}
  const effects: { effect: string; path: string }[] = []
  const { run, result, error } = await restore(
    app.deps,
    vault,
    {
      backup,
      target,
      selection,
      dryRun,
      ...(all.length > 1 && { siblings: () => siblingsOf(backup, all, async (name) => app.vault(name)) }),
      ...(options.partial === true && { partial: true }),
      onEffect: (entry, effect) => {
        if (dryRun && entry.kind !== 'directory') effects.push({ effect, path: displayPath(entry.path) })
        else if (context.options.verbose === true) out.note(`${effect.padEnd(9)} ${displayPath(entry.path)}`)
      },
    },
    { signal },
  )
  showRestore(context, { run, result, error }, { backup, to: target.name, effects })
}

/** What only means something for files must not be given with a database, and be forgotten. */
function refuseForDatabases(options: RestoreOptions, under: string | undefined): void {
  const given = (['exclude', 'delete', 'sparse', 'partial'] as const).find((name) => options[name] !== undefined)
  if (given !== undefined) throw new AppError('usage.invalid', `--${given} means nothing for a database`)
  if (under !== undefined)
    throw new AppError('usage.invalid', 'a part of a backup by its path is for files', {
      hint: 'Name tables with --only TABLE.',
    })
}

export function selectionOf(
  { only, exclude }: { only?: string[]; exclude?: string[] },
  under: string | undefined,
): EntrySelection {
  const wanted = only?.map((text) => globMatcher(text))
  const unwanted = exclude?.map((text) => globMatcher(text))
  if (wanted === undefined && unwanted === undefined) return under === undefined ? {} : { under }
  const want = ({ path }: Entry): boolean =>
    (wanted?.some((matches) => matches(path)) ?? true) && unwanted?.some((matches) => matches(path)) !== true
  return { ...(under !== undefined && { under }), want }
}

async function bytesWithoutHoles(vault: Found['vault'], id: string): Promise<number> {
  let bytes = 0
  for await (const { kind, hardlink, size, sparse } of vault.entries(id))
    if (kind === 'file' && hardlink === undefined && sparse !== true) bytes += size
  return bytes
}

/** What is above the part is stripped; of a single file its folder. */
async function stripOf(
  vault: Awaited<ReturnType<typeof findBackup>>['vault'],
  id: string,
  under: string,
): Promise<string> {
  for await (const entry of vault.entries(id, { under })) {
    if (entry.path !== under) break
    return entry.kind === 'directory' ? under : under.slice(0, Math.max(under.lastIndexOf('/'), 0))
  }
  throw new AppError('backup.not-found', `there is no ${under} in ${id}`, {
    hint: `See what is in it with \`holdfast ls ${id}\`.`,
  })
}

function deleteRoots({ only, exclude }: RestoreOptions, under: string | undefined, paths: readonly string[]): string[] {
  if (only !== undefined || exclude !== undefined) {
    throw new AppError('usage.invalid', '--delete works on whole folders, not with --only or --exclude', {
      hint: 'Restore a folder with ID:/path --delete.',
    })
  }
  const roots = paths.map((path) => path.replace(/^\//, ''))
  if (under === undefined) return roots
  if (!roots.some((root) => isUnder(under, root)))
    throw new AppError(
      'usage.invalid',
      `${under} is above what was backed up: --delete would remove what the backup never had`,
    )
  return [under]
}
