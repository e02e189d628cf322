import type { Command } from 'commander'
import { AppError } from '../../base/errors.ts'
import { PROOF_LEVELS, type ProofLevel } from '../../model/backup.ts'
import type { Context } from '../context.ts'
import { collect, findBackup, withFilter, type VaultOptions } from '../vault-options.ts'

interface VerifyCommandOptions extends VaultOptions {
  level: string
  scratch?: string
  assert?: string[]
}

export function register(program: Command, context: Context): void {
  withFilter(program.command('verify').description('show that a backup restores, and how far'))
    .argument('[backup]', 'id, latest, or the name of a job', 'latest')
    .option(
      '--level <level>',
      'V0 stored, V1 bytes, V2 contents, V3 trial restore, V4 compared, V5 your assertions',
      'V2',
    )
    .option('--scratch <folder>', 'where trial restores go')
    .option(
      '--assert <statement>',
      'V5: a query whose first value must be true (repeatable; else those of the job)',
      collect,
    )
    .action(async (reference: string, options: VerifyCommandOptions) => {
      const level = options.level.toUpperCase() as ProofLevel
      if (!PROOF_LEVELS.includes(level))
        throw new AppError('usage.invalid', `--level ${options.level} is none of ${PROOF_LEVELS.join(', ')}`)
      const app = await context.app()
      const isJob = reference in app.settings.jobs
      const { vault, backup } = await findBackup(context, isJob ? 'latest' : reference, {
        ...options,
        uncached: true,
        ...(isJob && { job: reference }),
      })
      const { verify } = await import('../../operations/verify.ts')
      const { recorded } = await import('../../operations/recorder.ts')
      const { result, error } = await recorded(
        app.deps,
        { kind: 'verify', job: backup.job, vault: vault.name, signal: context.signal },
        async (handle) => {
          handle.run.backupId = backup.id
          handle.stage('verify', level)
          const report = await verify(app.deps, vault, backup.id, level, {
            handle,
            signal: handle.signal,
            ...(context.options.dryRun === true && { dryRun: true }),
            source: backup.source,
            assertions: options.assert ?? app.settings.jobs[backup.job]?.verify.assert ?? [],
            ...(options.scratch !== undefined && { scratchDir: options.scratch }),
          })
          if (context.options.dryRun !== true)
            app.deps.catalogue.saveBackup({ ...backup, proof: { level: report.level, at: app.clock.now() } })
          handle.run.summary = { level: report.level, ok: report.ok, checks: report.checks }
          return report
        },
      )
      if (error !== undefined) throw error
      if (result === undefined) return
      const { out } = context
      out.settle()
      out.result({ backup_id: result.backupId, level: result.level, ok: result.ok, checks: result.checks }, () =>
        [
          ...result.checks.map(
            ({ level: at, name, ok, detail }) =>
              `${ok ? out.paint('green', '✓') : out.paint('red', '✕')} ${at}  ${name}\n      ${detail}`,
          ),
          `${backup.id} is proved to ${out.paint('bold', result.level)}${result.ok ? '' : `, not to ${level}`}`,
        ].join('\n'),
      )
      context.exitCode = result.ok ? 0 : result.damaged ? 4 : 1
    })
}
