import { hostname } from 'node:os'
import type { Command } from 'commander'
import { AppError } from '../../base/errors.ts'
import { userName } from '../../base/user.ts'
import { formatDuration, parseDuration } from '../../base/units.ts'
import type { Incident } from '../../model/incident.ts'
import type { Context } from '../context.ts'
import { whole } from '../numbers.ts'
import { table } from '../output.ts'

export function register(program: Command, context: Context): void {
  const alert = program.command('alert').description('what is wrong, until it is right again')
  alert
    .command('list')
    .description('what is wrong now; with --all also what was')
    .option('--all', 'also what is right again')
    .option('--job <name>', 'only of this job')
    .option('--limit <n>', 'at most so many', whole('--limit'), 50)
    .action(async (options: { all?: boolean; job?: string; limit: number }) => list(context, options))
  alert
    .command('ack')
    .description('say that it is known: no more reminders')
    .argument('<id>', 'id or its beginning')
    .action(async (id: string) => {
      const [found, store] = await named(context, id)
      if (context.options.dryRun !== true) store.acknowledge(found.id, `${userName()} on ${hostname()}`)
      context.out.result(store.find(found.id), () => `acknowledged: ${sentence(found)}`)
    })
  alert
    .command('snooze')
    .description('no reminders for a while')
    .argument('<id>', 'id or its beginning')
    .requiredOption('--for <duration>', 'such as 8h')
    .action(async (id: string, options: { for: string }) => {
      const [found, store] = await named(context, id)
      const until = new Date((await context.app()).clock.now().getTime() + parseDuration(options.for))
      if (context.options.dryRun !== true) store.snooze(found.id, until)
      context.out.result(
        store.find(found.id),
        () => `no reminders until ${until.toISOString().slice(0, 19)}Z: ${sentence(found)}`,
      )
    })
}

async function list(
  context: Context,
  { all, job, limit }: { all?: boolean; job?: string; limit: number },
): Promise<void> {
  const app = await context.app()
  const found = app.history().incidents.list({ limit, open: all !== true, ...(job !== undefined && { job }) })
  const now = app.clock.now()
  context.out.result(found, () =>
    found.length === 0
      ? 'nothing is wrong that is known here'
      : table(
          ['ID', 'KIND', 'JOB', 'VAULT', 'SINCE', 'TIMES', 'STATE', ''],
          found.map((one) => [
            one.id.slice(0, 8),
            one.kind,
            one.job,
            one.vault ?? '',
            formatDuration((one.closedAt ?? now).getTime() - one.openedAt.getTime()),
            String(one.count),
            stateOf(one, now),
            one.message,
          ]),
        ),
  )
}

function stateOf({ closedAt, acknowledgedBy, snoozedUntil }: Incident, now: Date): string {
  if (closedAt !== undefined) return 'over'
  if (acknowledgedBy !== undefined) return `known to ${acknowledgedBy}`
  return snoozedUntil !== undefined && snoozedUntil > now ? 'snoozed' : 'open'
}

const sentence = ({ kind, job, message }: Incident): string => `${kind} of ${job}: ${message}`

async function named(
  context: Context,
  id: string,
): Promise<[Incident, ReturnType<Awaited<ReturnType<Context['app']>>['history']>['incidents']]> {
  const store = (await context.app()).history().incidents
  const found = store.find(id)
  if (found !== undefined && found.closedAt === undefined) return [found, store]
  throw new AppError(
    'usage.invalid',
    found === undefined ? `no single alert begins with ${id}` : `${id} is right again`,
    {
      hint: 'See `holdfast alert list`.',
    },
  )
}
