import { readFileSync } from 'node:fs'
import type { Command } from 'commander'
import { AppError } from '../../base/errors.ts'
import type { Job } from '../../model/job.ts'
import { auditNote } from '../audit-note.ts'
import type { Context } from '../context.ts'
import { table } from '../output.ts'

export function register(program: Command, context: Context): void {
  const job = program.command('job').description('the jobs of the configuration')
  job
    .command('list')
    .description('all jobs, with their last run')
    .action(async () => list(context))
  job
    .command('show')
    .description('one job, every default filled in')
    .argument('<name>')
    .action(async (name: string) => {
      const app = await context.app()
      const shown = app.job(name)
      const last = app.history().runs({ job: name, limit: 5 })
      context.out.result(
        { ...shown, runs: last },
        () =>
          describe(shown) +
          last
            .map(
              (run) =>
                `\n  ${run.createdAt.toISOString()}  ${run.kind}  ${run.status}${run.error ? `: ${run.error.message}` : ''}`,
            )
            .join(''),
      )
    })
  job
    .command('apply')
    .description('make the vaults, notifiers and jobs of a file be as they are in it, beside the configuration file')
    .argument('<file>', 'YAML, JSON or TOML, as a configuration file; - for stdin')
    .action(async (file: string) => apply(context, file))
  job
    .command('export')
    .description('the jobs as configuration, without secrets')
    .option('--format <format>', 'yaml, json or toml (default: yaml; json with --json)')
    .action(async ({ format = context.options.json === true ? 'json' : 'yaml' }: { format?: string }) => {
      const { exportConfig } = await import('../../config/transfer.ts')
      if (!['yaml', 'json', 'toml'].includes(format))
        throw new AppError('usage.invalid', `--format ${format} is none of yaml, json, toml`)
      const { text } = await exportConfig(await context.config(), { format: format as 'yaml' })
      process.stdout.write(text)
    })
}

async function apply(context: Context, file: string): Promise<void> {
  const [{ readParts }, { partOf, savePart }] = await Promise.all([
    import('../parts-file.ts'),
    import('../../http/parts.ts'),
  ])
  const parts = await readParts(file, file === '-' ? readFileSync(0, 'utf8') : undefined)
  const app = await context.app()
  const { raw } = await context.config()
  const done: { kind: string; name: string; change: string }[] = []
  for (const [kind, bodies] of [
    ['vault', parts.vaults],
    ['notifier', parts.notify],
    ['job', parts.jobs],
  ] as const)
    for (const [name, body] of Object.entries(bodies)) {
      const before = partOf({ app, raw }, kind, name)
      const change =
        before === undefined ? 'made' : JSON.stringify(before.body) === JSON.stringify(body) ? 'unchanged' : 'changed'
      if (change !== 'unchanged' && context.options.dryRun !== true) {
        await savePart({ app, raw }, { kind, name, body, isNew: before === undefined })
        await auditNote(context, `${kind}.${before === undefined ? 'create' : 'change'}`, name)
      }
      done.push({ kind, name, change })
    }
  context.out.result(done, () => done.map(({ kind, name, change }) => `${kind} ${name}: ${change}`).join('\n'))
}

async function list(context: Context): Promise<void> {
  const app = await context.app()
  const { stateOf } = await import('../../operations/incidents.ts')
  const jobs = Object.values(app.settings.jobs).map((job) => {
    const [last] = app.history().runs({ job: job.name, kind: 'backup', limit: 1 })
    const good = app.history().backups({ job: job.name }).at(-1)
    const incidents = app.history().incidents.list({ job: job.name, open: true })
    return {
      name: job.name,
      ...stateOf(incidents, good !== undefined),
      enabled: job.enabled,
      source: job.source.type,
      vaults: job.vaults,
      type: job.type,
      lastRun: last && { id: last.id, status: last.status, at: last.createdAt },
      lastBackup: good && { id: good.id, at: good.time, proof: good.proof },
    }
  })
  const { out } = context
  out.result(jobs, () =>
    jobs.length === 0
      ? 'no jobs are configured'
      : table(
          ['JOB', 'STATE', 'SOURCE', 'VAULTS', 'LAST RUN', 'STATUS', 'LAST BACKUP', 'PROOF', ''],
          jobs.map((job) => [
            job.enabled ? job.name : `${job.name} (off)`,
            job.state,
            job.source,
            job.vaults.join(','),
            job.lastRun?.at.toISOString().slice(0, 19) ?? '–',
            job.lastRun?.status ?? 'never',
            job.lastBackup?.id ?? '–',
            job.lastBackup?.proof.level ?? '–',
            job.why ?? '',
          ]),
        ),
  )
}

function describe(job: Job): string {
  const source = job.source.type === 'files' ? job.source.paths.join(' ') : job.source.type
  const keep = Object.entries(job.retention ?? {}).map(([rule, value]) => `${rule} ${String(value)}`)
  return [
    `${job.name}${job.enabled ? '' : ' (off)'}`,
    `  source     ${source}`,
    `  vaults     ${job.vaults.join(', ')}`,
    `  type       ${job.type}${job.fullEvery === undefined ? '' : `, full every ${job.fullEvery}`}`,
    `  retention  ${keep.length > 0 ? keep.join(', ') : 'keep all'}`,
    `  verify     ${job.verify.afterBackup} after each backup`,
    `  schedule   ${[job.schedule?.cron, job.continuous === true ? 'continuous' : undefined].filter((one) => one !== undefined).join(', ') || 'none'}`,
    'last runs:',
  ].join('\n')
}
