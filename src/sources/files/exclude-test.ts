/** What rules would leave out, each with its files and bytes: looks at names and sizes only, for a bounded time. */
import { readdirSync, statSync, lstatSync, type BigIntStats } from 'node:fs'
import { join, resolve } from 'node:path'
import { setImmediate as yieldToOthers } from 'node:timers/promises'
import { displayPath } from '../../base/paths.ts'
import type { ExcludeTest, ExcludedByRule } from '../../model/exclude-test.ts'
import type { FilesSettings } from '../../model/job.ts'
import { Exclusion, type FolderRules } from './exclusion.ts'

const EXAMPLES = 5
/** Items between two looks at the clock. */
const STEP = 500

export async function testExclusion(
  settings: FilesSettings,
  { mostMs, signal }: { mostMs: number; signal?: AbortSignal },
): Promise<ExcludeTest> {
  const exclusion = new Exclusion(settings, () => undefined)
  const rules = new Map<string, ExcludedByRule>()
  const result: ExcludeTest = { files: 0, bytes: 0, excludedFiles: 0, excludedBytes: 0, rules: [], complete: true }
  const until = performance.now() + mostMs
  let looked = 0

  /** Items to look at; `by` is the rule that left out a folder above. */
  const waiting: { path: string; rules: FolderRules | undefined; by: ExcludedByRule | undefined; only?: string[] }[] =
    []

  function take(by: ExcludedByRule | undefined, path: string, stat: BigIntStats): void {
    if (!stat.isFile()) return
    const bytes = Number(stat.size)
    if (by === undefined) {
      result.files += 1
      result.bytes += bytes
      return
    }
    result.excludedFiles += 1
    result.excludedBytes += bytes
    by.files += 1
    by.bytes += bytes
    if (by.examples.length < EXAMPLES) by.examples.push(displayPath(path))
  }

  function ruleNamed(rule: string): ExcludedByRule {
    const known = rules.get(rule) ?? { rule, files: 0, bytes: 0, examples: [] }
    rules.set(rule, known)
    return known
  }

  for (const path of settings.paths) {
    const root = resolve(path)
    const stat = statSync(root, { bigint: true, throwIfNoEntry: false })
    if (stat === undefined) continue
    if (!stat.isDirectory()) take(undefined, root, stat)
    else waiting.push({ path: root, rules: exclusion.ofRoot(root.slice(1), stat.dev), by: undefined })
  }
  for (let folder = waiting.pop(); folder !== undefined; folder = waiting.pop()) {
    const names = namesIn(folder.path)
    const inside =
      folder.rules === undefined || !folder.rules.looksInside
        ? undefined
        : exclusion.inside(folder.rules, folder.path.slice(1), folder.path, names)
    const rulesHere = inside?.rules ?? folder.rules
    for (const name of names) {
      looked += 1
      if (looked % STEP === 0) {
        await yieldToOthers()
        signal?.throwIfAborted()
        if (performance.now() > until) return finished(false)
      }
      const path = join(folder.path, name)
      const stat = lstatSync(path, { bigint: true, throwIfNoEntry: false })
      if (stat === undefined) continue
      const isFolder = stat.isDirectory()
      let { by } = folder
      if (by === undefined && inside?.only !== undefined && !inside.only.includes(name))
        by = ruleNamed(`tag ${inside.only[0]}`)
      if (by === undefined && rulesHere !== undefined) {
        const rule = exclusion.ruleAgainst(rulesHere, path.slice(1), name, isFolder, stat)
        if (rule !== undefined) by = ruleNamed(rule)
      }
      if (!isFolder) take(by, path, stat)
      else
        waiting.push({
          path,
          rules: by === undefined && rulesHere ? exclusion.below(rulesHere, path.slice(1), stat) : undefined,
          by,
        })
    }
  }
  return finished(true)

  function finished(complete: boolean): ExcludeTest {
    const all = [...rules.values()].sort((a, b) => b.bytes - a.bytes)
    return { ...result, rules: all, complete }
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}
