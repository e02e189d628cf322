/** Vaults, notifications, alerts, and places that a new job may read. */
import * as z from 'zod'
import {
  byId,
  definition,
  flag,
  jobName,
  named,
  paging,
  problem,
  runStatus,
  started,
  time,
  vaultName,
  whole,
} from './fields.ts'
import { route } from './kit.ts'

const share = z.number().min(0).max(1).describe('Of the stored bytes, how many are read and hashed: 0 to 1.')
const usagePoint = z.strictObject({ at: time, bytes: z.number(), objects: z.number(), free: z.number().optional() })

export const vaultShort = z.strictObject({
  name: vaultName,
  managed: z.boolean(),
  format: z.enum(['repository', 'archive']),
  storage: z.strictObject({ type: z.string(), name: z.string() }),
  encrypted: z.boolean(),
  jobs: z.array(jobName),
  backups: z.number().int(),
  bytes: z.number().optional(),
  free: z.number().optional(),
  growthPerDay: z.number().optional(),
  daysToFull: z.number().optional(),
  limits: z.strictObject({ warn: z.number().optional(), stop: z.number().optional() }).optional(),
  cost: z
    .strictObject({
      currency: z.string(),
      stored: z.number(),
      requests: z.number(),
      perMonth: z.number(),
      daysToBudget: z.number().optional(),
    })
    .optional()
    .describe('Of a month, by the prices of the vault: an estimate.'),
  checkedAt: time.optional().describe('When a run used it last.'),
  problem: z.string().optional().describe('What is open against it.'),
})

const vault = vaultShort.extend({
  definition,
  yaml: z.string(),
  usage: z.array(usagePoint),
  lastCheck: z
    .strictObject({
      run: z.string(),
      at: time,
      status: runStatus,
      readData: share.optional(),
      damaged: z.number().int().optional(),
      message: z.string().optional(),
    })
    .optional()
    .describe('The newest look for damage, whoever asked for it.'),
  nextCheck: time.optional(),
})

const checks = z.array(
  z.strictObject({ name: z.string(), ok: z.boolean(), detail: z.string(), fix: z.string().optional() }),
)

const notification = z.strictObject({
  name: z.string(),
  managed: z.boolean(),
  type: z.string(),
  on: z.array(z.string()),
  jobs: z.array(jobName),
  definition,
})

export const alert = z.strictObject({
  id: z.string(),
  kind: z.enum(['failure', 'damage', 'unreachable', 'config', 'overdue', 'proof', 'space', 'warning']),
  job: jobName,
  vault: vaultName.optional(),
  message: z.string(),
  hint: z.string().optional(),
  run: z.string().optional(),
  openedAt: time,
  closedAt: time.optional(),
  count: z.number().int(),
  acknowledgedAt: time.optional(),
  acknowledgedBy: z.string().optional(),
  snoozedUntil: time.optional(),
  toldAt: time.optional(),
})

export const vaultRoutes = {
  'GET /api/v1/vaults': route({
    access: 'read',
    summary: 'All vaults, with what they take and how they grow',
    answer: z.strictObject({ items: z.array(vaultShort) }),
  }),
  'POST /api/v1/vaults': route({
    access: 'admin',
    summary: 'Add a vault',
    body: z.strictObject({ name: vaultName, definition }),
    answer: vault,
    status: 201,
    idempotent: true,
    example: { name: 'offsite', definition: { storage: 'file:/srv/backups', password: 'a long one' } },
  }),
  'GET /api/v1/vaults/{name}': route({ access: 'read', summary: 'One vault', params: named, answer: vault }),
  'PUT /api/v1/vaults/{name}': route({
    access: 'admin',
    summary: 'Change a vault',
    params: named,
    body: z.strictObject({ definition }),
    answer: vault,
    conditional: true,
  }),
  'DELETE /api/v1/vaults/{name}': route({
    access: 'admin',
    summary: 'Forget a vault that no job uses; what is stored stays',
    params: named,
    status: 204,
  }),
  'POST /api/v1/vaults/test': route({
    access: 'admin',
    summary: 'Try a vault before it is added: reached, written to, read back, what is there',
    body: z.strictObject({ name: vaultName.default('new'), definition }),
    answer: z.strictObject({
      ok: z.boolean(),
      found: z.enum(['nothing', 'repository', 'archive']).optional(),
      backups: z.number().int().optional(),
      checks,
      error: problem.optional(),
    }),
  }),
  'POST /api/v1/vaults/{name}/test': route({
    access: 'operate',
    summary: 'Try a vault: reached, written to, read back',
    params: named,
    answer: z.strictObject({ ok: z.boolean(), checks, error: problem.optional() }),
  }),
  'POST /api/v1/vaults/{name}/check': route({
    access: 'operate',
    summary: 'Look for damage, and for the backups that it touches: a run',
    params: named,
    body: z.strictObject({ readData: share.default(0) }),
    answer: started,
    status: 202,
    idempotent: true,
    example: { readData: 0.1 },
  }),
  'POST /api/v1/vaults/{name}/refresh': route({
    access: 'operate',
    summary: 'List the vault again: what others made there becomes known here',
    params: named,
    answer: z.strictObject({ backups: z.number().int() }),
  }),

  'GET /api/v1/notifications': route({
    access: 'read',
    summary: 'Who hears about what',
    answer: z.strictObject({ items: z.array(notification) }),
  }),
  'POST /api/v1/notifications': route({
    access: 'admin',
    summary: 'Add a notifier',
    body: z.strictObject({ name: z.string().min(1).max(100), definition }),
    answer: notification,
    status: 201,
    idempotent: true,
    example: { name: 'ops', definition: { type: 'ntfy', topic: 'backups', on: ['failure', 'recovered'] } },
  }),
  'POST /api/v1/notifications/test': route({
    access: 'admin',
    summary: 'Send a test message by a definition that is not saved yet',
    description: 'Of a notifier that is there, secrets that are shown as hidden are its own.',
    body: z.strictObject({ name: z.string().min(1).max(100), definition }),
    answer: z.strictObject({ ok: z.boolean(), error: problem.optional() }),
  }),
  'GET /api/v1/notifications/{name}': route({
    access: 'read',
    summary: 'One notifier',
    params: named,
    answer: notification,
  }),
  'PUT /api/v1/notifications/{name}': route({
    access: 'admin',
    summary: 'Change a notifier',
    params: named,
    body: z.strictObject({ definition }),
    answer: notification,
    conditional: true,
  }),
  'DELETE /api/v1/notifications/{name}': route({
    access: 'admin',
    summary: 'Remove a notifier',
    params: named,
    status: 204,
  }),
  'POST /api/v1/notifications/{name}/test': route({
    access: 'operate',
    summary: 'Send a test message',
    params: named,
    answer: z.strictObject({ ok: z.boolean(), error: problem.optional() }),
  }),

  'GET /api/v1/alerts': route({
    access: 'read',
    summary: 'What is wrong, and was: open ones first',
    query: z.object({ open: flag, job: jobName.optional(), limit: whole(1, 500).default(100) }),
    answer: z.strictObject({ items: z.array(alert) }),
  }),
  'POST /api/v1/alerts/{id}/acknowledge': route({
    access: 'operate',
    summary: 'It is known: no more reminders',
    params: byId,
    answer: alert,
  }),
  'POST /api/v1/alerts/{id}/snooze': route({
    access: 'operate',
    summary: 'Remind of it later',
    params: byId,
    body: z.strictObject({ until: time }),
    answer: alert,
  }),

  'GET /api/v1/sources/browse': route({
    access: 'admin',
    summary: 'A folder of this machine, below the folders that the server shows',
    query: z.object({ path: z.string().max(4096).optional(), ...paging }),
    answer: z.strictObject({
      path: z.string(),
      parent: z.string().optional(),
      roots: z.array(z.string()),
      items: z.array(
        z.strictObject({
          name: z.string(),
          path: z.string(),
          kind: z.enum(['file', 'dir', 'link', 'other']),
          size: z.number().optional(),
          mtime: time.optional(),
        }),
      ),
      next: z.string().optional(),
    }),
  }),
  'POST /api/v1/sources/exclude': route({
    access: 'admin',
    summary: 'What the rules of a files source leave out: files and bytes for each rule',
    description: 'Looks for a bounded time; `complete` tells whether it saw all.',
    body: z.strictObject({
      paths: z.array(z.string().min(1).max(4096)).min(1).max(50),
      exclude: z.array(z.string().max(1000)).max(200).default([]),
      include: z.array(z.string().max(1000)).max(200).default([]),
      excludeIfPresent: z.array(z.string().max(255)).max(20).default([]),
    }),
    answer: z.strictObject({
      files: z.number().int(),
      bytes: z.number(),
      excludedFiles: z.number().int(),
      excludedBytes: z.number(),
      rules: z.array(
        z.strictObject({
          rule: z.string(),
          files: z.number().int(),
          bytes: z.number(),
          examples: z.array(z.string()),
        }),
      ),
      complete: z.boolean(),
    }),
    example: { paths: ['/srv/documents'], exclude: ['*.tmp', 'cache/'] },
  }),
  'POST /api/v1/sources/test': route({
    access: 'admin',
    summary: 'Try a source: reached, may be read, what will be missing; for servers the databases there are',
    body: z.strictObject({ definition }),
    answer: z.strictObject({
      ok: z.boolean(),
      checks,
      databases: z.array(z.strictObject({ name: z.string() })).optional(),
      error: problem.optional(),
    }),
    example: { definition: { type: 'files', paths: ['/srv/documents'] } },
  }),
}
