/** Files of `snapshots/`: what a backup is. docs/formats/repository.md §8. */
import { utf8, type Bytes } from '../base/bytes.ts'
import { goJson, goJsonString } from './go-text.ts'
import { isId } from './ids.ts'
import { countIn, damaged, isObject, parseObject, textIn, textsIn, type JsonObject } from './parse.ts'
import { parseGoTime } from './go-time.ts'

export const SUMMARY_COUNTS = [
  'files_new',
  'files_changed',
  'files_unmodified',
  'dirs_new',
  'dirs_changed',
  'dirs_unmodified',
  'data_blobs',
  'tree_blobs',
  'data_added',
  'data_added_packed',
  'total_files_processed',
  'total_bytes_processed',
] as const

export type SnapshotSummary = Record<(typeof SUMMARY_COUNTS)[number], number> & {
  backup_start: string
  backup_end: string
}

/** What Holdfast knows beyond restic, which ignores it; gone once restic rewrites the snapshot. */
export interface HoldfastFacts {
  job: string
  source: string
  warnings: number
  facts?: JsonObject
  /** See BackupRequest. */
  labels?: Record<string, string>
}

export interface Snapshot {
  /** RFC 3339 with nanoseconds. */
  time: string
  parent?: string
  tree: string
  paths: string[]
  hostname?: string
  username?: string
  uid?: number
  gid?: number
  excludes?: string[]
  tags?: string[]
  /** The id that it had first, before it was tagged or rewritten. */
  original?: string
  program_version?: string
  summary?: SnapshotSummary
  holdfast?: HoldfastFacts
  /** Keys of other programs, kept when we rewrite it. */
  others?: JsonObject
}

export interface StoredSnapshot {
  id: string
  snapshot: Snapshot
}

const KNOWN = new Set([
  'time',
  'parent',
  'tree',
  'paths',
  'hostname',
  'username',
  'uid',
  'gid',
  'excludes',
  'tags',
  'original',
  'program_version',
  'summary',
  'holdfast',
])

const texts = (name: string, values: readonly string[] | undefined): string =>
  values === undefined || values.length === 0 ? '' : `,"${name}":[${values.map(goJsonString).join(',')}]`
const text = (name: string, value: string | undefined): string =>
  value === undefined || value === '' ? '' : `,"${name}":${goJsonString(value)}`
const count = (name: string, value: number | undefined): string =>
  value === undefined || value === 0 ? '' : `,"${name}":${value}`

export function encodeSnapshot(snapshot: Snapshot): Uint8Array {
  const { summary, holdfast, others } = snapshot
  let json = `{"time":"${snapshot.time}"${text('parent', snapshot.parent)},"tree":"${snapshot.tree}"`
  json += `,"paths":[${snapshot.paths.map(goJsonString).join(',')}]`
  json += text('hostname', snapshot.hostname) + text('username', snapshot.username)
  json += count('uid', snapshot.uid) + count('gid', snapshot.gid)
  json += texts('excludes', snapshot.excludes) + texts('tags', snapshot.tags)
  json += text('original', snapshot.original) + text('program_version', snapshot.program_version)
  if (summary !== undefined) {
    const counts = SUMMARY_COUNTS.map((name) => `,"${name}":${summary[name]}`).join('')
    json += `,"summary":{"backup_start":"${summary.backup_start}","backup_end":"${summary.backup_end}"${counts}}`
  }
  if (holdfast !== undefined) json += `,"holdfast":${goJson(holdfast)}`
  for (const [name, value] of Object.entries(others ?? {})) json += `,${goJsonString(name)}:${goJson(value)}`
  return utf8(`${json}}`)
}

export function parseSnapshot(bytes: Bytes, what: string): Snapshot {
  const object = parseObject(bytes, what)
  const { tree, time, parent, original } = object
  if (!isId(tree)) throw damaged(what, 'it names no tree')
  if (typeof time !== 'string' || parseGoTime(time) === undefined) throw damaged(what, 'its time is none')
  const snapshot: Snapshot = { time, tree, paths: textsIn(object, 'paths') ?? [] }
  if (isId(parent)) snapshot.parent = parent
  if (isId(original)) snapshot.original = original
  for (const name of ['hostname', 'username', 'program_version'] as const) {
    const value = textIn(object, name)
    if (value !== undefined) snapshot[name] = value
  }
  for (const name of ['uid', 'gid'] as const) {
    const value = countIn(object, name)
    if (value !== undefined) snapshot[name] = value
  }
  for (const name of ['excludes', 'tags'] as const) {
    const values = textsIn(object, name)
    if (values !== undefined && values.length > 0) snapshot[name] = values
  }
  const summary = parseSummary(object['summary'])
  if (summary !== undefined) snapshot.summary = summary
  const own = parseOwn(object['holdfast'])
  if (own !== undefined) snapshot.holdfast = own
  const others = Object.entries(object).filter(([name]) => !KNOWN.has(name))
  if (others.length > 0) snapshot.others = Object.fromEntries(others)
  return snapshot
}

function parseSummary(value: unknown): SnapshotSummary | undefined {
  if (!isObject(value)) return undefined
  const [start, end] = [textIn(value, 'backup_start'), textIn(value, 'backup_end')]
  if (start === undefined || end === undefined) return undefined
  const counts = Object.fromEntries(SUMMARY_COUNTS.map((name) => [name, countIn(value, name) ?? 0])) as Record<
    (typeof SUMMARY_COUNTS)[number],
    number
  >
  return { backup_start: start, backup_end: end, ...counts }
}

function parseOwn(value: unknown): HoldfastFacts | undefined {
  if (!isObject(value)) return undefined
  const { facts, labels } = value
  const texts = Object.entries(isObject(labels) ? labels : {}).flatMap(([name, text]): [string, string][] =>
    typeof text === 'string' ? [[name, text]] : [],
  )
  return {
    job: textIn(value, 'job') ?? '',
    source: textIn(value, 'source') ?? 'files',
    warnings: countIn(value, 'warnings') ?? 0,
    ...(isObject(facts) && { facts }),
    ...(texts.length > 0 && { labels: Object.fromEntries(texts) }),
  }
}

/** Oldest first; of the same instant by id. */
export function byTime(a: StoredSnapshot, b: StoredSnapshot): number {
  const [x, y] = [parseGoTime(a.snapshot.time), parseGoTime(b.snapshot.time)]
  if (x !== undefined && y !== undefined && (x.s !== y.s || x.ns !== y.ns)) return x.s - y.s || x.ns - y.ns
  return a.id < b.id ? -1 : 1
}
