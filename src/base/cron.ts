/** The only door to croner: one library computes all times, for the scheduler, the command line and the page alike. */
import { Cron } from 'croner'
import { AppError } from './errors.ts'

export interface CronTimes {
  /** The first time after this moment; undefined when none is left. */
  next(after: Date): Date | undefined
}

const FIELDS = ['minute', 'hour', 'day of the month', 'month', 'day of the week']
const NICKNAMES = ['@yearly', '@annually', '@monthly', '@weekly', '@daily', '@midnight', '@hourly']
const EXAMPLE = 'Such as "0 3 * * *" for each day at 3:00, or "30 2 * * MON-FRI".'

export function isTimezone(zone: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: zone }).resolvedOptions().timeZone !== ''
  } catch {
    return false
  }
}

export const systemTimezone = (): string => Intl.DateTimeFormat().resolvedOptions().timeZone

/**
 * Five fields, six with seconds first, or a nickname. Across daylight saving a time that is left out happens right after
 * the gap, one that comes twice happens the first time; times that repeat within the hour go on by real time.
 */
export function parseCron(expression: string, timezone: string = systemTimezone()): CronTimes {
  const text = expression.trim()
  if (!isTimezone(timezone)) throw invalid(`${timezone} is not a time zone`, 'Write it as Europe/Berlin or UTC.')
  const cron = compile(text, timezone) ?? refuse(text, timezone)
  if (cron.nextRun(new Date()) === null)
    throw invalid(`${JSON.stringify(text)} never happens`, 'No month has such a day.')
  return { next: (after) => cron.nextRun(after) ?? undefined }
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
