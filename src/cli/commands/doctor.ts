import type { Command } from 'commander'
import type { Context } from '../context.ts'
import { AppError } from '../../base/errors.ts'
import { opening, withVault, type VaultOptions } from '../vault-options.ts'
import type { DoctorCheck } from '../../operations/doctor-check.ts'

export function register(program: Command, context: Context): void {
  withVault(
    program
      .command('doctor')
      .description('check this machine, the sources and the vaults; with the exact fix for what is wrong'),
  )
    .option('--quick', 'do not write to any vault')
    .option('--append-only', 'the credentials are not to destroy anything: tried on an object of its own')
    .action(async (options: VaultOptions & { quick?: boolean; appendOnly?: boolean }) => {
      if (options.appendOnly === true && options.quick === true)
        throw new AppError('usage.invalid', '--append-only writes an object, --quick writes none')
      const app = await context.app()
      const { checkMachine, checkSource, checkVault } = await import('../../operations/doctor.ts')
      const { out, signal } = context
      const checks: DoctorCheck[] = options.vault === undefined ? await checkMachine(app.deps, app.settings) : []
      const show = (found: DoctorCheck[]): void => {
        for (const { area, name, ok, detail, fix } of found) {
          out.line({ message_type: 'check', area, name, ok, detail, ...(fix !== undefined && { fix }) })
          out.print(
            `${ok ? out.paint('green', '✓') : out.paint('red', '✕')} ${area}: ${name}${detail === '' ? '' : ` — ${detail}`}${fix === undefined ? '' : `\n    fix: ${fix}`}`,
          )
        }
      }
      show(checks)
      const jobs = Object.values(app.settings.jobs).filter(
        ({ name }) => options.vault === undefined && (options.job === undefined || name === options.job),
      )
      for (const job of jobs) {
        const found = await checkSource(job.name, async () => app.source(job.source), signal)
        checks.push(...found)
        show(found)
      }
      const vaults = options.vault === undefined ? Object.keys(app.settings.vaults) : [options.vault]
      for (const name of vaults) {
        const found = await checkVault(name, async () => app.vault(name, opening(context, options)), {
          write: options.quick !== true && context.options.dryRun !== true,
          appendOnly: options.appendOnly === true,
          signal,
        })
        checks.push(...found)
        show(found)
      }
      const bad = checks.filter(({ ok }) => !ok).length
      out.line({ message_type: 'summary', checks: checks.length, failed: bad })
      out.print(bad === 0 ? `all ${checks.length} checks passed` : `${bad} of ${checks.length} checks failed`)
      if (bad > 0) context.exitCode = 1
    })
}
