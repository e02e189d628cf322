import type { Command } from 'commander'
import { AppError } from '../../base/errors.ts'
import { PROOF_LEVELS, type ProofLevel } from '../../model/backup.ts'
import type { VerifyReport } from '../../operations/verify.ts'
import type { Context } from '../context.ts'
import { collect, findBackup, withFilter, type VaultOptions } from '../vault-options.ts'

interface VerifyCommandOptions extends VaultOptions {
  level: string
  scratch?: string
  assert?: string[]
  at?: string
  before?: string
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
    .option('--at <point>', 'a moment instead, with the log that leads to it: see restore --at', String)
    .option('--before <event>', 'the moment before an event of `timeline`', String)
    .action(async (reference: string, options: VerifyCommandOptions) => {
      const level = options.level.toUpperCase() as ProofLevel
      if (!PROOF_LEVELS.includes(level))
        throw new AppError('usage.invalid', `--level ${options.level} is none of ${PROOF_LEVELS.join(', ')}`)
      if (options.at !== undefined || options.before !== undefined)
        return verifyPointCommand(context, reference, level, options)
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
      show(context, level, { ...result, what: backup.id, json: { backup_id: result.backupId } })
    })
}

/** A moment: the backup and the log that it takes. */
async function verifyPointCommand(
  context: Context,
  reference: string,
  level: ProofLevel,
  options: VerifyCommandOptions,
): Promise<void> {
  const { at, before } = options
  if (at !== undefined && before !== undefined)
    throw new AppError('usage.invalid', '--at and --before exclude each other')
  const app = await context.app()
  const isJob = reference in app.settings.jobs
  if (reference !== 'latest' && !isJob)
    throw new AppError('usage.invalid', '--at and --before choose the backup themselves', {
      hint: 'Name the job: `holdfast verify JOB --at MOMENT`.',
    })
  const { laneOf } = await import('../restore-point.ts')
  const { verifyPoint } = await import('../../operations/point-verify.ts')
  const { recorded } = await import('../../operations/recorder.ts')
  const { vault, job } = await laneOf(context, { ...options, uncached: true, ...(isJob && { job: reference }) })
  const asked =
    before === undefined
      ? ({ kind: 'point', text: at ?? 'latest' } as const)
      : ({ kind: 'event', event: before } as const)
  const { result, error } = await recorded(
    app.deps,
    { kind: 'verify', job, vault: vault.name, signal: context.signal },
    async (handle) => {
      handle.stage('verify', level)
      const report = await verifyPoint(app.deps, vault, { job, asked }, level, {
        handle,
        signal: handle.signal,
        ...(context.options.dryRun === true && { dryRun: true }),
        assertions: options.assert ?? app.settings.jobs[job]?.verify.assert ?? [],
        ...(options.scratch !== undefined && { scratchDir: options.scratch }),
      })
      if (report.backupId !== undefined) handle.run.backupId = report.backupId
      handle.run.summary = { level: report.level, ok: report.ok, checks: report.checks, point: report.point }
      return report
    },
  )
  if (error !== undefined) throw error
  if (result === undefined) return
  const { backupId, point, reached } = result
  show(context, level, {
    ...result,
    what: `${job} as of ${point}`,
    json: {
      ...(backupId !== undefined && { backup_id: backupId }),
      job,
      point,
      reached: reached?.position,
      last_commit: reached?.time,
      transactions: reached?.transactions,
    },
  })
}

function show(
  context: Context,
  wanted: ProofLevel,
  report: Omit<VerifyReport, 'backupId'> & { what: string; json: Record<string, unknown> },
): void {
  const { out } = context
  const { what, json, level, ok, checks, damaged } = report
  out.settle()
  out.result({ ...json, level, ok, checks }, () =>
    [
      ...checks.map(
        (check) =>
          `${check.ok ? out.paint('green', '✓') : out.paint('red', '✕')} ${check.level}  ${check.name}\n      ${check.detail}`,
      ),
      `${what} is proved to ${out.paint('bold', level)}${ok ? '' : `, not to ${wanted}`}`,
    ].join('\n'),
  )
  context.exitCode = ok ? 0 : damaged ? 4 : 1
}
