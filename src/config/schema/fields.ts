import * as z from 'zod'
import { parseDuration, parseSize } from '../../base/units.ts'
import { isSecret } from '../../model/secret.ts'
import type { Secret } from '../../model/settings.ts'

/** What the loader needs to know of a field beyond its type; looked up by schema instance. */
export interface Traits {
  /** Read late, never shown, also as `…File` and `…Command`. */
  secret?: true
  /** Relative ones start at the folder of the file that says them. */
  path?: true
  /** The text form of a storage: a URL or a path. */
  storageUrl?: true
}

export const traits = z.registry<Traits>()

/** A text before references are resolved, a `Secret` after; File and Command forms come with `settings`. */
export const secret = (description: string) =>
  z
    .custom<Secret>((value) => isSecret(value) || typeof value === 'string', 'must be a text; put numbers in quotes')
    .register(z.globalRegistry, { description })
    .register(traits, { secret: true })

export const path = (description: string) =>
  z.string().min(1).register(z.globalRegistry, { description }).register(traits, { path: true })

export const text = (description: string) => z.string().min(1).register(z.globalRegistry, { description })

export const texts = (description: string) => z.array(z.string().min(1)).register(z.globalRegistry, { description })

/** One text, or a list of them. */
export const oneOrMore = (description: string) =>
  z.union([z.string().min(1), z.array(z.string().min(1))]).register(z.globalRegistry, { description })

export const flag = (description: string) => z.boolean().register(z.globalRegistry, { description })

export const count = (description: string) => z.number().int().nonnegative().register(z.globalRegistry, { description })

export const port = (description: string) =>
  z.number().int().min(1).max(65_535).register(z.globalRegistry, { description })

export const duration = (description: string) =>
  z
    .string()
    .refine((value) => parses(parseDuration, value), 'must be a duration such as 30s, 5m, 12h or 7d')
    .register(z.globalRegistry, { description })

export const size = (description: string) =>
  z
    .union([
      z.number().int().nonnegative(),
      z.string().refine((value) => parses(parseSize, value), 'must be a size such as 500k, 20m or 4g'),
    ])
    .register(z.globalRegistry, { description })

/** Names stand in paths, object keys and tags. */
export const name = z
  .string()
  .regex(
    /^[^./\\\u0000-\u001f\u007f-\u009f-][^/\\\u0000-\u001f\u007f-\u009f]{0,99}$/,
    'must be a name: no slash, no leading dot or dash',
  )

/** An object that takes these keys and no others; its secrets may also be given by file or command. */
export function settings<Shape extends z.ZodRawShape>(shape: Shape): z.ZodObject<Shape, z.core.$strict> {
  const forms: Record<string, z.ZodType> = {}
  for (const [key, field] of Object.entries(shape)) {
    if (!isSecretField(field)) continue
    forms[`${key}File`] = path(`A file that holds ${key}; one newline at its end is left out.`).optional()
    forms[`${key}Command`] = oneOrMore(`A program whose output is ${key}; run without a shell.`).optional()
  }
  return z.strictObject({ ...shape, ...forms })
}

function isSecretField(field: z.core.$ZodType): boolean {
  if (traits.get(field)?.secret) return true
  return field instanceof z.ZodOptional && isSecretField(field.unwrap())
}

function parses(parse: (value: string) => number, value: string): boolean {
  try {
    parse(value)
    return true
  } catch {
    return false
  }
}
