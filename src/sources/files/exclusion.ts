import { type BigIntStats, closeSync, constants, openSync, readSync } from 'node:fs'
import { errno } from '../../base/errors.ts'
import { displayPath } from '../../base/paths.ts'
import { parseSize } from '../../base/units.ts'
import type { FilesSettings } from '../../model/job.ts'
import type { ReportWarning } from '../../model/progress.ts'
import { compilePatterns, patternsForRoot, RuleChain } from './rules.ts'

export const IGNORE_FILE = '.holdfastignore'
/** https://bford.info/cachedir/ */
const CACHEDIR_TAG = 'Signature: 8a477f597d28d172789f06886806bc55'
const IGNORE_FILE_LIMIT = 1024 * 1024

/** What holds in one folder. */
export interface FolderRules {
  /** False: nothing in it can be left out, so that nobody need ask. */
  active: boolean
  /** Its names must be looked at first, for ignore files and tags. */
  looksInside: boolean
  /** False below folders that no `include` pattern matched: an item must match one itself. */
  wanted: boolean
  /** The settings' patterns; they outrank ignore files, as git's command line does. */
  exclude: RuleChain | undefined
  include: RuleChain | undefined
  ignoreFiles: RuleChain | undefined
  device: bigint
}

interface Tag {
  name: string
  header: string
}

/** Decides what is left out, and counts it by rule. Without rules it costs nothing. */
export class Exclusion {
  readonly #settings: FilesSettings
  readonly #warn: ReportWarning
  readonly #tags: Tag[]
  readonly #largest: bigint | undefined
  /** Rule → how many items it left out; a folder with all that is in it counts as one. */
  readonly counts = new Map<string, number>()
  /** Some folders are only wanted if something in them is. */
  readonly mayHoldBack: boolean

  constructor(settings: FilesSettings, warn: ReportWarning) {
    this.#settings = settings
    this.#warn = warn
    this.#tags = (settings.excludeIfPresent ?? []).map(tagOf)
    this.#largest = settings.excludeLargerThan === undefined ? undefined : BigInt(parseSize(settings.excludeLargerThan))
    this.mayHoldBack = (settings.include ?? []).length > 0
  }

  ofRoot(path: string, device: bigint): FolderRules {
    const { exclude = [], include = [], ignoreFiles = true, oneFileSystem, excludeHidden } = this.#settings
    const chain = (patterns: readonly string[]): RuleChain | undefined => {
      const compiled = patternsForRoot(patterns, path)
      return compiled && new RuleChain(compiled, path, undefined)
    }
    const rules = { exclude: chain(exclude), include: chain(include), ignoreFiles: undefined, device }
    return {
      ...rules,
      active:
        rules.exclude !== undefined ||
        rules.include !== undefined ||
        this.#largest !== undefined ||
        oneFileSystem === true ||
        excludeHidden === true,
      looksInside: ignoreFiles || this.#tags.length > 0,
      wanted: rules.include === undefined,
    }
  }

  leavesOut(
    rules: FolderRules,
    path: string,
    name: string,
    folder: boolean,
    stat: Pick<BigIntStats, 'dev' | 'size'>,
  ): boolean {
    const rule = this.ruleAgainst(rules, path, name, folder, stat)
    if (rule !== undefined) this.#count(rule)
    return rule !== undefined
  }

  /** The rule that leaves an item out, in words; undefined when it is taken. */
  ruleAgainst(
    rules: FolderRules,
    path: string,
    name: string,
    folder: boolean,
    stat: Pick<BigIntStats, 'dev' | 'size'>,
  ): string | undefined {
    if (this.#settings.excludeHidden === true && name.startsWith('.')) return 'hidden'
    if (!folder && this.#largest !== undefined && stat.size > this.#largest) return 'larger'
    if (!folder && this.#settings.oneFileSystem === true && stat.dev !== rules.device) return 'other file system'
    const set = rules.exclude?.decide(path, folder)
    if (set?.verdict === 'excluded') return `exclude ${set.pattern}`
    if (set?.verdict !== 'included') {
      const inFile = rules.ignoreFiles?.decide(path, folder)
      if (inFile?.verdict === 'excluded') return `${IGNORE_FILE} ${inFile.pattern}`
    }
    if (folder || rules.wanted || rules.include?.decide(path, folder).verdict === 'excluded') return undefined
    return 'not included'
  }

  /** The rules in a folder that is taken; undefined when it is not to be entered. */
  below(outer: FolderRules, path: string, stat: Pick<BigIntStats, 'dev'>): FolderRules | undefined {
    if (this.#settings.oneFileSystem === true && stat.dev !== outer.device) {
      this.#count('other file system')
      return undefined
    }
    if (outer.wanted || outer.include?.decide(path, true).verdict !== 'excluded') return outer
    return { ...outer, wanted: true }
  }

  /** Looks for ignore files and tags among the names of a folder. `only`: nothing else of it is taken. */
  inside(
    rules: FolderRules,
    path: string,
    at: string | Buffer,
    names: readonly string[],
  ): { rules: FolderRules; only?: string[] } {
    for (const tag of this.#tags) {
      if (!names.includes(tag.name) || !this.#isTagged(child(at, tag.name), tag)) continue
      this.#count(`tag ${tag.name}`)
      return { rules, only: [tag.name] }
    }
    if (this.#settings.ignoreFiles === false || !names.includes(IGNORE_FILE)) return { rules }
    const lines = this.#readIgnoreFile(child(at, IGNORE_FILE), path)
    const patterns = lines && compilePatterns(lines)
    if (patterns === undefined) return { rules }
    return { rules: { ...rules, active: true, ignoreFiles: new RuleChain(patterns, path, rules.ignoreFiles) } }
  }

  #isTagged(file: string | Buffer, tag: Tag): boolean {
    if (tag.header === '') return true
    try {
      return readStart(file, Buffer.byteLength(tag.header)).toString('utf8') === tag.header
    } catch {
      return false
    }
  }

  #readIgnoreFile(file: string | Buffer, path: string): string[] | undefined {
    try {
      return readStart(file, IGNORE_FILE_LIMIT).toString('utf8').split(/\r?\n/)
    } catch (error) {
      const message = `${displayPath(`/${path}`)}/${IGNORE_FILE} cannot be read (${errno(error)}): its rules do not count`
      this.#warn({ code: 'unreadable', message, path })
      return undefined
    }
  }

  #count(rule: string): void {
    this.counts.set(rule, (this.counts.get(rule) ?? 0) + 1)
  }
}

/** `NAME` or `NAME:HEADER`. */
function tagOf(text: string): Tag {
  const colon = text.indexOf(':')
  if (colon !== -1) return { name: text.slice(0, colon), header: text.slice(colon + 1) }
  return { name: text, header: text === 'CACHEDIR.TAG' ? CACHEDIR_TAG : '' }
}

const child = (folder: string | Buffer, name: string): string | Buffer =>
  typeof folder === 'string' ? `${folder}/${name}` : Buffer.concat([folder, Buffer.from(`/${name}`)])

function readStart(file: string | Buffer, limit: number): Buffer {
  const fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW)
  try {
    const bytes = Buffer.alloc(limit)
    return bytes.subarray(0, readSync(fd, bytes, 0, limit, 0))
  } finally {
    closeSync(fd)
  }
}
