import type { AppError } from '../base/errors.ts'
import type { Backup, BackupType, Proof } from './backup.ts'
import type { Entry, RestoredEntry } from './entry.ts'
import type { OnProgress } from './progress.ts'
import type { SourceReading } from './source.ts'
import type { Secret } from './settings.ts'
import type { Storage } from './storage.ts'

/**
 * A storage with a format and a key. Both formats meet this contract, so that every verb works on either.
 * Nothing here needs the catalogue: a vault tells all about itself.
 */
export interface Vault {
  readonly name: string
  readonly format: 'archive' | 'repository'
  readonly storage: Storage

  /**
   * Every committed backup, oldest first. One that lost a part is listed with `broken`; of which nothing can be read is told to
   * `onUnreadable`, and left out.
   */
  backups(options?: Cancel & { onUnreadable?: (error: AppError) => void }): Promise<Backup[]>

  /**
   * Makes a backup. It exists once this resolves, and only then; any failure or crash before leaves the vault as it was,
   * save for orphans that `tidy` removes.
   */
  backup(request: BackupRequest): Promise<BackupOutcome>

  /**
   * Makes a backup of one in another vault as it is stored there, where both store alike; undefined where they do not, and
   * nothing was done. What is here already is neither read nor stored again.
   */
  takeOver?(from: Vault, backup: Backup, options?: TakeOverOptions): Promise<Backup | undefined>

  /** The entries of a backup in path order, without content. */
  entries(id: string, options?: EntrySelection): AsyncIterable<Entry>

  /** The entries with content, in the order that reads the storage best; every byte is checked as it is read. */
  open(id: string, options?: OpenOptions): AsyncIterable<RestoredEntry>

  /** The keys of the objects with content that a restore of the whole backup reads. */
  payloads(id: string, options?: Cancel): AsyncIterable<string>

  /** The keys of all objects without which the backup cannot be restored, those that it shares included. */
  needs(id: string, options?: Cancel): AsyncIterable<string>

  /** Whether the bytes of one backup (and all it needs) are there and right. Does not stop at the first damage. */
  verify(id: string, level: 'V0' | 'V1' | 'V2', options?: Cancel & { onProgress?: OnProgress }): Promise<CheckResult>

  /** Integrity of the whole vault: what is damaged, and which backups each damage touches. */
  check(options: CheckOptions): Promise<CheckResult>

  /**
   * Removes backups in an order that a crash cannot hurt. Refuses what a kept one needs. A failure or an abort half-way
   * tells in `details.removed` what is gone already.
   */
  remove(ids: string[], options?: RemoveOptions): Promise<RemoveOutcome>

  /** Notes that may change after the fact; they live in the vault beside the backup. */
  annotate(id: string, change: BackupNotes): Promise<void>

  /** Removes what interrupted runs left, if no live process can still need it. */
  tidy(options?: Cancel): Promise<{ removed: number; bytes: number }>

  /** Logs of databases, beside the backups. */
  readonly lanes: VaultLanes

  /** Where content is cut by a polynomial: vaults with the same one cut the same content alike. It tells about content, so it is as secret. */
  readonly chunker?: bigint

  /** Where several passwords can open it. */
  readonly keys?: VaultKeys

  /** Where others may lock it: removes locks whose owners are gone, or all. Gives what it removed, in words. */
  unlock?(options: Cancel & { all: boolean }): Promise<string[]>

  /** Where damage can be mended: makes what is stored consistent again, without what is lost. */
  repair?(options: RepairOptions): Promise<RepairOutcome>

  /** Ends the vault's own resources and its storage. */
  close(): Promise<void>
}

export interface Cancel {
  signal?: AbortSignal
}

/** More is not put: whoever reads an object of a lane holds it whole, as it is stored and as it was. */
export const LANE_OBJECT_BYTES = 128 * 1024 * 1024
/** What one may have in the storage: packing and sealing make what cannot be packed larger. Older ones may be as large. */
export const LANE_STORED_BYTES = 2 * LANE_OBJECT_BYTES

/** Small immutable objects of a lane by their names, encrypted as the vault is. model/lane.ts tells what is in them. */
export interface VaultLanes {
  /** Names of the jobs that have something here. */
  jobs(options?: Cancel): Promise<string[]>
  /** In the order of names. */
  list(job: string, options?: Cancel): AsyncIterable<{ name: string; size: number }>
  /**
   * All or nothing; once it resolves it is durable. The same name again means the same content. Of more than
   * LANE_OBJECT_BYTES: `source.unsupported`.
   */
  put(job: string, name: string, bytes: Uint8Array, options?: Cancel): Promise<void>
  /** Missing: `storage.not-found`; other bytes than were written: `backup.damaged`. */
  get(job: string, name: string, options?: Cancel): Promise<Uint8Array>
  remove(job: string, name: string, options?: Cancel): Promise<void>
}

export interface EntrySelection extends Cancel {
  /** Whether to give this entry; folders on the way to a wanted entry are given too. */
  want?: (entry: Entry) => boolean
  /** Only this path and what is below it. */
  under?: string
}

export interface OpenOptions extends EntrySelection {
  /** A chunk of content is used only until another one comes, of this entry or the next: its memory may be gone then. */
  transient?: boolean
  /** With it, an entry whose content is gone is told here and left out; without, the first one rejects. */
  onUnreadable?: (error: AppError, path: string) => void
}

export interface BackupRequest extends Cancel {
  job: string
  /** The type of the source. */
  source: string
  paths: string[]
  reading: SourceReading
  /** `auto`: full first, and when the chain is broken or older than `fullEveryMs`. */
  type: BackupType | 'auto'
  fullEveryMs?: number
  tags: string[]
  host: string
  time: Date
  /**
   * Chosen by the caller, who makes the same backup in several vaults; made from type and time where absent. Taken
   * already: `usage.invalid`.
   */
  id?: string
  /** The user's own word for the type, such as `weekly-snapshot`: what {type} of the path template gives. */
  kind?: string
  /** Small facts that are kept beside the backup and listed with it; readable without a key. */
  labels?: Record<string, string>
  onProgress?: OnProgress
}

export interface TakeOverOptions extends Cancel {
  onProgress?: OnProgress
}

export interface BackupOutcome {
  backup: Backup
  filesNew: number
  filesChanged: number
  filesUnmodified: number
  filesDeleted: number
  filesMoved: number
  /** Bytes of content that are new in the vault, and what they take there. */
  dataAdded: number
  dataAddedPacked: number
}

export interface BackupNotes {
  addTags?: string[]
  removeTags?: string[]
  setTags?: string[]
  hold?: boolean
  proof?: Proof
}

export interface CheckOptions extends Cancel {
  /** Read stored bytes too, all or a random share 0…1 of the parts. */
  readData?: boolean
  readDataShare?: number
  onProgress?: OnProgress
}

export interface CheckResult {
  ok: boolean
  checked: { backups: number; objects: number; bytes: number }
  damage: Damage[]
  /** Harmless leftovers and the like. */
  notes: string[]
}

export interface Damage {
  /** The object of the storage that is missing or wrong. */
  key: string
  problem: string
  /** Ids of the backups that cannot be restored whole any more. */
  backups: string[]
  /** The first paths that are hit, and how many in all. */
  paths: string[]
  pathCount: number
}

export interface RemoveOptions extends Cancel {
  onProgress?: OnProgress
  /**
   * Of vaults whose backups share what is stored: the share, 0 to 1, that may stay although nothing needs it, and the
   * bytes that may be written anew to free what lies beside them. With one of them space is freed even without ids.
   */
  maxUnused?: number
  maxRepackBytes?: number
}

export interface RemoveOutcome {
  removed: string[]
  bytesFreed: number
}

export interface VaultKey {
  id: string
  created: Date
  user: string
  host: string
  /** It opened the vault just now. */
  current: boolean
}

/** Taking a password away does not change the key that it protected: who had both keeps the key. */
export interface VaultKeys {
  list(): Promise<VaultKey[]>
  add(password: Secret): Promise<string>
  /** In place of the one in use. */
  change(password: Secret): Promise<string>
  /** By the beginning of its id; refuses the one in use. */
  remove(prefix: string): Promise<string>
}

export interface RepairOptions extends Cancel {
  /** Read all stored bytes, to find what is damaged inside. */
  readData?: boolean
  /** Make backups that need what is lost again without it, beside the old ones or in place of them. */
  backups?: 'beside' | 'replace'
  dryRun?: boolean
  onProgress?: OnProgress
}

export interface RepairOutcome {
  changed: boolean
  problems: string[]
  /** What was, or would be, done about each of them. */
  mended: string[]
  /** Pieces of content that are lost, and the backups that need them. */
  missing: number
  backups: string[]
  /** With `backups`: what was made again, by the ids before; and what is not in it, as `ID:/path`. */
  made: Record<string, string>
  lost: string[]
}
