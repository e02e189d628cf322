/** When an expression that somebody sent falls due. */
import { parseCron, type CronTimes } from '../base/cron.ts'
import { AppError, isAppError } from '../base/errors.ts'

/** The next so many. */
export function timesOf(cron: string, timezone: string, from: Date, count: number): Date[] {
  const times: Date[] = []
  const parsed = cronOf(cron, timezone)
  for (let at = parsed.next(from); at !== undefined && times.length < count; at = parsed.next(at)) times.push(at)
  return times
}

/** What is wrong with it is wrong with the call. */
export function cronOf(cron: string, timezone: string): CronTimes {
  try {
    return parseCron(cron, timezone)
  } catch (error) {
    if (isAppError(error)) throw new AppError('request.invalid', error.message, { hint: error.hint })
    throw error
  }
}
