import ignore from 'ignore'
import { isUnder } from '../../base/paths.ts'

/** Patterns with the meaning that .gitignore files give them, for the paths below one folder. */
export interface Patterns {
  /** Decides about a path relative to the folder; `folder` says that it is one. */
  decide(path: string, folder: boolean): Decision
}

export interface Decision {
  verdict: 'excluded' | 'included' | 'none'
  /** The pattern that excludes. */
  pattern?: string
}

const NONE: Decision = { verdict: 'none' }
const INCLUDED: Decision = { verdict: 'included' }

/** `ignore` remembers every path that it saw; a fresh one now and then keeps memory flat. */
const TESTS_PER_MATCHER = 20_000

/** `ignore` refuses names that look like `.` and `..` steps but are not: no entry is called so. */
export function compilePatterns(lines: readonly string[]): Patterns | undefined {
  const used = lines.filter((line) => line.trim() !== '' && !line.startsWith('#'))
  if (used.length === 0) return undefined
  const make = (): ReturnType<typeof ignore> => ignore({ ignorecase: false }).add([...used])
  let matcher = make()
  let tests = 0
  return {
    decide(path, folder) {
      tests += 1
      if (tests % TESTS_PER_MATCHER === 0) matcher = make()
      const result = matcher.test(folder ? `${path}/` : path)
      if (result.ignored) return { verdict: 'excluded', pattern: result.rule?.pattern ?? '' }
      return result.unignored ? INCLUDED : NONE
    },
  }
}

/**
 * The exclude or include patterns of the settings, for one root. They are relative to the root: `/a` is `a` directly
 * in it, `a/b` too, `a` is any `a`. A pattern that is an absolute path and reaches below the root means that path.
 */
export function patternsForRoot(patterns: readonly string[], root: string): Patterns | undefined {
  return compilePatterns(patterns.flatMap((pattern) => belowRoot(pattern, root) ?? [pattern]))
}

/** `!/srv/uploads/cache/` seen from `srv/uploads` → `!/cache/`; undefined when it does not lead below the root. */
function belowRoot(pattern: string, root: string): string[] | undefined {
  const sign = pattern.startsWith('!') ? '!' : ''
  const absolute = pattern.slice(sign.length)
  if (!absolute.startsWith('/') || root === '') return undefined
  const body = absolute.slice(1)
  if (body.replace(/\/$/, '') === root) return [`${sign}/**`]
  if (isUnder(body, root)) return [sign + body.slice(root.length)]
  const parts = body.split('/')
  const above = root.split('/')
  for (const [at, name] of above.entries()) {
    const part = parts[at]
    if (part === '**') return [pattern, `${sign}${parts.slice(at).join('/')}`]
    if (part === undefined || !globOf(part).test(name)) return undefined
  }
  const rest = parts.slice(above.length)
  return rest.length === 0 || rest.join('') === '' ? [pattern] : [pattern, `${sign}/${rest.join('/')}`]
}

/** One path component with `*` and `?`, as a regular expression. */
const globOf = (part: string): RegExp =>
  new RegExp(
    `^${part
      .replaceAll(/[.+^${}()|[\]\\]/g, String.raw`\$&`)
      .replaceAll('*', '[^/]*')
      .replaceAll('?', '[^/]')}$`,
    'su',
  )

/** A chain of pattern sets, each for a folder and all below; the innermost that says something decides, as in git. */
export class RuleChain {
  readonly #patterns: Patterns
  readonly #start: number
  readonly #outer: RuleChain | undefined

  /** `folder` is the entry path that the patterns are relative to. */
  constructor(patterns: Patterns, folder: string, outer: RuleChain | undefined) {
    this.#patterns = patterns
    this.#start = folder === '' ? 0 : folder.length + 1
    this.#outer = outer
  }

  decide(path: string, folder: boolean): Decision {
    const decision = this.#patterns.decide(path.slice(this.#start), folder)
    return decision.verdict === 'none' && this.#outer !== undefined ? this.#outer.decide(path, folder) : decision
  }
}
