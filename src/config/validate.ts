import type * as z from 'zod'
import type { Fault } from './faults.ts'
import { nearest, showPath, valueAt, type KeyPath } from './key-path.ts'
import type { Origin } from './layers.ts'
import { configSchema, type Config } from './schema.ts'
import { hasTrait, knownKeys, schemasAt } from './walk.ts'

type Issue = z.core.$ZodIssue

export interface Finding {
  path: KeyPath
  origin: Origin
  fault: Fault
}

/** Checks a tree against the schema; each finding says where it is and what was meant. */
export function validateConfig(
  tree: unknown,
  originOf: (path: KeyPath) => Origin,
): { config: Config | undefined; findings: Finding[] } {
  const result = configSchema.safeParse(tree, { jitless: true }) // used once: compiling it would take longer
  if (result.success) return { config: result.data, findings: [] }
  const findings = result.error.issues
    .flatMap((issue) => leaves(issue, [], tree))
    .flatMap(({ issue, path }) => describe(issue, path, tree, configSchema))
    .map(({ path, ...fault }): Finding => {
      const origin = originOf(path)
      const { file, line, column } = origin
      const key = keyOf(origin, path)
      return { path, origin, fault: { file, line, column, key, ...fault } }
    })
  return { config: undefined, findings }
}

/** The key as whoever wrote it knows it. */
export const keyOf = (origin: Origin, path: KeyPath): string =>
  (origin.kind === 'env' ? origin.name : origin.key) ?? showPath(path)

interface Leaf {
  issue: Issue
  path: KeyPath
}

/** Of a union, the faults of the option that was probably meant: the one whose kind of value is there. */
function leaves(issue: Issue, above: KeyPath, tree: unknown): Leaf[] {
  const path = [...above, ...(issue.path as (string | number)[])]
  if (issue.code !== 'invalid_union' || issue.errors.length === 0) return [{ issue, path }]
  const text = typeof valueAt(tree, path) === 'string'
  const meant = issue.errors.filter((errors) => !errors.some((one) => isWrongKind(one) || isOtherWord(one, text)))
  const best = meant.sort((a, b) => weight(a) - weight(b))[0]
  if (best !== undefined) return best.flatMap((inner) => leaves(inner, path, tree))
  return [{ issue, path }]
}

const isWrongKind = (issue: Issue): boolean => issue.code === 'invalid_type' && issue.path.length === 0

/** A word was one of the options, and something that is no text stands there. */
const isOtherWord = (issue: Issue, text: boolean): boolean =>
  issue.code === 'invalid_value' && issue.path.length === 0 && !text

const weight = (errors: readonly Issue[]): number =>
  errors.reduce((sum, issue) => sum + (issue.code === 'unrecognized_keys' ? issue.keys.length : 1), 0)

function describe(
  issue: Issue,
  path: KeyPath,
  tree: unknown,
  schema: z.ZodType,
): { path: KeyPath; message: string; suggestion?: string }[] {
  if (issue.code === 'unrecognized_keys') {
    const known = knownKeys(schemasAt(schema, path, tree), valueAt(tree, path))
    return issue.keys.map((key) => ({
      path: [...path, key],
      message: 'unknown key',
      suggestion: nearest(key, known),
    }))
  }
  const value = valueAt(tree, path)
  if (value === undefined) return [{ path, message: 'is missing' }]
  if (hasTrait(schemasAt(schema, path, tree), 'secret'))
    return [{ path, message: 'must be a text; put numbers in quotes' }]
  const choices = choicesOf(issue)
  const suggestion = typeof value === 'string' && choices !== undefined ? nearest(value, choices) : undefined
  return [{ path, message: messageOf(issue, choices), suggestion }]
}

function choicesOf(issue: Issue): string[] | undefined {
  if (issue.code === 'invalid_value') return issue.values.map(String)
  if (issue.code === 'invalid_union' && 'options' in issue && Array.isArray(issue.options))
    return issue.options.map(String)
  return undefined
}

const KINDS: Record<string, string> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a group of keys',
  record: 'a group of keys',
}

function messageOf(issue: Issue, choices: string[] | undefined): string {
  if (choices !== undefined)
    return choices.length === 1 ? `must be ${choices[0]}` : `must be one of ${choices.join(', ')}`
  if (issue.message.startsWith('must')) return issue.message
  switch (issue.code) {
    case 'invalid_type':
      return `must be ${KINDS[issue.expected] ?? issue.expected}`
    case 'invalid_union':
      return `must be ${[...new Set(issue.errors.flat().filter(isWrongKind).map(kindOf))].join(' or ')}`
    case 'too_small':
      return issue.origin === 'number' || issue.origin === 'int'
        ? `must be at least ${issue.minimum}`
        : 'must not be empty'
    case 'too_big':
      return `must be at most ${issue.maximum}`
    case 'invalid_key':
      return issue.issues[0]?.message ?? 'must be a name'
    case 'custom':
      return issue.message
    default:
      return 'has a wrong form'
  }
}

const kindOf = (issue: Issue): string =>
  issue.code === 'invalid_type' ? (KINDS[issue.expected] ?? issue.expected) : ''
