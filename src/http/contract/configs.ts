/** The seven routes of the first page's document: a config there is a job with a files source and an S3 vault. */
import * as z from 'zod'
import { byId, time, whole } from './fields.ts'
import { route } from './kit.ts'

const source = z.strictObject({
  path: z.string().min(1).max(4096),
  excludePatterns: z.array(z.string().max(1000)).max(200).optional(),
  includePatterns: z.array(z.string().max(1000)).max(200).optional(),
})

const destination = z.strictObject({
  bucket: z.string().min(1).max(255),
  region: z.string().min(1).max(100),
  prefix: z.string().max(500).optional(),
  endpoint: z.url().max(500).optional(),
})

const schedule = z.strictObject({ cronExpression: z.string().min(1).max(200), timezone: z.string().min(1).max(100) })

const options = z.strictObject({
  type: z.enum(['full', 'incremental']),
  compression: z.boolean(),
  compressionLevel: z.number().int().min(1).max(9).optional(),
  encryption: z.boolean(),
  retentionDays: z.number().int().min(1).max(36_500).optional(),
  bandwidth: z.number().positive().optional().describe('KB/s'),
})

const name = z.string().min(1).max(100)

const config = z.strictObject({
  name,
  enabled: z.boolean(),
  sources: z.array(source).min(1).max(100),
  destination,
  schedule,
  options,
})

const stored = config.extend({
  id: z.string(),
  managed: z.boolean().describe('From the configuration file: it cannot be edited here.'),
  createdAt: time.optional(),
  updatedAt: time.optional(),
})

const log = z.strictObject({
  id: z.string(),
  configId: z.string(),
  configName: z.string(),
  status: z.enum(['running', 'completed', 'failed', 'cancelled']),
  startedAt: time,
  endedAt: time.optional(),
  duration: z.number().optional().describe('Seconds.'),
  filesProcessed: z.number(),
  filesSkipped: z.number(),
  totalBytes: z.number(),
  bytesTransferred: z.number(),
  error: z.string().optional(),
})

const example = {
  name: 'Test Backup',
  enabled: true,
  sources: [{ path: '/data/test' }],
  destination: { bucket: 'my-bucket', region: 'us-east-1' },
  schedule: { cronExpression: '0 2 * * *', timezone: 'UTC' },
  options: { type: 'full', compression: true, encryption: false, retentionDays: 30 },
}

export const configRoutes = {
  'GET /api/backups/configs': route({
    access: 'read',
    summary: 'List all backup configurations',
    answer: z.array(stored),
  }),
  'POST /api/backups/configs': route({
    access: 'admin',
    summary: 'Create a backup configuration',
    body: config,
    answer: stored,
    status: 201,
    idempotent: true,
    example,
  }),
  'GET /api/backups/configs/{id}': route({
    access: 'read',
    summary: 'One backup configuration',
    params: byId,
    answer: stored,
  }),
  'PATCH /api/backups/configs/{id}': route({
    access: 'admin',
    summary: 'Change a backup configuration',
    params: byId,
    body: config.partial().extend({ options: options.partial().optional() }),
    answer: stored,
    example: { enabled: false },
  }),
  'DELETE /api/backups/configs/{id}': route({
    access: 'admin',
    summary: 'Remove a backup configuration; its backups stay',
    params: byId,
    status: 204,
  }),
  'POST /api/backups/execute': route({
    access: 'operate',
    summary: 'Trigger a backup; it works in the background',
    body: z.strictObject({ configId: z.string().min(1).max(300) }),
    answer: z.strictObject({ runId: z.string(), status: z.literal('queued') }),
    status: 202,
    idempotent: true,
    example: { configId: 'config-id-here' },
  }),
  'GET /api/backups/logs': route({
    access: 'read',
    summary: 'Backup logs, newest first',
    query: z.object({ configId: z.string().max(300).optional(), limit: whole(1, 500).default(50) }),
    answer: z.array(log),
  }),
  'GET /api/backups/stats': route({
    access: 'read',
    summary: 'Backup statistics',
    answer: z.strictObject({
      totalConfigs: z.number().int(),
      activeConfigs: z.number().int(),
      totalBackups: z.number().int(),
      successfulBackups: z.number().int(),
      failedBackups: z.number().int(),
      runningBackups: z.number().int(),
      successRate: z.number().describe('0 to 1; 1 when there was nothing to do.'),
      totalBytes: z.number(),
      bytesTransferred: z.number(),
      lastBackup: time.optional(),
      nextBackup: time.optional(),
    }),
  }),
}

export type BackupConfig = z.output<typeof config>
export type StoredConfig = z.output<typeof stored>
