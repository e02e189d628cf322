/** The first page, figures, and what the server says of itself. */
import * as z from 'zod'
import { jobName, ofJob, time, vaultName } from './fields.ts'
import { jobShort } from './jobs.ts'
import { route } from './kit.ts'
import { alert, vaultShort } from './vaults.ts'

/** The worst of a day: ok, warning, failed, running, missed, or nothing. */
const cell = z.enum(['o', 'w', 'b', 'r', 'm', '-'])

export const overviewRoutes = {
  'GET /api/v1/overview': route({
    access: 'read',
    summary: 'The worst thing first, alerts, jobs with their last 30 days, what comes next, storage',
    query: z.object({ timezone: z.string().max(100).default('UTC').describe('Whose days the strips show.') }),
    answer: z.strictObject({
      worst: z.enum(['ok', 'warning', 'bad', 'running', 'empty']),
      counts: z.strictObject({
        jobs: z.number().int(),
        good: z.number().int(),
        proven: z.number().int(),
        running: z.number().int(),
        alerts: z.number().int(),
      }),
      nextRun: time.optional(),
      alerts: z.array(alert).describe('Open and not snoozed; the worst first.'),
      jobs: z.array(
        jobShort.extend({
          strip: z.array(cell).length(30).describe('The last 30 days, the oldest first.'),
          sizes: z.array(z.number()).describe('Bytes of content of the last backups, the oldest first.'),
        }),
      ),
      upcoming: z
        .array(
          z.strictObject({
            job: ofJob,
            vault: vaultName.optional(),
            kind: z.enum(['backup', 'verify', 'check']),
            at: time,
          }),
        )
        .describe('The next 24 hours.'),
      vaults: z.array(vaultShort),
    }),
  }),
  'GET /api/v1/stats': route({
    access: 'read',
    summary: 'Figures over all jobs and vaults',
    answer: z.strictObject({
      jobs: z.number().int(),
      enabledJobs: z.number().int(),
      backups: z.number().int(),
      sourceBytes: z.number(),
      storedBytes: z.number(),
      runs30d: z.strictObject({ total: z.number().int(), good: z.number().int(), failed: z.number().int() }),
      vaults: z.array(
        z.strictObject({
          vault: vaultName,
          backups: z.number().int(),
          bytes: z.number().optional(),
          growthPerDay: z.number().optional(),
          daysToFull: z.number().optional(),
        }),
      ),
      perJob: z.array(
        z.strictObject({
          job: jobName,
          backups: z.number().int(),
          sourceBytes: z.number(),
          storedBytes: z.number(),
        }),
      ),
    }),
  }),
  'GET /api/v1/settings': route({
    access: 'admin',
    summary: 'The settings of the server, and where each comes from',
    answer: z.strictObject({
      items: z.array(z.strictObject({ key: z.string(), value: z.unknown(), origin: z.string() })),
      files: z.array(z.string()),
    }),
  }),
  'GET /api/v1/export': route({
    access: 'admin',
    summary: 'All jobs, vaults and notifiers as a configuration file, without secrets',
    query: z.object({ format: z.enum(['yaml', 'json']).default('yaml') }),
    stream: 'text',
  }),
  'GET /api/v1/about': route({
    access: 'self',
    summary: 'Version, uptime, workers, what waits',
    answer: z.strictObject({
      version: z.string(),
      newer: z.string().optional().describe('A newer version that there is.'),
      node: z.string(),
      host: z.string(),
      startedAt: time,
      timezone: z.string(),
      now: time,
      queue: z.array(
        z.strictObject({
          run: z.string(),
          job: ofJob,
          vault: vaultName.optional(),
          kind: z.string(),
          state: z.string(),
          by: z.string().optional(),
        }),
      ),
      scheduler: z.string().optional().describe('Who schedules.'),
      dataDir: z.string(),
      roots: z.array(z.string()),
    }),
  }),
}
