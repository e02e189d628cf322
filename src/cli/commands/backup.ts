import type { Command } from 'commander'
import type { App, VaultOpening } from '../../app.ts'
import { AppError } from '../../base/errors.ts'
import { formatDuration, formatSize } from '../../base/units.ts'
import type { Job } from '../../model/job.ts'
import type { CompressionSettings } from '../../model/settings.ts'
import { adHocJob, configuredJobs, type BackupOptions } from '../backup-jobs.ts'
import type { Context } from '../context.ts'
import { withDatabaseChoice, withServer } from '../database-options.ts'
import { positive } from '../numbers.ts'
import { collect, opening, withPassword } from '../vault-options.ts'

const TYPES = ['full', 'incremental', 'differential', 'auto']

export function register(program: Command, context: Context): void {
  const command = program
    .command('backup')
    .description('run configured jobs, or back up files, folders and databases')
    .argument('[what...]', 'names of jobs; with --to or --out: files and folders')
    .option('--to <vault>', 'back up to this vault (name, path or URL); made on first use')
    .option('--out <place>', 'write a plain archive vault here (path or URL)')
    .option('--format <format>', 'of a new vault: archive, or repository (deduplicated, as restic has it)')
    .option('--type <type>', `one of ${TYPES.join(', ')}`)
    .option('--job <name>', 'job name of an ad hoc backup (default: the name of the first folder)')
    .option('--tag <tag>', 'tag the backup (repeatable)', collect)
    .option('--exclude <pattern>', 'leave out, as .gitignore has it (repeatable)', collect)
    .option('--include <pattern>', 'take only what matches (repeatable)', collect)
    .option('--exclude-if-present <file>', 'leave out folders that hold this file (repeatable)', collect)
    .option('--exclude-larger-than <size>', 'leave out larger files, such as 2g')
    .option('--one-file-system', 'do not enter other file systems')
    .option('--compression <type[:level]>', 'none, gzip, deflate, brotli, zstd or zip')
    .option('--path <template>', 'object names of a new archive, such as {job}/{date}_{time}_{type}')
    .option('--encrypt', 'encrypt with a password (AES-256-GCM)')
    .option('--recipient <age1...>', 'encrypt for this age recipient (repeatable)', collect)
    .option('--no-read-back', 'do not compare what was packed before it is stored (repositories; faster, less safe)')
    .option('--limit-upload <kib/s>', 'bandwidth limit in KiB a second', positive('--limit-upload'))
    .option('--verify <level>', 'prove this right after: V0 to V5 (default: V0, or as the job has it)')
  withDatabaseChoice(withServer(command))
    .option('--host <name>', 'the database server, or the folder of its socket')
    .option('--stdin-from-command', 'back up what a program writes: `--stdin-from-command -- PROGRAM ARGUMENTS`')
    .option('--stdin-filename <name>', 'what that is called in the backup (default: stdout)')
  withPassword(command).action(async (what: string[], options: BackupOptions) => backup(context, what, options))
}

async function backup(context: Context, what: string[], options: BackupOptions): Promise<void> {
  const app = await context.app()
  checkOptions(options)
  const target = options.to ?? options.out ?? options.vault
  const jobs = target === undefined ? configuredJobs(app, what, options) : [adHocJob(context, what, options, target)]
  const openVault = target === undefined ? opening(context, options) : adHocOpening(app, context, options, target)
  if (context.options.dryRun === true) return dryRun(context, app, jobs)
  const { runJobs } = await import('../../operations/run-jobs.ts')
  const started: Promise<void>[] = []
  const results = await runJobs(
    app.deps,
    jobs,
    app.openers({
      ...openVault,
      ...(options.limitUpload && { bandwidth: options.limitUpload }),
      ...(options.readBack === false && { readBack: false }),
    }),
    {
      signal: context.signal,
      ...(options.type && { type: options.type }),
      ...(target === undefined && options.tag && { tags: options.tag }),
      onStart: (job, id) => void started.push(app.tellStart(job, id)),
      onDone: (done) => showRun(context, done),
    },
  )
  if (options.to !== undefined) await hintEncryption(context, app, options.to, results)
  await Promise.all(started)
  const { written, errors } = await app.tell(results, { signal: context.signal })
  for (const path of written) context.out.note(`report: ${path}`)
  for (const { message } of errors) context.out.note(`warning: ${message}`)
  await app.tidyRuns()
  context.exitCode = exitCodeOf(results)
}

/** After a first backup into a vault that is not encrypted, how it could be. */
async function hintEncryption({ out }: Context, app: App, target: string, results: Results): Promise<void> {
  const first = results[0]?.result?.backup
  if (first === undefined || first.encrypted !== false || target in app.settings.vaults) return
  const backups = await (await app.vault(target)).backups()
  if (backups.length === 1)
    out.note(`note: ${target} is not encrypted; set HOLDFAST_PASSWORD or say --encrypt to encrypt it`)
}

type Results = Awaited<ReturnType<typeof import('../../operations/run-jobs.ts').runJobs>>

/** One failure's own code; of several different ones, 1. Warnings are 3. */
export function exitCodeOf(results: Results): number {
  const codes = new Set(
    results.map(({ run, error, madeUp }) =>
      madeUp === true ? 3 : (error?.exit ?? (run.status === 'warning' ? 3 : 0)),
    ),
  )
  codes.delete(0)
  if (codes.size > 1) codes.delete(3)
  return codes.size === 0 ? 0 : codes.size === 1 ? ([...codes][0] as number) : 1
}

function checkOptions({ type, verify, compression, format }: BackupOptions): void {
  if (type !== undefined && !TYPES.includes(type))
    throw new AppError('usage.invalid', `--type ${type} is none of ${TYPES.join(', ')}`)
  if (format !== undefined && format !== 'archive' && format !== 'repository')
    throw new AppError('usage.invalid', `--format ${String(format)} is neither archive nor repository`)
  if (verify !== undefined && !/^V[0-5]$/.test(verify))
    throw new AppError('usage.invalid', `--verify ${verify} is none of V0, V1, V2, V3, V4, V5`)
  if (compression !== undefined) compressionOf(compression)
}

function adHocOpening(app: App, context: Context, options: BackupOptions, target: string): VaultOpening {
  const { format, compression, path, out } = options
  const password = context.password(options)
  const own = {
    ...(format !== undefined && { format }),
    ...(compression !== undefined && { compression: compressionOf(compression) }),
    ...(path !== undefined && { path }),
  }
  if (target in app.settings.vaults) return { ...own, ...opening(context, options) }
  if (options.recipient !== undefined) return { ...own, encryption: { type: 'age', recipients: options.recipient } }
  if (options.encrypt === true) {
    const secret = password ?? context.askPassword('Password of the vault', { twice: true })
    if (secret === undefined) throw new AppError('vault.no-password', '--encrypt needs a password')
    return { ...own, encryption: { type: 'aes-256-gcm' }, password: secret }
  }
  // `--out` is plain unless it is asked for; an existing vault that is encrypted stays so.
  if (out !== undefined) return { ...own, ...(password && { askPassword: password }) }
  // What has a password can be a repository: what repeats is stored once. Archives are made where their options are said.
  const archive = compression !== undefined || path !== undefined || format === 'archive'
  const newFormat = password !== undefined && !archive ? 'repository' : undefined
  return { ...own, ...opening(context, options), ...(newFormat && { newFormat }) }
}

export function compressionOf(text: string): CompressionSettings {
  const [type = '', level] = text.split(':')
  if (!['none', 'gzip', 'deflate', 'brotli', 'zstd', 'zip'].includes(type)) {
    throw new AppError('usage.invalid', `${type} is not a compression`, {
      hint: 'Use none, gzip, deflate, brotli, zstd or zip, with a level as in gzip:9.',
    })
  }
  const limits: Record<string, number> = { gzip: 9, deflate: 9, zip: 9, zstd: 22, brotli: 11 }
  if (level === undefined) return { type: type as CompressionSettings['type'] }
  const number = Number(level)
  if (!Number.isInteger(number) || number < 1 || number > (limits[type] ?? 0))
    throw new AppError('usage.invalid', `${text}: the level is a number from 1 to ${limits[type] ?? 0}`)
  return { type: type as CompressionSettings['type'], level: number }
}

/** Walks the source and says what would be read. */
async function dryRun(context: Context, app: App, jobs: Job[]): Promise<void> {
  for (const job of jobs) {
    const source = await app.source(job.source, { vaults: job.vaults })
    const warnings: string[] = []
    const reading = await source.read({ signal: context.signal, onWarning: ({ message }) => warnings.push(message) })
    let [files, bytes] = [0, 0]
    try {
      for await (const entry of reading.entries()) {
        if (entry.kind !== 'file') continue
        files += 1
        bytes += entry.size
        if (context.options.verbose === true) context.out.note(`${formatSize(entry.size).padStart(10)}  /${entry.path}`)
      }
    } finally {
      await reading.close()
    }
    const summary = {
      message_type: 'summary',
      dry_run: true,
      job: job.name,
      vaults: job.vaults,
      total_files_processed: files,
      total_bytes_processed: bytes,
      warnings,
    }
    context.out.line(summary)
    context.out.print(
      `${job.name}: would read ${files} files, ${formatSize(bytes)}, for ${job.vaults.join(', ')}${warnings.length > 0 ? ` (${warnings.length} warnings)` : ''}`,
    )
    if (warnings.length > 0) context.exitCode = 3
  }
}

export function showRun({ out }: Context, { job, vault, run, result, error }: Results[number]): void {
  const seconds = run.startedAt && run.endedAt ? (run.endedAt.getTime() - run.startedAt.getTime()) / 1000 : 0
  const made = result?.backup
  out.settle()
  out.line({
    message_type: 'summary',
    run_id: run.id,
    job,
    vault,
    backup_id: made?.id ?? run.backupId ?? null,
    status: run.status,
    ...run.summary,
    duration_seconds: seconds,
    proof: made?.proof,
    ...(result?.pruned && { pruned: result.pruned.remove.map(({ id }) => id) }),
    warnings: run.warnings,
    ...(run.notes && { notes: run.notes }),
  })
  if (error !== undefined) {
    out.error(error)
    return
  }
  if (result === undefined || made === undefined) return
  const mark = run.status === 'warning' ? out.paint('yellow', '!') : out.paint('green', '✓')
  const changes = [`${result.filesNew} new`, `${result.filesChanged} changed`, `${result.filesUnmodified} unchanged`]
  if (result.filesDeleted > 0) changes.push(`${result.filesDeleted} deleted`)
  if (result.filesMoved > 0) changes.push(`${result.filesMoved} moved`)
  const lines = [
    `${mark} ${out.paint('bold', job)} → ${vault}  ${made.id}`,
    `  ${made.files} files, ${formatSize(made.sourceBytes)}: ${changes.join(', ')}`,
    `  stored ${formatSize(result.dataAddedPacked)} in ${formatDuration(seconds * 1000)}, proved ${made.proof.level}`,
  ]
  if (run.warningCount > 0)
    lines.push(`  ${run.warningCount} warnings: see \`holdfast run show ${run.id.slice(0, 8)}\``)
  if (run.noteCount !== undefined)
    lines.push(`  ${run.noteCount} notes: see \`holdfast run show ${run.id.slice(0, 8)}\``)
  if (result.pruned && result.pruned.remove.length > 0)
    lines.push(`  pruned ${result.pruned.remove.length} old backups, ${formatSize(result.pruned.bytesFreed)} freed`)
  out.print(lines.join('\n'))
}
