import * as z from 'zod'
import { isTimezone } from '../../base/zone.ts'
import { WEEKDAYS } from '../../model/bandwidth.ts'
import { settings } from './fields.ts'

const rate = (direction: string) => z.number().positive().describe(`KiB a second ${direction} the storage.`).optional()
const rates = { upload: rate('to'), download: rate('from') }

const time = settings({
  between: z
    .string()
    .regex(/^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-4]):[0-5]\d$/, 'must be times such as "08:00-18:00"')
    .describe('From and until, such as 08:00-18:00; 22:00-06:00 passes midnight.'),
  days: z.array(z.enum(WEEKDAYS)).min(1).describe('On which it begins; every day if absent.').optional(),
  ...rates,
})

export const bandwidth = z.union([
  z.number().positive().describe('KiB a second in each direction.'),
  settings({
    ...rates,
    timezone: z.string().refine(isTimezone, 'must be a time zone such as Europe/Berlin').optional(),
    times: z.array(time).describe('What holds at times, in place of the rest; the first that fits counts.').optional(),
  }),
])
