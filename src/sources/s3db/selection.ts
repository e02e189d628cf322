/** Which resources are meant: by name or pattern. */
import picomatch from 'picomatch'
import { AppError } from '../../base/errors.ts'
import { resourceOf } from './keys.ts'

export interface ResourceSelection {
  /** Names or patterns; all resources if absent. */
  include?: readonly string[]
  exclude?: readonly string[]
}

export interface Selected {
  /** Everything, also what belongs to no resource. */
  readonly all: boolean
  resource(name: string): boolean
  key(key: string): boolean
}

export function select({ include, exclude = [] }: ResourceSelection): Selected {
  for (const pattern of [...(include ?? []), ...exclude])
    if (typeof pattern !== 'string' || pattern === '')
      throw new AppError('config.invalid', 'the name of a resource is empty or no text')
  const wanted = include && picomatch([...include], { dot: true })
  const unwanted = exclude.length > 0 ? picomatch([...exclude], { dot: true }) : undefined
  const resource = (name: string): boolean => (wanted?.(name) ?? true) && unwanted?.(name) !== true
  return {
    all: wanted === undefined && unwanted === undefined,
    resource,
    key(key) {
      const name = resourceOf(key)
      return name === undefined ? wanted === undefined : resource(name)
    },
  }
}
