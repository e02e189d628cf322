import type { Bytes } from '../base/bytes.ts'

/**
 * Where bytes lie: a flat space of immutable objects under `/`-separated keys. The same contract for a folder, a
 * bucket, and for wrappers (retry, limit, cache, mirror). The suite in `testing/storage-suite.ts` holds every
 * driver to each sentence here.
 *
 * Failures reject with an AppError whose code begins with `storage.`; only those marked retryable may be tried again.
 */
export interface Storage {
  /** For messages, such as `s3://bucket/prefix`; holds no secret. */
  readonly name: string
  /** What this driver can do beyond the required, as data. An absent ability rejects with `storage.unsupported`. */
  readonly can: StorageAbilities

  /**
   * Stores `body` under `key`, all or nothing: until it resolves, and after any failure or crash, readers see what
   * was there before. Resolves when the bytes are durable. Replaces, unless `ifAbsent`: then it rejects with
   * `storage.exists` when the key is taken (atomically where `can.conditionalCreate`, else by looking first).
   * A stream of unknown length is stored in bounded memory, and is read at most once. A chunk of it is used only until
   * the next one is asked for: its memory may then hold other bytes. What is kept longer has to be copied.
   */
  put(key: string, body: Bytes | AsyncIterable<Bytes>, options?: PutOptions): Promise<StoredObject>

  /**
   * The bytes, or those of `range`. Missing: `storage.not-found`. A body that ends early: `storage.truncated`, as does
   * a range that reaches past the end. The error arrives when the stream is read.
   */
  get(key: string, options?: GetOptions): AsyncIterable<Bytes>

  /**
   * Where objects are files of this machine: the path of one, so that threads can read it themselves. It may be missing.
   * Absent where what is read has to pass through `get`, such as a limited or remote storage.
   */
  fileOf?(key: string): string

  /** Undefined when there is no such object. */
  stat(key: string, options?: CallOptions): Promise<StoredObject | undefined>

  /** Every object whose key starts with `prefix`, in byte order of the keys, in constant memory. */
  list(prefix: string, options?: CallOptions): AsyncIterable<StoredObject>

  /** Removes; a missing object is no error. */
  remove(key: string, options?: CallOptions): Promise<void>

  /** Ends what interrupted writes left behind (temporary files, unfinished uploads) if older than `before`. */
  sweep(before: Date, options?: CallOptions): Promise<SweepResult>

  close(): Promise<void>
}

export interface StorageAbilities {
  /** `put` with `ifAbsent` is atomic between any two writers. */
  conditionalCreate: boolean
  /** Objects can be given storage classes. */
  storageClasses: boolean
  /** Bytes are checked by the other side as they arrive. */
  serverChecksums: boolean
  /** Characters that keys may not hold here: such a key is refused with `storage.invalid`. */
  refusedInKeys?: string
  /** Requests that this driver has sent so far, for those over a network that bill or bound them. */
  requests?: () => Requests
  /** Where objects are locked against removal. */
  lock?: ObjectLock
  /**
   * Tries to remove an object for good, by all that these credentials may; gives whether it is gone. Where it is absent,
   * `remove` is all that there is.
   */
  destroy?: (key: string, options?: CallOptions) => Promise<boolean>
  /** Asks for an object that lies where it cannot be read at once to be made readable for some days. */
  thaw?: (key: string, how: Thaw, options?: CallOptions) => Promise<ThawState>
  /** Free and total space, where the other side tells them. */
  space?: () => Promise<{ free: number; total: number } | undefined>
}

export interface Thaw {
  days: number
  /** How soon, which costs the more. */
  speed: 'expedited' | 'standard' | 'bulk'
}

/** It can be read; it was asked for now; it was before, and comes. */
export type ThawState = 'readable' | 'asked' | 'coming'

/**
 * Objects are locked when they are stored. `remove` and `put` work all the same: what was there stays, hidden, until its
 * lock is over and longer.
 */
export interface ObjectLock {
  /** `governance`: who has a special permission may end it; `compliance`: nobody. */
  readonly mode: 'governance' | 'compliance'
  /** For so long what is stored or renewed now. */
  readonly forMs: number
  /** Whether the other side can keep to it. */
  state(options?: CallOptions): Promise<{ versions: boolean; locks: boolean }>
  /** Undefined: it is not locked. Missing: `storage.not-found`. */
  until(key: string, options?: CallOptions): Promise<Date | undefined>
  /** Locks what is there now until then; a lock that is longer stays. */
  extend(key: string, until: Date, options?: CallOptions): Promise<void>
  /** Removes for good what is hidden and whose lock is over, as far as these credentials may. */
  release(options?: CallOptions): Promise<LockRelease>
  /** Absent where the other side knows no holds. */
  readonly holds?: LegalHolds
}

/** What is held stays until the hold is ended, whatever its lock. Each call may be `storage.denied` by itself. */
export interface LegalHolds {
  /** Holds what is there now. Missing: `storage.not-found`. */
  begin(key: string, options?: CallOptions): Promise<void>
  held(key: string, options?: CallOptions): Promise<boolean>
  /** Of what is there under these keys, and of all that is hidden, save under the keys that are `needed`. */
  end(keys: ReadonlySet<string>, needed: ReadonlySet<string>, options?: CallOptions): Promise<void>
}

export interface LockRelease {
  removed: number
  bytes: number
  /** What is hidden and stays, as it is locked or these credentials may not remove it. */
  left: number
  leftBytes: number
}

/** As services bill them: what stores, what reads an object or asks for it, what lists, what removes. */
export interface Requests {
  write: number
  read: number
  list: number
  remove: number
}

export interface StoredObject {
  key: string
  size: number
  modified: Date
  /** Changes whenever the object does; compare only with others of the same storage. */
  etag?: string
  storageClass?: string
}

export interface CallOptions {
  signal?: AbortSignal
}

export interface PutOptions extends CallOptions {
  ifAbsent?: boolean
  /** Overrides the driver's configured class; metadata stays in the standard class by passing `warm`. */
  storageClass?: 'warm' | 'configured'
  /** In place of the driver's configured lock: none, for what is removed again soon, or until then. */
  lock?: false | Date
  /** Called with the count of further bytes handed to the storage. */
  onBytes?: (bytes: number) => void
}

export interface GetOptions extends CallOptions {
  /** `start` inclusive, `end` exclusive. */
  range?: { start: number; end: number }
  /** Only this very object, by its etag: another in its place rejects with a permanent `storage.truncated`. */
  etag?: string
  /** Told the etag of what was found, before its first byte, where the storage knows it. */
  onEtag?: (etag: string) => void
}

export interface SweepResult {
  removed: number
  bytes: number
}
