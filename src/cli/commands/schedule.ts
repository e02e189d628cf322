import type { Command } from 'commander'
import type { App } from '../../app.ts'
import { parseCron } from '../../base/cron.ts'
import { AppError } from '../../base/errors.ts'
import { formatDuration, parseDuration } from '../../base/units.ts'
import { localText, systemTimezone } from '../../base/zone.ts'
import { PROOF_LEVELS, type ProofLevel } from '../../model/backup.ts'
import { whose, type Recurrence } from '../../model/service.ts'
import type { Context } from '../context.ts'
import { whole } from '../numbers.ts'
import { table } from '../output.ts'

interface AddOptions {
  cron: string
  task: string
  job: string
  name?: string
  timezone?: string
  missed: string
  jitter?: string
  level?: string
}

/** Until somebody lets it go on. */
const FOREVER = new Date(8.64e15)

export function register(program: Command, context: Context): void {
  const schedule = program
    .command('schedule')
    .description('when jobs run by themselves, and what became of each due time')
  schedule
    .command('list')
    .description('all schedules with their next time')
    .action(async () => list(context))
  schedule
    .command('next')
    .description('the next times')
    .option('--job <name>', 'only of this job')
    .option('--count <n>', 'how many of each', whole('--count'), 6)
    .action(async (options: { job?: string; count: number }) => next(context, options))
  schedule
    .command('history')
    .description('the due times that were, newest first, and what became of them')
    .option('--job <name>', 'only of this job')
    .option('--limit <n>', 'at most so many', whole('--limit'), 30)
    .action(async (options: { job?: string; limit: number }) => history(context, options))
  schedule
    .command('add')
    .description('another schedule for a job of the configuration')
    .requiredOption('--cron <expression>', 'five fields, six with seconds first, or such as @daily')
    .requiredOption('--job <name>', 'a configured job')
    .option('--task <task>', 'backup, or verify: prove its newest backup', 'backup')
    .option('--level <level>', 'how far verify goes (default: as the job has it, else V3)')
    .option('--name <name>', 'what the schedule is called (default: JOB/TASK-CRON)')
    .option('--timezone <zone>', 'whose clock, such as Europe/Berlin (default: that of the machine)')
    .option('--missed <what>', 'once or skip: what is done about times that were missed', 'once')
    .option('--jitter <duration>', 'start up to so much later')
    .action(async (options: AddOptions) => add(context, options))
  schedule
    .command('remove')
    .description('take away a schedule that was added')
    .argument('<name>')
    .action(async (name: string) => remove(context, name))
  schedule
    .command('pause')
    .description('no runs of a schedule, or of all of a job, until a time or until resumed')
    .argument('<name>', 'of the schedule or the job')
    .option('--until <time>', 'such as 2027-01-31 or 2027-01-31T06:00:00Z')
    .option('--for <duration>', 'such as 2h')
    .option('--reason <text>', 'shown with it')
    .action(async (name: string, options: PauseOptions) => pause(context, name, options))
  schedule
    .command('resume')
    .description('end a pause')
    .argument('<name>', 'of the schedule or the job')
    .action(async (name: string) => resume(context, name))
}

interface Shown {
  name: string
  job: string
  vault?: string
  task: string
  schedule: string
  timezone: string
  next?: Date
  pausedUntil?: Date | 'resumed'
  pauseReason?: string
  origin: string
}

async function all(app: App): Promise<Recurrence[]> {
  const { recurrencesOf } = await import('../../service/times.ts')
  return recurrencesOf(app)
}

async function list(context: Context): Promise<void> {
  const app = await context.app()
  const { nextDue } = await import('../../service/times.ts')
  const shown = (await all(app)).map((one): Shown => {
    const state = app.history().service.state(one.name)
    const now = app.clock.now()
    const paused = state?.pausedUntil !== undefined && state.pausedUntil > now ? state.pausedUntil : undefined
    const next = nextDue(app, one)
    return {
      name: one.name,
      ...whose(one),
      task: one.kind,
      schedule: textOf(one),
      timezone: zoneOf(one),
      ...(next !== undefined && { next }),
      ...(paused && { pausedUntil: isForever(paused) ? 'resumed' : paused }),
      ...(paused && state?.pauseReason !== undefined && { pauseReason: state.pauseReason }),
      origin: one.origin,
    }
  })
  context.out.result(shown, () =>
    shown.length === 0
      ? 'no schedules: give a job a schedule in the configuration, or see `holdfast schedule add --help`'
      : table(
          ['NAME', 'SCHEDULE', 'ZONE', 'NEXT', ''],
          shown.map((one) => [
            one.name,
            one.schedule,
            one.timezone,
            one.next === undefined ? 'never' : localText(one.timezone, one.next),
            one.pausedUntil === undefined
              ? ''
              : `paused until ${one.pausedUntil === 'resumed' ? 'resumed' : localText(one.timezone, one.pausedUntil)}${one.pauseReason === undefined ? '' : `: ${one.pauseReason}`}`,
          ]),
        ),
  )
}

async function next(context: Context, { job, count }: { job?: string; count: number }): Promise<void> {
  const app = await context.app()
  const { timesOfRecurrence } = await import('../../jobs/scheduler.ts')
  const { nextTimes } = await import('../../policy/schedule.ts')
  const wanted = (await all(app)).filter((one) => job === undefined || one.job === job)
  const shown = wanted.map((one) => ({
    name: one.name,
    timezone: zoneOf(one),
    times: nextTimes(timesOfRecurrence(one), app.clock.now(), count),
  }))
  context.out.result(shown, () =>
    shown
      .map(
        ({ name, timezone, times }) =>
          `${name} (${timezone})\n${times.map((time) => `  ${localText(timezone, time)}  ${time.toISOString().slice(0, 19)}Z`).join('\n')}`,
      )
      .join('\n'),
  )
}

async function history(context: Context, { job, limit }: { job?: string; limit: number }): Promise<void> {
  const slots = (await context.app()).history().service.slots({ limit, ...(job !== undefined && { job }) })
  context.out.result(slots, () =>
    slots.length === 0
      ? 'no due times yet: they are written down while `holdfast server` or `holdfast scheduler` works'
      : table(
          ['DUE (UTC)', 'SCHEDULE', 'STATE', 'RUN', ''],
          slots.map((slot) => [
            slot.due.toISOString().slice(0, 19).replace('T', ' '),
            slot.recurrence,
            slot.state,
            slot.run?.slice(0, 8) ?? '',
            slot.reason ?? '',
          ]),
        ),
  )
}

async function add(context: Context, options: AddOptions): Promise<void> {
  const { cron, task, timezone, missed, jitter } = options
  const app = await context.app()
  const job = app.job(options.job)
  parseCron(cron, timezone)
  if (jitter !== undefined) parseDuration(jitter)
  if (task !== 'backup' && task !== 'verify')
    throw new AppError('usage.invalid', `--task ${task} is neither backup nor verify`)
  if (missed !== 'once' && missed !== 'skip')
    throw new AppError('usage.invalid', `--missed ${missed} is neither once nor skip`)
  const name = options.name ?? `${job.name}/${task}-${cron.replaceAll(/\s+/g, '_')}`
  if ((await all(app)).some((one) => one.name === name))
    throw new AppError('usage.invalid', `there is a schedule ${name}`, { hint: 'Remove it, or give another --name.' })
  const recurrence: Recurrence = {
    name,
    job: job.name,
    kind: task,
    schedule: { cron, missed, ...(timezone !== undefined && { timezone }), ...(jitter !== undefined && { jitter }) },
    origin: 'added',
    ...(options.level !== undefined && { level: levelOf(options.level) }),
    ...(job.labels.length > 0 && { labels: job.labels }),
  }
  if (context.options.dryRun !== true) app.history().service.add(recurrence)
  const done = context.options.dryRun === true ? 'would add' : 'added'
  context.out.result(recurrence, () => `${done} ${name}: ${cron} (${zoneOf(recurrence)})`)
}

function levelOf(text: string): ProofLevel {
  const level = text.toUpperCase() as ProofLevel
  if (PROOF_LEVELS.includes(level)) return level
  throw new AppError('usage.invalid', `--level ${text} is none of ${PROOF_LEVELS.join(', ')}`)
}

async function remove(context: Context, name: string): Promise<void> {
  const app = await context.app()
  const found =
    (await all(app)).find((one) => one.name === name) ??
    app
      .history()
      .service.added()
      .find((one) => one.name === name)
  if (found?.origin === 'config')
    throw new AppError('usage.invalid', `${name} is in the configuration`, {
      hint: `Take the schedule out of the job ${found.job} there, or pause it.`,
    })
  if (found === undefined) throw unknown(name)
  if (context.options.dryRun !== true) app.history().service.removeAdded(name)
  context.out.result({ name, removed: context.options.dryRun !== true }, () => `removed ${name}`)
}

interface PauseOptions {
  until?: string
  for?: string
  reason?: string
}

async function pause(context: Context, name: string, options: PauseOptions): Promise<void> {
  const app = await context.app()
  const found = await named(app, name)
  const until = endOf(app, options)
  if (context.options.dryRun !== true)
    for (const one of found) app.history().service.pause(one.name, until, options.reason)
  const names = found.map((one) => one.name)
  context.out.result({ paused: names, until: isForever(until) ? null : until }, () =>
    isForever(until)
      ? `paused ${names.join(', ')} until \`holdfast schedule resume ${name}\``
      : `paused ${names.join(', ')} until ${until.toISOString().slice(0, 19)}Z (${formatDuration(until.getTime() - app.clock.now().getTime())})`,
  )
}

function endOf(app: App, { until, for: time }: PauseOptions): Date {
  if (until !== undefined && time !== undefined)
    throw new AppError('usage.invalid', '--until and --for exclude each other')
  if (time !== undefined) return new Date(app.clock.now().getTime() + parseDuration(time))
  if (until === undefined) return FOREVER
  const end = new Date(until)
  if (Number.isNaN(end.getTime()) || end <= app.clock.now())
    throw new AppError('usage.invalid', `--until ${until} is no time to come`)
  return end
}

async function resume(context: Context, name: string): Promise<void> {
  const app = await context.app()
  const found = await named(app, name)
  if (context.options.dryRun !== true) for (const one of found) app.history().service.pause(one.name, undefined)
  context.out.result(
    { resumed: found.map((one) => one.name) },
    () => `resumed ${found.map((one) => one.name).join(', ')}`,
  )
}

async function named(app: App, name: string): Promise<Recurrence[]> {
  const found = (await all(app)).filter((one) => one.name === name || one.job === name)
  if (found.length === 0) throw unknown(name)
  return found
}

const unknown = (name: string): AppError =>
  new AppError('usage.invalid', `there is no schedule ${name}`, { hint: 'See `holdfast schedule list`.' })

const isForever = (time: Date): boolean => time.getTime() === FOREVER.getTime()

function textOf({ schedule }: Recurrence): string {
  return 'cron' in schedule ? schedule.cron : `every ${formatDuration(schedule.everyMs)}`
}

function zoneOf({ schedule }: Recurrence): string {
  return ('cron' in schedule ? schedule.timezone : 'UTC') ?? systemTimezone()
}
