/** Pieces that several routes share. */
import * as z from 'zod'

/** A text of ISO 8601 on the wire, a date inside. */
export const time = z.codec(z.iso.datetime({ offset: true }), z.date(), {
  decode: (text) => new Date(text),
  encode: (date) => date.toISOString(),
})

export const jobName = z.string().min(1).max(100).describe('The name of a job.')
export const ofJob = z.string().max(100).describe('The name of a job; empty for work on a whole vault.')
export const vaultName = z.string().min(1).max(200).describe('The name of a vault.')
export const bytes = z.number().nonnegative().describe('Bytes.')
export const level = z.enum(['V0', 'V1', 'V2', 'V3', 'V4', 'V5']).describe('How far a backup was shown to restore.')
export const backupType = z.enum(['full', 'incremental', 'differential'])
export const runKind = z.enum(['backup', 'restore', 'verify', 'prune', 'check', 'copy'])
export const runStatus = z.enum([
  'queued',
  'running',
  'success',
  'warning',
  'failed',
  'cancelled',
  'interrupted',
  'skipped',
])
export const jobState = z.enum(['ok', 'warning', 'bad', 'unknown'])

/** Text in a query, a number inside. */
export const whole = (from: number, to: number): z.ZodCoercedNumber<string | number> =>
  z.coerce.number<string | number>().int().min(from).max(to)

export const flag = z
  .enum(['true', 'false'])
  .transform((text) => text === 'true')
  .optional()

/** What every list takes. */
export const paging = {
  cursor: z.string().max(500).optional().describe('`next` of the answer before.'),
  limit: whole(1, 500).default(50).describe('At most so many.'),
}

/** What every list answers. */
export const page = <T extends z.ZodType>(
  item: T,
): z.ZodObject<{ items: z.ZodArray<T>; next: z.ZodOptional<z.ZodString> }, z.core.$strict> =>
  z.strictObject({ items: z.array(item), next: z.string().optional().describe('The cursor of what follows.') })

export const named = z.object({ name: z.string().min(1).max(200) })
export const byId = z.object({ id: z.string().min(1).max(300) })

/** A part of the configuration, in the words of the configuration file. */
export const definition = z
  .record(z.string(), z.unknown())
  .describe('As in the configuration file. Secrets read as "[hidden]"; sent back so, they stay as they are.')

export const error = z.strictObject({
  error: z.object({
    code: z.string(),
    message: z.string(),
    hint: z.string(),
    faults: z
      .array(z.object({ key: z.string().optional(), message: z.string() }))
      .optional()
      .describe('All faults of what was sent.'),
    run: z.string().optional().describe('The run that is in the way.'),
  }),
})

export const problem = z.object({ code: z.string(), message: z.string(), hint: z.string() })

export const started = z.strictObject({ id: z.string().describe('Of the run.') })
