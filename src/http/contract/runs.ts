/** Runs and what is told of them while they work. */
import * as z from 'zod'
import { byId, flag, jobName, ofJob, page, paging, problem, runKind, runStatus, time, vaultName } from './fields.ts'
import { route } from './kit.ts'

const counters = z.object({
  filesDone: z.number(),
  bytesDone: z.number(),
  bytesStored: z.number(),
  filesTotal: z.number().optional(),
  bytesTotal: z.number().optional(),
  current: z.string().optional().describe('The item in hand.'),
})

const warning = z.object({ code: z.string(), message: z.string(), path: z.string().optional() })

export const runShort = z.strictObject({
  id: z.string(),
  kind: runKind,
  job: ofJob,
  vault: vaultName.optional(),
  status: runStatus,
  trigger: z.enum(['manual', 'schedule', 'api', 'catch-up']),
  createdAt: time,
  startedAt: time.optional(),
  endedAt: time.optional(),
  backupId: z.string().optional(),
  counters: counters.optional(),
  warningCount: z.number().int(),
  error: problem.optional(),
  summary: z.record(z.string(), z.unknown()).optional().describe('Figures of the outcome, as the summary of the CLI.'),
})

export const run = runShort.extend({
  warnings: z.array(warning).describe('The first hundred.'),
  notes: z.array(warning),
  noteCount: z.number().int(),
  stages: z.array(
    z.strictObject({
      stage: z.string(),
      startedAt: time,
      endedAt: time.optional(),
      status: z.enum(['running', 'success', 'failed']),
    }),
  ),
  hasLog: z.boolean(),
})

export const runRoutes = {
  'GET /api/v1/runs': route({
    access: 'read',
    summary: 'Runs, newest first',
    query: z.object({
      ...paging,
      job: jobName.optional(),
      vault: vaultName.optional(),
      kind: runKind.optional(),
      status: z.string().max(200).optional().describe('One or several, with commas between.'),
      since: time.optional(),
      until: time.optional(),
    }),
    answer: page(runShort),
  }),
  'GET /api/v1/runs/{id}': route({
    access: 'read',
    summary: 'One run: stages, figures, warnings',
    params: byId,
    answer: run,
  }),
  'POST /api/v1/runs/{id}/cancel': route({
    access: 'operate',
    summary: 'Ask a run to stop at the next safe point',
    params: byId,
    answer: runShort,
    status: 202,
  }),
  'POST /api/v1/runs/{id}/limit': route({
    access: 'operate',
    summary: 'Hold a run to a rate while it goes on, or let it go as fast as it can',
    params: byId,
    body: z.object({ bandwidth: z.number().int().positive().nullable().describe('KiB a second; null: no limit.') }),
    answer: runShort,
    status: 202,
  }),
  'GET /api/v1/runs/{id}/log': route({
    access: 'read',
    summary: 'The log of a run, one JSON line for each event',
    params: byId,
    query: z.object({
      level: z.enum(['debug', 'info', 'warn', 'error']).optional().describe('Only this level and worse.'),
      follow: flag.describe('Go on until the run ends.'),
      download: flag.describe('As a file to keep.'),
    }),
    stream: 'text',
  }),
  'GET /api/v1/events': route({
    access: 'read',
    summary: 'Server-sent events: what changes, as it changes',
    description:
      'Names: run.created run.stage run.progress run.finished run.log job.changed alert.opened alert.changed alert.closed ' +
      'vault.changed backup.added backup.removed; `reset` when what came before is not kept any more. ' +
      'Resumes by `Last-Event-ID`. At most two run.progress events a second for each run; a heartbeat every 10 s.',
    query: z.object({
      topics: z.string().max(200).optional().describe('Beginnings of names, with commas between, such as `run,alert`.'),
      run: z.string().max(100).optional().describe('Also the log lines of this run, as run.log.'),
      after: z.string().max(30).optional().describe('In place of `Last-Event-ID`.'),
    }),
    stream: 'events',
  }),
}
