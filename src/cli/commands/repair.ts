import type { Command } from 'commander'
import { AppError } from '../../base/errors.ts'
import type { Context } from '../context.ts'
import { openVault, withVault, type VaultOptions } from '../vault-options.ts'

interface RepairFlags extends VaultOptions {
  readData?: boolean
  backups?: boolean
  forget?: boolean
}

export function register(program: Command, context: Context): void {
  withVault(
    program
      .command('repair')
      .description(
        'make a damaged repository sound again; the next backup stores again what was lost and is still there',
      ),
  )
    .option('--read-data', 'read all stored bytes to find what is damaged inside')
    .option('--backups', 'make backups that need what is lost again without it (`restic repair snapshots`)')
    .option('--forget', 'with --backups: the old ones go')
    .action(async (options: RepairFlags) => repair(context, options))
}

async function repair(context: Context, options: RepairFlags): Promise<void> {
  const { out, signal } = context
  if (options.forget === true && options.backups !== true)
    throw new AppError('usage.invalid', '--forget goes with --backups')
  const app = await context.app()
  const vault = await openVault(context, { ...options, uncached: true })
  const work = vault.repair?.bind(vault)
  if (work === undefined)
    throw new AppError(
      'vault.unsupported',
      `${vault.name} is an archive vault: what is damaged there cannot be mended`,
      {
        hint: 'Make a new full backup: `holdfast backup --type full`.',
      },
    )
  const { recorded } = await import('../../operations/recorder.ts')
  const dryRun = context.options.dryRun === true
  const { result, error } = await recorded(
    app.deps,
    { kind: 'check', job: '', vault: vault.name, signal },
    async (handle) => {
      handle.stage('check', 'repair')
      const outcome = await work({
        signal: handle.signal,
        dryRun,
        ...(options.readData === true && { readData: true }),
        ...(options.backups === true && {
          backups: options.forget === true ? ('replace' as const) : ('beside' as const),
        }),
        onProgress: handle.onProgress,
      })
      handle.run.summary = { ...outcome }
      return outcome
    },
  )
  if (error !== undefined) throw error
  if (result === undefined) return
  out.settle()
  out.result(result, () => {
    const { problems, mended, missing, backups, made, lost, changed } = result
    const lines = problems.map((problem, at) => `${problem}${mended[at] === undefined ? '' : `: ${mended[at]}`}`)
    lines.push(
      problems.length === 0 && !changed
        ? 'the repository is consistent: nothing to repair'
        : changed
          ? `repaired ${problems.length} problems`
          : `dry run: ${problems.length} problems`,
    )
    for (const path of lost) lines.push(`left out: ${path}`)
    for (const [old, id] of Object.entries(made)) lines.push(`made ${old.slice(0, 8)} again without it: ${id}`)
    if (missing > 0)
      lines.push(
        `${missing} pieces of content are lost, which ${backups.length} backups need: run the backup of what they hold again, which stores what is still there`,
      )
    return lines.join('\n')
  })
  if (result.missing > 0 && options.backups !== true) context.exitCode = 4
}
