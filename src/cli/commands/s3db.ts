import { Option, type Command } from 'commander'
import { AppError } from '../../base/errors.ts'
import { formatSize } from '../../base/units.ts'
import type { Backup } from '../../model/backup.ts'
import type { Job } from '../../model/job.ts'
import { recordCounts } from '../../model/labels.ts'
import type { Secret } from '../../model/settings.ts'
import { literalSecret } from '../../model/secret.ts'
import type { Context, PasswordOptions } from '../context.ts'
import { collect, findBackup, openVaults, opening, withPassword } from '../vault-options.ts'
import { compressionOf, exitCodeOf, showRun } from './backup.ts'
import { backupJson, backupTable } from './list.ts'

interface S3dbOptions extends PasswordOptions {
  connection?: string
  vault?: string
  job: string
  list?: boolean
  status?: string
  resource?: string[]
  exclude?: string[]
  compression?: string
  overwrite?: boolean
  delete?: boolean
}

const TYPES = ['full', 'incremental', 'differential'] as const

export function register(program: Command, context: Context): void {
  const command = program
    .command('s3db')
    .description('back up and restore s3db databases: full, incremental, differential, restore ID, --list, --status ID')
    .argument('[action]', `${TYPES.join(', ')} or restore`)
    .argument('[backup]', 'of restore: id or its beginning, or latest')
    .addOption(
      new Option('--connection <url>', 'connection string of the database (better by the environment)').env(
        'HOLDFAST_S3DB_CONNECTION',
      ),
    )
    .addOption(new Option('--vault <place>', 'vault: name, path or URL').env('HOLDFAST_VAULT'))
    .option('--job <name>', 'name of the job that backups belong to', 's3db')
    .option('--list', 'list the backups')
    .option('--status <backup>', 'tell about one backup')
    .option('--resource <name>', 'only this resource, or pattern (repeatable)', collect)
    .option('--exclude <name>', 'not this resource, or pattern (repeatable)', collect)
    .option('--compression <type[:level]>', 'none, gzip, deflate, brotli, zstd or zip')
    .option('--overwrite', 'replace what is in the database and differs; refused unless said')
    .option('--delete', 'remove from the restored resources what the backup does not have; with --overwrite')
  withPassword(command).action(async (action: string | undefined, backup: string | undefined, options: S3dbOptions) =>
    s3dbCommand(context, action, backup, options),
  )
}

async function s3dbCommand(
  context: Context,
  action: string | undefined,
  backup: string | undefined,
  options: S3dbOptions,
): Promise<void> {
  if (options.list === true) return list(context, options)
  if (options.status !== undefined) return status(context, options.status, options)
  const type = TYPES.find((each) => each === action)
  if (type !== undefined && backup === undefined) return make(context, type, options)
  if (action === 'restore') return restoreFrom(context, backup ?? 'latest', options)
  throw new AppError('usage.invalid', `${action ?? 'nothing'} is no action of s3db`, {
    hint: 'Write `holdfast s3db full`, `incremental`, `differential`, `restore ID`, `--list` or `--status ID`.',
  })
}

function connectionOf({ connection }: S3dbOptions): Secret {
  if (connection !== undefined) return literalSecret(connection, '--connection')
  throw new AppError('usage.invalid', 'no s3db database was named', {
    hint: 'Set HOLDFAST_S3DB_CONNECTION, or say --connection URL.',
  })
}

async function make(context: Context, type: (typeof TYPES)[number], options: S3dbOptions): Promise<void> {
  const unused = options.overwrite === true ? '--overwrite' : options.delete === true ? '--delete' : undefined
  if (unused !== undefined) throw new AppError('usage.invalid', `${unused} is for restore`)
  if (context.options.dryRun === true)
    throw new AppError('usage.invalid', 'a backup of an s3db database has no dry run', {
      hint: 'The database is only read; look at a restore with --dry-run.',
    })
  const { vault } = options
  if (vault === undefined) throw new AppError('usage.invalid', 'no vault was named', { hint: 'Say --vault PLACE.' })
  const app = await context.app()
  const { resource, exclude, compression, job: name } = options
  const job: Job = {
    name,
    enabled: true,
    source: {
      type: 's3db',
      options: {
        url: connectionOf(options),
        ...(resource && { resources: resource }),
        ...(exclude && { exclude }),
      },
    },
    vaults: [vault],
    type,
    verify: { afterBackup: 'V0', assert: [] },
    notify: [],
    hooks: { before: [], after: [], onFailure: [] },
    tags: [],
    labels: [],
  }
  const how = {
    create: true,
    ...opening(context, options),
    ...(compression !== undefined && { compression: compressionOf(compression) }),
  }
  const { runJobs } = await import('../../operations/run-jobs.ts')
  const results = await runJobs(
    app.deps,
    [job],
    {
      source: (each) => app.source(each.source, { vaults: each.vaults }),
      vault: async (place) => app.vault(place, how),
    },
    { signal: context.signal, onDone: (done) => showRun(context, done) },
  )
  context.exitCode = exitCodeOf(results)
}

async function list(context: Context, options: S3dbOptions): Promise<void> {
  const found: Backup[] = []
  for (const vault of await openVaults(context, vaultOf(options)))
    found.push(...(await vault.backups({ signal: context.signal })).filter(({ source }) => source === 's3db'))
  context.out.result(found.map(backupJson), () => backupTable(found, context))
}

async function status(context: Context, reference: string, options: S3dbOptions): Promise<void> {
  const { backup } = await findBackup(context, reference, vaultOf(options))
  const state = backup.broken === undefined ? 'completed' : 'broken'
  const records = recordCounts(backup.labels?.['resources'])
  context.out.result({ ...backupJson(backup), status: state, records }, () =>
    [
      `${backup.id}: ${state}${backup.broken === undefined ? '' : `, ${backup.broken}`}`,
      `  ${backup.type}, ${backup.time.toISOString()}, ${backup.files} objects, ${formatSize(backup.storedBytes)} stored`,
      ...Object.entries(records).map(([name, count]) => `  ${name}: ${count} records`),
      `  proved ${backup.proof.level}`,
    ].join('\n'),
  )
}

/** A backup is looked up in the whole vault. */
const vaultOf = ({ vault, passwordFile, passwordCommand }: S3dbOptions): PasswordOptions & { vault?: string } => ({
  ...(vault !== undefined && { vault }),
  ...(passwordFile !== undefined && { passwordFile }),
  ...(passwordCommand !== undefined && { passwordCommand }),
})

async function restoreFrom(context: Context, reference: string, options: S3dbOptions): Promise<void> {
  if (options.delete === true && options.overwrite !== true)
    throw new AppError('usage.invalid', '--delete needs --overwrite')
  if (options.compression !== undefined) throw new AppError('usage.invalid', '--compression is for backups')
  const connection = connectionOf(options)
  const app = await context.app()
  const { vault, backup } = await findBackup(context, reference, vaultOf(options))
  if (backup.source !== 's3db')
    throw new AppError('usage.invalid', `${backup.id} is a backup of ${backup.source}, not of an s3db database`)
  const { resource, exclude } = options
  const dryRun = context.options.dryRun === true
  const target = await app.s3dbTarget(connection, {
    ...(resource && { include: resource }),
    ...(exclude && { exclude }),
    overwrite: options.overwrite === true ? 'always' : 'refuse',
    delete: options.delete === true,
    dryRun,
  })
  const { restore } = await import('../../operations/restore.ts')
  const { signal, out } = context
  const { run, result, error } = await restore(app.deps, vault, { backup, target, selection: {}, dryRun }, { signal })
  if (error !== undefined) throw error
  if (result === undefined) return
  const { effects, bytes, files } = result
  out.line({
    message_type: 'summary',
    run_id: run.id,
    backup_id: backup.id,
    status: run.status,
    files_restored: files,
    bytes_restored: bytes,
    counts: effects,
    ...(dryRun && { dry_run: true }),
    warnings: run.warnings,
  })
  const said = Object.entries(effects).filter(([, count]) => count > 0)
  out.print(
    `${dryRun ? 'dry run' : `${out.paint('green', '✓')} restored ${backup.id}`}: ${said.map(([effect, count]) => `${count} ${effect}`).join(', ') || 'nothing to do'}`,
  )
  if (run.status === 'warning') context.exitCode = 3
}
