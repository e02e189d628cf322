import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import type { Command } from 'commander'
import { AppError } from '../../base/errors.ts'
import { userName } from '../../base/user.ts'
import { formatDuration } from '../../base/units.ts'
import type { Catalogue } from '../../model/catalogue.ts'
import type { Run, RunStatus } from '../../model/run.ts'
import type { Context } from '../context.ts'
import { whole } from '../numbers.ts'
import { table } from '../output.ts'

interface ListOptions {
  job?: string
  status?: string
  limit: number
}

export function register(program: Command, context: Context): void {
  const run = program.command('run').description('what has been done: runs of all kinds')
  run
    .command('list')
    .description('runs, newest first')
    .option('--job <name>', 'only of this job')
    .option('--status <status>', 'only with this status')
    .option('--limit <n>', 'at most so many', whole('--limit'), 20)
    .action(async (options: ListOptions) => list(context, options))
  run
    .command('show')
    .description('one run, with its stages and warnings')
    .argument('<id>', 'id or its beginning')
    .action(async (id: string) => {
      const found = findRun((await context.app()).history(), id)
      context.out.result(found, () => describe(found))
    })
  run
    .command('cancel')
    .description('asks a run to stop, in whatever process it is, and waits until it has')
    .argument('<id>', 'id or its beginning')
    .option('--no-wait', 'only ask')
    .action(async (id: string, { wait }: { wait: boolean }) => cancel(context, id, wait))
  run
    .command('limit')
    .description('holds a run to a rate while it goes on, in whatever process it is')
    .argument('<id>', 'id or its beginning')
    .argument('<rate>', 'KiB a second, or none: as fast as it goes')
    .action(async (id: string, rate: string) => limit(context, id, rate))
  run
    .command('logs')
    .description('the log of a run')
    .argument('<id>', 'id or its beginning')
    .option('-f, --follow', 'go on until the run ends')
    .action(async (id: string, { follow }: { follow?: boolean }) => logs(context, id, follow === true))
}

const STATUSES: RunStatus[] = [
  'queued',
  'running',
  'success',
  'warning',
  'failed',
  'cancelled',
  'interrupted',
  'skipped',
]

async function list(context: Context, { job, status, limit }: ListOptions): Promise<void> {
  if (status !== undefined && !STATUSES.some((known) => known === status))
    throw new AppError('usage.invalid', `--status ${status} is none of ${STATUSES.join(', ')}`)
  const catalogue = (await context.app()).history()
  catalogue.reapRuns()
  const runs = catalogue.runs({
    limit,
    ...(job !== undefined && { job }),
    ...(status !== undefined && { status: [status as RunStatus] }),
  })
  context.out.result(runs, () =>
    runs.length === 0
      ? 'no runs'
      : table(
          ['ID', 'KIND', 'JOB', 'VAULT', 'STARTED (UTC)', 'TOOK', 'STATUS', ''],
          runs.map((run) => [
            run.id.slice(0, 8),
            run.kind,
            run.job,
            run.vault ?? '',
            run.createdAt.toISOString().slice(0, 19).replace('T', ' '),
            took(run),
            mark(context, run.status),
            run.error?.message ?? (run.warningCount > 0 ? `${run.warningCount} warnings` : ''),
          ]),
        ),
  )
}

const took = (run: Run): string => (run.endedAt ? formatDuration(run.endedAt.getTime() - run.createdAt.getTime()) : '…')

function mark({ out }: Context, status: RunStatus): string {
  if (status === 'success') return out.paint('green', '✓ success')
  if (status === 'warning') return out.paint('yellow', '! warning')
  return status === 'failed' || status === 'interrupted' ? out.paint('red', `✕ ${status}`) : status
}

function findRun(catalogue: Catalogue, id: string): Run {
  catalogue.reapRuns()
  const exact = catalogue.run(id)
  if (exact !== undefined) return exact
  const matches = catalogue.runs({ limit: 10_000 }).filter((run) => run.id.startsWith(id))
  if (matches.length === 1) return matches[0] as Run
  throw new AppError(
    'usage.invalid',
    matches.length === 0 ? `there is no run ${id}` : `${matches.length} runs begin with ${id}`,
    { hint: 'See `holdfast run list`.' },
  )
}

function describe(run: Run): string {
  const lines = [
    `${run.kind} ${run.job}${run.vault === undefined ? '' : ` → ${run.vault}`}: ${run.status}`,
    `  id       ${run.id}`,
    `  started  ${run.createdAt.toISOString()}, took ${took(run)}`,
    ...(run.backupId === undefined ? [] : [`  backup   ${run.backupId}`]),
    ...Object.entries(run.summary ?? {}).map(
      ([key, value]) => `  ${key.replaceAll('_', ' ')}: ${typeof value === 'string' ? value : JSON.stringify(value)}`,
    ),
    ...run.stages.map(
      ({ stage, startedAt, endedAt, status }) =>
        `  ${stage.padEnd(8)} ${status}${endedAt ? `  ${formatDuration(endedAt.getTime() - startedAt.getTime())}` : ''}`,
    ),
  ]
  if (run.error) lines.push(`  error ${run.error.code}: ${run.error.message}`, `    ${run.error.hint}`)
  for (const { code, message, path } of [...run.warnings, ...(run.notes ?? [])])
    lines.push(`  ${code}: ${path === undefined ? '' : `${path}: `}${message}`)
  if (run.warningCount > run.warnings.length)
    lines.push(
      `  … and ${run.warningCount - run.warnings.length} more warnings: see \`holdfast run logs ${run.id.slice(0, 8)}\``,
    )
  return lines.join('\n')
}

async function logs(context: Context, id: string, follow: boolean): Promise<void> {
  const catalogue = (await context.app()).history()
  const run = findRun(catalogue, id)
  if (run.log === undefined) throw new AppError('usage.invalid', `run ${run.id} has no log`)
  let shown = 0
  for (;;) {
    const ended = catalogue.run(run.id)?.endedAt !== undefined
    const text = read(run.log)
    process.stdout.write(text.slice(shown))
    shown = text.length
    if (ended || !follow || context.signal.aborted) return
    await new Promise((resolve) => setTimeout(resolve, 500))
    catalogue.reapRuns()
  }
}

/** A run looks every second whether it was asked; ending what it does can take a little longer. */
const PATIENCE_MS = 60_000

async function cancel(context: Context, id: string, wait: boolean): Promise<void> {
  const app = await context.app()
  const [catalogue, clock] = [app.history(), app.clock]
  const { out, options, signal } = context
  const found = findRun(catalogue, id)
  if (found.endedAt !== undefined)
    throw new AppError('usage.invalid', `run ${found.id} is over: ${found.status}`, {
      hint: 'See `holdfast run list`.',
    })
  if (options.dryRun === true) {
    out.result({ id: found.id, cancelled: false }, () => `would cancel the ${found.kind} of ${found.job}`)
    return
  }
  const by = `${userName()} on ${hostname()}`
  if (found.status === 'queued' && catalogue.service.withdraw(found.id, `cancelled by ${by}`)) {
    const { endQueued } = await import('../../operations/execute-task.ts')
    endQueued({ catalogue, clock }, found.id, new AppError('run.cancelled', `cancelled by ${by}`))
    out.result({ id: found.id, status: 'cancelled', cancelled: true }, () => `${found.kind} ${found.job}: cancelled`)
    return
  }
  catalogue.askToCancel(found.id, by)
  const until = clock.monotonic() + PATIENCE_MS
  let run = found
  while (wait && run.endedAt === undefined && clock.monotonic() < until) {
    await clock.sleep(200, signal)
    catalogue.reapRuns()
    run = catalogue.run(found.id) ?? run
  }
  if (wait && run.endedAt === undefined)
    throw new AppError('run.locked', `run ${run.id} was asked to stop and still works`, {
      hint: 'It stops at the next safe point: see `holdfast run show`.',
    })
  out.result({ id: run.id, status: run.status, cancelled: run.status === 'cancelled' }, () =>
    run.endedAt === undefined ? `asked the ${run.kind} of ${run.job} to stop` : `${run.kind} ${run.job}: ${run.status}`,
  )
}

async function limit(context: Context, id: string, text: string): Promise<void> {
  const rate = text === 'none' ? 'none' : Number(text)
  if (rate !== 'none' && !(Number.isSafeInteger(rate) && rate > 0))
    throw new AppError('usage.invalid', `the rate ${text} is no number of KiB a second, and not none`)
  const catalogue = (await context.app()).history()
  const found = findRun(catalogue, id)
  if (found.endedAt !== undefined)
    throw new AppError('usage.invalid', `run ${found.id} is over: ${found.status}`, {
      hint: 'See `holdfast run list`.',
    })
  const { out, options } = context
  if (options.dryRun !== true) catalogue.askToLimit(found.id, rate)
  const shown = rate === 'none' ? 'no limit' : `${rate} KiB/s`
  out.result({ id: found.id, rate, asked: options.dryRun !== true }, () =>
    options.dryRun === true
      ? `would hold the ${found.kind} of ${found.job} to ${shown}`
      : `${found.kind} ${found.job}: ${shown} from now on`,
  )
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
