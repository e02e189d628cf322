/** What a dump says about itself, as JSON among its entries. */
import type { z } from 'zod'
import { AppError } from '../base/errors.ts'

/** `kind`: what it should describe, such as `an SQLite database`. Anything else is `backup.damaged`. */
export function parseDescription<T extends z.ZodType>(
  schema: T,
  bytes: Uint8Array,
  what: string,
  kind: string,
): z.output<T> {
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(bytes).toString())
  } catch (cause) {
    throw new AppError('backup.damaged', `${what} is not JSON`, { cause })
  }
  const parsed = schema.safeParse(value, { jitless: true })
  if (parsed.success) return parsed.data
  throw new AppError('backup.damaged', `${what} does not describe ${kind}`, { cause: parsed.error })
}
