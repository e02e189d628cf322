import * as z from 'zod'
import { parseCron } from '../../base/cron.ts'
import { toAppError } from '../../base/errors.ts'
import { isTimezone } from '../../base/zone.ts'
import { count, duration, flag, name, oneOrMore, settings, text, texts } from './fields.ts'
import { bandwidth } from './bandwidth.ts'
import { source } from './sources.ts'

const level = z.enum(['V0', 'V1', 'V2', 'V3', 'V4', 'V5'])

const cron = z.string().superRefine((value, context) => {
  try {
    parseCron(value, 'UTC')
  } catch (error) {
    const { message, hint } = toAppError(error)
    context.addIssue({ code: 'custom', message: `${message}: ${hint}` })
  }
})

const schedule = z
  .union([
    z
      .literal('continuous')
      .describe('The log of a database is followed all the time, with a full backup each fullEvery.'),
    cron,
    settings({
      cron: cron.describe('When: minute, hour, day of the month, month, day of the week.'),
      continuous: flag('Follow the log of the database besides, so that every moment can be restored.').optional(),
      timezone: z
        .string()
        .refine(isTimezone, 'must be a time zone such as Europe/Berlin')
        .describe('Whose clock; that of the machine by default.')
        .optional(),
      missed: z.enum(['once', 'skip']).default('once').describe('What is done about times that were missed.'),
      jitter: duration('Start up to this much later, at random.').optional(),
    }),
  ])
  .describe('When the job runs by itself.')

const retention = settings({
  last: count('Keep the last N.').optional(),
  hourly: count('Keep the last of each of N hours.').optional(),
  daily: count('Keep the last of each of N days.').optional(),
  weekly: count('Keep the last of each of N weeks.').optional(),
  monthly: count('Keep the last of each of N months.').optional(),
  yearly: count('Keep the last of each of N years.').optional(),
  days: count('Keep all of the last N days.').optional(),
  within: duration('Keep all within this time before the newest.').optional(),
  points: duration(
    'Of a continuous log: keep every moment of this time; from the oldest kept backup on by default.',
  ).optional(),
  tags: texts('Keep all that carry one of these tags.').optional(),
  minimum: count('Never fewer than N that can be restored.').optional(),
}).describe('Which backups are kept; without it all are.')

const verify = settings({
  afterBackup: level.default('V0').describe('Shown for each new backup, as part of its run.'),
  restoreTest: settings({
    every: duration('How often.'),
    level: level.default('V3').describe('How far.'),
  })
    .describe('Restores to a scratch place.')
    .optional(),
  assert: texts('Statements that must hold in a restored copy.').default([]),
  shrink: z
    .number()
    .min(0)
    .max(1)
    .describe(
      'A dump below this share of the usual size is flagged and freezes retention; 0.5 by default, 0 for never.',
    )
    .optional(),
})

const hooks = settings({
  before: oneOrMore('Commands before the backup; one that fails stops it.').default([]),
  after: oneOrMore('Commands after it, however it ended.').default([]),
  onFailure: oneOrMore('Commands after a failure.').default([]),
})

export const job = settings({
  enabled: flag('Whether it runs unless named.').default(true),
  source,
  vaults: z
    .union([
      z.string().min(1),
      z.array(z.string().min(1)).min(1),
      settings({
        strategy: z.enum(['all', 'any', 'priority']).default('all').describe('Which vaults have to succeed.'),
        members: z.array(z.string().min(1)).min(1).describe('Names of vaults, the preferred one first.'),
        concurrency: z
          .number()
          .int()
          .min(1)
          .describe('Vaults at a time; fewer than all read the source each.')
          .optional(),
        read: z
          .enum(['once', 'each'])
          .describe('once: all vaults at a time, in the pace of the slowest; each: one after the other.')
          .optional(),
      }),
    ])
    .describe('Names of the vaults that it goes to; each gets its own backup.'),
  type: z
    .enum(['full', 'incremental', 'differential', 'auto'])
    .default('auto')
    .describe('auto: full first and when the chain ends.'),
  fullEvery: duration('A full backup at least this often.').optional(),
  schedule: schedule.optional(),
  retention: retention.optional(),
  retentionCount: count('The same as retention.last.').optional(),
  verify: verify.prefault({}).describe('What is proven, and when.'),
  bandwidth: bandwidth.describe('Of its runs; that of a vault holds too.').optional(),
  notify: texts('Names of notifiers; all of them by default.').optional(),
  hooks: hooks.prefault({}).describe('Commands around the backup.'),
  tags: texts('Tags of each backup.').default([]),
  labels: texts('Only workers with all of these labels run it.').default([]),
  description: text('For people.').optional(),
})

export const jobs = z.record(name, job).describe('What is backed up, by name.').default({})

export type JobConfig = z.output<typeof job>
