/** A part of the configuration, as the API takes it: read and changed by paths such as `source.type`. What is not known here stays. */
export type Definition = Record<string, unknown>

export const isObject = (value: unknown): value is Definition =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

export function get(definition: Definition, path: string): unknown {
  let value: unknown = definition
  for (const key of path.split('.')) value = isObject(value) ? value[key] : undefined
  return value
}

/** A changed copy. Undefined takes the field away, and with it an object that is empty then. */
export function set(definition: Definition, path: string, value: unknown): Definition {
  const [key = '', ...rest] = path.split('.')
  const { [key]: before, ...others } = definition
  const after = rest.length === 0 ? value : set(isObject(before) ? before : {}, rest.join('.'), value)
  const gone = after === undefined || (rest.length > 0 && isObject(after) && Object.keys(after).length === 0)
  // In its old place where it had one.
  return key in definition && !gone ? { ...definition, [key]: after } : gone ? others : { ...others, [key]: after }
}

export function textAt(definition: Definition, path: string): string {
  const value = get(definition, path)
  return typeof value === 'string' || typeof value === 'number' ? String(value) : ''
}

/** A list; one text is a list of one. */
export function textsAt(definition: Definition, path: string): string[] {
  const value = get(definition, path)
  if (typeof value === 'string') return [value]
  return Array.isArray(value) ? value.filter((one): one is string => typeof one === 'string') : []
}

export function numberAt(definition: Definition, path: string): number | undefined {
  const value = get(definition, path)
  return typeof value === 'number' ? value : undefined
}

export function objectAt(definition: Definition, path: string): Definition {
  const value = get(definition, path)
  return isObject(value) ? value : {}
}

/** What the API shows in place of a secret; sent back, it stays as it is. */
export const HIDDEN = '[hidden]'
