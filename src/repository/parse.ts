/** JSON from a repository: whatever it says, what leaves here has the type that it claims. */
import { AppError } from '../base/errors.ts'
import { textOf, type Bytes } from '../base/bytes.ts'

export type JsonObject = Readonly<Record<string, unknown>>

export function damaged(what: string, problem: string, cause?: unknown): AppError {
  return new AppError('backup.damaged', `${what} cannot be read: ${problem}`, { cause })
}

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

export function parseObject(bytes: Bytes | string, what: string): JsonObject {
  let value: unknown
  try {
    value = JSON.parse(typeof bytes === 'string' ? bytes : textOf(bytes))
  } catch (error) {
    throw damaged(what, 'it is no JSON', error)
  }
  if (!isObject(value)) throw damaged(what, 'it is no JSON object')
  return value
}

export const textIn = (object: JsonObject, name: string): string | undefined => {
  const value = object[name]
  return typeof value === 'string' ? value : undefined
}

/** A whole number from 0 to 2^53. */
export const countIn = (object: JsonObject, name: string): number | undefined => {
  const value = object[name]
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined
}

export const textsIn = (object: JsonObject, name: string): string[] | undefined => {
  const value = object[name]
  return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : undefined
}
