import * as z from 'zod'
import { name } from './schema/fields.ts'
import { jobs } from './schema/jobs.ts'
import { notify } from './schema/notify.ts'
import { log, report, server, update } from './schema/service.ts'
import { vaults } from './schema/vaults.ts'

/**
 * The one description of a configuration: types, validation, JSON Schema, the names of the environment and the
 * reference page come from it. It also takes what comes with later versions, so that one file serves all of them.
 */
export const configSchema = z.strictObject({
  $schema: z.string().describe('For editors.').optional(),
  version: z.literal(1).default(1).describe('Of this form.'),
  profiles: z
    .record(name, z.record(z.string(), z.unknown()))
    .describe('Settings that are merged over the rest when chosen; `extends` names others to start from.')
    .optional(),
  vaults,
  jobs,
  notify,
  server: server.prefault({}),
  log: log.prefault({}),
  report: report.optional(),
  update: update.prefault({}),
})

export type Config = z.output<typeof configSchema>
