/** The only door to croner: one library computes all times, for the scheduler, the command line and the page alike. */
import { Cron } from 'croner'
import { AppError } from './errors.ts'
import { isTimezone, systemTimezone, transitions, type Transition } from './zone.ts'

export interface CronTimes {
  /** The first time after this moment; undefined when none is left. */
  next(after: Date): Date | undefined
}

/** No clock was ever set back by more. */
const MOST_SHIFT_MS = 25 * 3_600_000
const YEAR_MS = 366 * 86_400_000
const FIELDS = ['minute', 'hour', 'day of the month', 'month', 'day of the week']
const NICKNAMES = ['@yearly', '@annually', '@monthly', '@weekly', '@daily', '@midnight', '@hourly']
const EXAMPLE = 'Such as "0 3 * * *" for each day at 3:00, or "30 2 * * MON-FRI".'

/**
 * Five fields, six with seconds first, or a nickname. Across daylight saving, times of certain hours happen once: those
 * that a day leaves out right after the gap, those that come twice the first time. What happens every hour goes on by
 * real time.
 */
export function parseCron(expression: string, timezone: string = systemTimezone()): CronTimes {
  const text = expression.trim()
  if (!isTimezone(timezone)) throw invalid(`${timezone} is not a time zone`, 'Write it as Europe/Berlin or UTC.')
  const cron = compile(text, timezone) ?? refuse(text, timezone)
  if (cron.nextRun(new Date()) === null)
    throw invalid(`${JSON.stringify(text)} never happens`, 'No month has such a day.')
  const hour = text.split(/\s+/).at(-4)
  const hourly = text.toLowerCase() === '@hourly' || hour === '*' || hour === '*/1'
  const next = (after: Date): Date | undefined => cron.nextRun(after) ?? undefined
  return { next: hourly ? next : onceADay(next, text, timezone) }
}

/** croner alone does so for one hour, not for lists and steps of hours. */
function onceADay(next: CronTimes['next'], text: string, timezone: string): CronTimes['next'] {
  const onPaper = compile(text, 'UTC')
  const comesAgain = (time: number): boolean =>
    transitions(timezone, time - MOST_SHIFT_MS, time).some(
      ({ at, before, after }) => before > after && time < at + before - after,
    )
  /** Some time that the clock passes over at this change would have been due. */
  const isPassedOver = ({ at, before, after }: Transition): boolean => {
    const wanted = onPaper?.nextRun(new Date(at + before - 1))
    return after > before && wanted !== null && wanted !== undefined && wanted.getTime() < at + after
  }
  return (after) => {
    let found = next(after)
    while (found !== undefined && comesAgain(found.getTime())) found = next(found)
    const until = found?.getTime() ?? after.getTime() + YEAR_MS
    const gap = transitions(timezone, after.getTime(), until - 1).find(isPassedOver)
    return gap === undefined ? found : new Date(gap.at)
  }
}

function compile(text: string, timezone: string): Cron | undefined {
  const fields = text.split(/\s+/).length
  if (text.startsWith('@') ? !NICKNAMES.includes(text.toLowerCase()) : fields < 5 || fields > 6) return undefined
  try {
    return new Cron(text, { timezone, paused: true })
  } catch {
    return undefined
  }
}

/** Says which field is wrong, and where it begins. */
function refuse(text: string, timezone: string): never {
  const fields = [...text.matchAll(/\S+/g)]
  if (text.startsWith('@') || fields.length < 5 || fields.length > 6) {
    const what = text.startsWith('@') ? 'is no nickname' : `has ${fields.length} fields instead of five or six`
    throw invalid(`the schedule ${JSON.stringify(text)} ${what}`, EXAMPLE)
  }
  const names = fields.length === 6 ? ['second', ...FIELDS] : FIELDS
  const wrong = fields.findIndex((field, n) => {
    const alone = fields.map((_, other) => (other === n ? field[0] : '*')).join(' ')
    return compile(alone, timezone) === undefined
  })
  const field = fields[wrong] ?? fields[0]
  throw invalid(
    `the schedule ${JSON.stringify(text)} is wrong at character ${(field?.index ?? 0) + 1}: ${field?.[0] ?? ''} is no ${names[Math.max(wrong, 0)]}`,
    EXAMPLE,
  )
}

const invalid = (message: string, hint: string): AppError => new AppError('config.invalid', message, { hint })
