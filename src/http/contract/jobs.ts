/** Jobs, their schedules and their retention. */
import * as z from 'zod'
import {
  definition,
  jobName,
  jobState,
  level,
  named,
  ofJob,
  page,
  paging,
  runStatus,
  started,
  time,
  vaultName,
} from './fields.ts'
import { route } from './kit.ts'

const lastRun = z.strictObject({ id: z.string(), status: runStatus, at: time, endedAt: time.optional() })

export const jobShort = z.strictObject({
  name: jobName,
  enabled: z.boolean(),
  managed: z.boolean().describe('From the configuration file: it cannot be edited here.'),
  description: z.string().optional(),
  state: jobState,
  why: z.string().optional(),
  source: z.strictObject({ type: z.string(), name: z.string() }),
  vaults: z.array(vaultName),
  type: z.enum(['full', 'incremental', 'differential', 'auto']),
  schedule: z.strictObject({ cron: z.string(), timezone: z.string(), text: z.string() }).optional(),
  continuous: z.boolean().describe('The log of its database is followed all the time.'),
  next: time.optional().describe('When it runs next.'),
  paused: z.strictObject({ until: time.optional(), reason: z.string().optional() }).optional(),
  running: z.string().optional().describe('The run that waits or works.'),
  lastRun: lastRun.optional(),
  lastGood: lastRun.optional(),
  proof: z.strictObject({ level, at: time, backup: z.string() }).optional().describe('The last proven restore.'),
  backups: z.number().int(),
  size: z.number().optional().describe('Bytes of content of the newest backup.'),
})

export const job = jobShort.extend({
  definition,
  yaml: z.string().describe('The same as YAML, without secrets.'),
  vaultStates: z.array(
    z.strictObject({
      vault: vaultName,
      backups: z.number().int(),
      newest: time.optional(),
      stored: z.number().optional(),
      proof: z.strictObject({ level, at: time }).optional(),
    }),
  ),
})

export const scheduleRow = z.strictObject({
  name: z.string(),
  job: ofJob,
  vault: vaultName.optional().describe('Of checks.'),
  kind: z.enum(['backup', 'verify', 'check']),
  origin: z.enum(['config', 'added']),
  spec: z.string(),
  timezone: z.string().optional(),
  next: time.optional(),
  paused: z.boolean(),
  pausedUntil: time.optional().describe('Absent: until it is resumed.'),
  pauseReason: z.string().optional(),
})

export const jobRoutes = {
  'GET /api/v1/jobs': route({
    access: 'read',
    summary: 'All jobs, with their state',
    query: z.object({
      ...paging,
      state: jobState.optional(),
      q: z.string().max(100).optional().describe('A part of the name.'),
    }),
    answer: page(jobShort),
  }),
  'POST /api/v1/jobs': route({
    access: 'admin',
    summary: 'Make a job',
    body: z.strictObject({ name: jobName, definition }),
    answer: job,
    status: 201,
    idempotent: true,
    example: {
      name: 'documents',
      definition: {
        source: { type: 'files', paths: ['/srv/documents'] },
        vaults: ['offsite'],
        schedule: { cron: '0 3 * * *', timezone: 'Europe/Berlin' },
        retention: { daily: 7, weekly: 4 },
      },
    },
  }),
  'GET /api/v1/jobs/{name}': route({ access: 'read', summary: 'One job', params: named, answer: job }),
  'PUT /api/v1/jobs/{name}': route({
    access: 'admin',
    summary: 'Change a job',
    params: named,
    body: z.strictObject({ definition }),
    answer: job,
    conditional: true,
  }),
  'DELETE /api/v1/jobs/{name}': route({
    access: 'admin',
    summary: 'Remove a job; its backups stay',
    params: named,
    status: 204,
  }),
  'POST /api/v1/jobs/check': route({
    access: 'admin',
    summary: 'Whether a job could be made so: all faults, the sentence and the YAML of it',
    body: z.strictObject({ name: jobName, definition }),
    answer: z.strictObject({
      ok: z.boolean(),
      faults: z.array(z.object({ key: z.string().optional(), message: z.string() })),
      yaml: z.string(),
      sentence: z.string().optional(),
      next: z.array(time),
    }),
  }),
  'POST /api/v1/jobs/{name}/runs': route({
    access: 'operate',
    summary: 'Run it now: a backup, or a proof that the newest one restores',
    params: named,
    body: z.strictObject({ kind: z.enum(['backup', 'verify']).default('backup'), level: level.optional() }),
    answer: started,
    status: 202,
    idempotent: true,
    example: { kind: 'backup' },
  }),
  'POST /api/v1/jobs/{name}/pause': route({
    access: 'operate',
    summary: 'Let its times pass, until then or until it is resumed',
    params: named,
    body: z.strictObject({ until: time.optional(), reason: z.string().max(300).optional() }),
    status: 204,
  }),
  'POST /api/v1/jobs/{name}/resume': route({
    access: 'operate',
    summary: 'Go on by the schedule',
    params: named,
    status: 204,
  }),
  'POST /api/v1/jobs/{name}/prune': route({
    access: 'delete',
    summary: 'Apply its retention, or say what that would remove',
    params: named,
    body: z.strictObject({ dryRun: z.boolean().default(true) }),
    answer: z.strictObject({
      applied: z.boolean(),
      vaults: z.array(
        z.strictObject({
          vault: vaultName,
          keep: z.array(
            z.object({
              id: z.string(),
              time,
              storedBytes: z.number().optional(),
              reasons: z.array(z.string()),
            }),
          ),
          remove: z.array(
            z.object({
              id: z.string(),
              time,
              storedBytes: z.number().optional(),
              reasons: z.array(z.string()),
            }),
          ),
          bytesFreed: z.number(),
        }),
      ),
    }),
  }),
  'GET /api/v1/jobs/{name}/timeline': route({
    access: 'read',
    summary: 'Moments that can be restored, gaps between them, and what took data away',
    params: named,
    answer: z.strictObject({
      vaults: z.array(
        z.strictObject({
          vault: vaultName,
          engine: z.string().optional().describe('Absent: only whole backups can be restored.'),
          windows: z.array(
            z.strictObject({
              from: time,
              to: time,
              fromPosition: z.string(),
              toPosition: z.string(),
              backups: z.array(z.string()),
            }),
          ),
          gaps: z.array(z.strictObject({ from: time, to: time })),
          events: z.array(
            z.strictObject({
              id: z.string().describe('What `restore --before` takes.'),
              kind: z.enum(['drop', 'truncate', 'delete']),
              what: z.string(),
              rows: z.number().optional(),
              time,
              restorable: z.boolean(),
            }),
          ),
          proofs: z
            .array(
              z.strictObject({
                level: z.enum(['V0', 'V1', 'V2', 'V3', 'V4', 'V5']),
                at: time,
                ok: z.boolean().describe('What was wanted was reached.'),
                point: z.string().describe('What was asked for, in words.'),
                backup: z.string().optional(),
                reached: z.string().optional(),
                transactions: z.number().optional(),
                time: time.optional().describe('Of the last commit in it.'),
              }),
            )
            .describe('Moments that were shown to restore, newest proof first.'),
          lagSeconds: z.number().optional().describe('How long ago what is stored was the newest.'),
          bytes: z.number(),
          segments: z.number().int(),
        }),
      ),
    }),
  }),
  'GET /api/v1/schedules': route({
    access: 'read',
    summary: 'All that recurs, with the next time of each',
    answer: z.strictObject({ items: z.array(scheduleRow) }),
  }),
  'POST /api/v1/schedules/preview': route({
    access: 'read',
    summary: 'The next times of a cron expression, and what it says in words',
    body: z.strictObject({ cron: z.string().max(200), timezone: z.string().max(100).default('UTC') }),
    answer: z.strictObject({ times: z.array(time), text: z.string() }),
    example: { cron: '0 3 * * 1-5', timezone: 'Europe/Berlin' },
  }),
  'POST /api/v1/retention/simulate': route({
    access: 'read',
    summary: 'What a retention would keep, of the backups of a job or of made-up ones by a schedule',
    body: z.strictObject({
      retention: definition,
      job: jobName.optional().describe('Its real backups; else made-up ones.'),
      vault: vaultName.optional(),
      cron: z.string().max(200).default('0 3 * * *'),
      timezone: z.string().max(100).default('UTC'),
      days: z.number().int().min(1).max(800).default(400).describe('How long the made-up history is.'),
    }),
    answer: z.strictObject({
      items: z.array(z.strictObject({ id: z.string(), time, keep: z.boolean(), reasons: z.array(z.string()) })),
      kept: z.number().int(),
      removed: z.number().int(),
      bytesFreed: z.number().optional(),
    }),
    example: { retention: { daily: 7, weekly: 4, monthly: 12 } },
  }),
}
