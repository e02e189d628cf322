/**
 * What a dump contains, as `pg_restore -l -v` lists it, and what of it belongs to some tables. `pg_restore -t` alone brings
 * tables without keys, indexes, triggers, sequences and the types of their columns.
 */
import { AppError } from '../../base/errors.ts'
import { matchesAny } from '../names.ts'

export interface TocEntry {
  id: number
  kind: string
  /** Absent for what is in no schema. */
  schema?: string
  tag: string
  needs: number[]
  /** As pg_restore -L wants it back. */
  line: string
}

const RELATION = ['TABLE', 'VIEW', 'MATERIALIZED VIEW', 'FOREIGN TABLE']
/** Belongs to what it depends on. */
const BELONGS = [
  'TABLE ATTACH',
  'INDEX ATTACH',
  'FK CONSTRAINT',
  'CHECK CONSTRAINT',
  'CONSTRAINT',
  'INDEX',
  'TRIGGER',
  'RULE',
  'POLICY',
  'ROW SECURITY',
  'ACL',
  'COMMENT',
  'SECURITY LABEL',
  'DEFAULT',
  'STATISTICS',
  'SEQUENCE OWNED BY',
  'SEQUENCE SET',
  'SEQUENCE',
  'MATERIALIZED VIEW DATA',
]
/** Has to be there before. */
const BASIS = [
  'SHELL TYPE',
  'TYPE',
  'DOMAIN',
  'FUNCTION',
  'PROCEDURE',
  'AGGREGATE',
  'SCHEMA',
  'EXTENSION',
  'COLLATION',
  'OPERATOR CLASS',
  'OPERATOR FAMILY',
  'OPERATOR',
  'CAST',
  'TEXT SEARCH CONFIGURATION',
  'TEXT SEARCH DICTIONARY',
]
/** The longest first: `TABLE` begins `TABLE DATA`. */
const KINDS = [...RELATION, ...BELONGS, ...BASIS, 'TABLE DATA', 'SEQUENCE SET', 'BLOBS', 'BLOB'].sort(
  (a, b) => b.length - a.length,
)

export function parseToc(text: string): TocEntry[] {
  const entries: TocEntry[] = []
  for (const line of text.split('\n')) {
    const needs = /^;\s+depends on:([ \d]+)$/.exec(line)
    if (needs !== null) {
      entries.at(-1)?.needs.push(...(needs[1] ?? '').trim().split(/\s+/).map(Number))
      continue
    }
    const found = /^(\d+); \d+ \d+ (.*)$/.exec(line)
    if (found === null) continue
    const rest = found[2] ?? ''
    const kind = KINDS.find((each) => rest.startsWith(`${each} `)) ?? rest.split(' ')[0] ?? ''
    const words = rest.slice(kind.length + 1).split(' ')
    const schema = words[0] ?? '-'
    // The last word is the owner.
    const tag = words.slice(1, -1).join(' ')
    entries.push({ id: Number(found[1]), kind, tag, needs: [], line, ...(schema !== '-' && { schema }) })
  }
  return entries
}

export interface Part {
  entries: TocEntry[]
  /** Tables and views that were asked for, with partitions of theirs. */
  relations: { schema: string; name: string; kind: string }[]
  /** What would belong to it, and needs a table that is not in it. */
  leftOut: string[]
}

/** `there`: whether something is in the place of the restore already, and need not be made. */
export function partOf(
  toc: readonly TocEntry[],
  patterns: readonly string[],
  there: (entry: TocEntry) => boolean,
): Part {
  const byId = new Map(toc.map((entry) => [entry.id, entry]))
  const isRelation = (entry: TocEntry | undefined): boolean => entry !== undefined && RELATION.includes(entry.kind)
  const asked = new Set(
    toc.filter(
      (entry) =>
        isRelation(entry) && (matchesAny(patterns, entry.tag) || matchesAny(patterns, `${entry.schema}.${entry.tag}`)),
    ),
  )
  if (asked.size === 0)
    throw new AppError('backup.not-found', `no table of the backup is called ${patterns.join(' or ')}`, {
      hint: `There are: ${toc
        .filter(isRelation)
        .slice(0, 20)
        .map(({ schema, tag }) => `${schema}.${tag}`)
        .join(', ')}.`,
    })
  for (let before = 0; before !== asked.size;) {
    before = asked.size
    // A partition is attached to its parent by an entry that needs both.
    for (const { kind, tag, schema, needs } of toc) {
      if (kind !== 'TABLE ATTACH') continue
      const both = needs.flatMap((id) => byId.get(id) ?? [])
      const child = both.find((each) => each.tag === tag && each.schema === schema)
      if (child !== undefined && both.some((each) => each !== child && asked.has(each))) asked.add(child)
    }
  }
  const wanted = new Set(asked)
  const leftOut = new Set<string>()
  for (let before = 0; before !== wanted.size;) {
    before = wanted.size
    for (const entry of toc) {
      if (wanted.has(entry)) continue
      const needs = entry.needs.flatMap((id) => byId.get(id) ?? [])
      if (!BELONGS.includes(entry.kind) || !needs.some((need) => wanted.has(need) && !BASIS.includes(need.kind)))
        continue
      const missing = needs.find((need) => isRelation(need) && !wanted.has(need) && !there(need))
      if (missing === undefined) wanted.add(entry)
      else leftOut.add(`${entry.kind} ${entry.tag} (needs ${missing.tag})`)
    }
    for (const entry of wanted)
      for (const need of [
        ...entry.needs.flatMap((id) => byId.get(id) ?? []),
        ...toc.filter(({ kind, tag }) => kind === 'SCHEMA' && tag === entry.schema),
      ])
        if ([...BASIS, 'SEQUENCE', 'TABLE'].includes(need.kind) && !there(need)) wanted.add(need)
  }
  return {
    entries: toc.filter((entry) => wanted.has(entry)),
    relations: [...asked].map(({ schema = 'public', tag, kind }) => ({ schema, name: tag, kind })),
    leftOut: [...leftOut],
  }
}
