import type { ByteReader } from '../base/reader.ts'
import type { Entry, RestoredEntry, SourceEntry } from './entry.ts'
import type { ReportWarning } from './progress.ts'

/** What is backed up. A source is a factory's plain object; nothing is opened before `read`. */
export interface Source {
  /** `files`, `postgres`, … */
  readonly type: string
  /** For people: `/srv/uploads`, `postgres://db/shop`; holds no secret. */
  readonly name: string
  /** What identifies the data over time, such as the absolute paths: recorded with each backup. */
  readonly paths: string[]

  /** Looks without reading: reachable, readable, what will be missing and why. Rejects with a `source.…` code. */
  test(options: { signal?: AbortSignal }): Promise<SourceCheck[]>

  /** What did not change since a backup can be taken from that: `read` is given one, where there is one. */
  readonly builds?: boolean

  /** Opens one consistent view as far as the source has such a thing. Close it in any case. */
  read(options: ReadOptions): Promise<SourceReading>
}

export interface SourceCheck {
  name: string
  ok: boolean
  detail: string
  /** The exact command or setting that mends it. */
  fix?: string
  /** The database of a server that this is about. */
  database?: string
}

export interface ReadOptions {
  signal?: AbortSignal
  /** Called for each item that could not be read whole, and for what changed while it was read. */
  onWarning: ReportWarning
  /** To sources that build on one. */
  parent?: ParentBackup
}

/** A backup of the same job in the vault that this one goes to. */
export interface ParentBackup {
  readonly id: string
  /** Take what is there as of its full backup, not what came since. */
  readonly differential: boolean
  /** A full backup that is older is not built on. */
  readonly since?: Date
  entries(): AsyncIterable<Entry>
  /** The content of one of its files. */
  open(path: string): ByteReader
}

export interface SourceReading {
  /** Entries in the order of `comparePaths`, folders before what is in them, each path once. */
  entries(): AsyncIterable<SourceEntry>
  /** Most entries will be passed by without being read: told before the first is asked for. Changes nothing but the pace. */
  expectUnchanged?(): void
  /** Facts taken in the same view, such as row counts and versions; kept with the backup. Known once entries ended. */
  facts?(): Record<string, unknown>
  /** Small ones that listings show, such as names of tables: see `labels` of BackupRequest. Known once entries ended. */
  labels?(): Record<string, string>
  close(): Promise<void>
}

/** Where a restore goes. */
export interface Target {
  /** For people. */
  readonly name: string
  /**
   * Called before `write`, where a target has it: looks at what is there, writes nothing, and rejects with
   * `restore.exists` where writing would replace what must stay. `entries` gives what will be written, once more at each call.
   */
  check?(entries: () => AsyncIterable<RestoredEntry>, options: { signal?: AbortSignal }): Promise<void>
  /**
   * Entries are wanted in rounds: all that one predicate wants come before the first that only the next one wants, and
   * what none wants does not come. Absent: everything, in one round.
   */
  readonly rounds?: readonly ((entry: Entry) => boolean)[]
  /**
   * Writes entries, verified while written: an entry whose bytes differ from what was recorded rejects. Entries come in
   * stored order, which is any order; the target makes folders as needed and sets their metadata last. A chunk of
   * content is used only until another one comes.
   */
  write(entries: AsyncIterable<RestoredEntry>, options: WriteTargetOptions): Promise<RestoreOutcome>
}

export interface WriteTargetOptions {
  signal?: AbortSignal
  onWarning: ReportWarning
  /** What the target does that is no entry, such as making indexes. */
  onStep?: (what: string) => void
  /** Called with each entry once it is in place, or was left as it is. */
  onEntry?: (entry: RestoredEntry, effect: RestoreEffect) => void
  onBytes?: (bytes: number) => void
}

export type RestoreEffect = 'create' | 'replace' | 'metadata' | 'unchanged' | 'keep' | 'delete'

export interface RestoreOutcome {
  files: number
  bytes: number
  effects: Record<RestoreEffect, number>
}

/** Shows that backups of one kind of source restore, in a scratch place that it makes and removes itself. */
export interface Trial {
  run(open: OpenEntries, options: TrialOptions): Promise<TrialCheck[]>
}

export type OpenEntries = (want: (entry: Entry) => boolean) => AsyncIterable<RestoredEntry>

export interface TrialOptions {
  /** How far to go: each level needs the ones before it. */
  level: 'V3' | 'V4' | 'V5'
  /** The user's own assertions, for V5. */
  assertions: readonly string[]
  /** An empty folder; whoever gives it removes it. */
  scratchDir: string
  signal?: AbortSignal
}

export interface TrialCheck {
  level: 'V3' | 'V4' | 'V5'
  ok: boolean
  detail: string
  /** It could not be tried here: says nothing about the backup. */
  untried?: boolean
}
