/** The figures of a backup in progress, and in the end. */
import type { BackupRequest } from '../model/vault.ts'
import type { SnapshotSummary } from './snapshot.ts'

const TICK_MS = 250

export class Progress {
  readonly files = { new: 0, changed: 0, unmodified: 0, deleted: 0 }
  readonly folders = { new: 0, changed: 0, unmodified: 0 }
  /** Files, folders and others; only files count as processed. */
  processed = 0
  bytes = 0
  warnings = 0
  readonly #request: BackupRequest
  readonly #before: SnapshotSummary | undefined
  #read = 0
  #stored = 0
  #current = ''
  #told = -Infinity

  /** `before`: of the snapshot that this one follows; by it the time that is left is estimated. */
  constructor(request: BackupRequest, before: SnapshotSummary | undefined) {
    this.#request = request
    this.#before = before
  }

  warn(code: string, message: string, path: string): void {
    this.warnings += 1
    this.#request.onProgress?.({ type: 'warning', code, message, path })
  }

  file(path: string): void {
    this.processed += 1
    this.#current = path
  }

  read(bytes: number): void {
    this.#read += bytes
    this.tick()
  }

  stored(bytes: number): void {
    this.#stored += bytes
  }

  tick(): void {
    const now = performance.now()
    if (now - this.#told < TICK_MS) return
    this.#told = now
    const counters = {
      filesDone: this.processed,
      bytesDone: this.#read,
      bytesStored: this.#stored,
      current: this.#current,
    }
    const { total_files_processed: files = 0, total_bytes_processed: bytes = 0 } = this.#before ?? {}
    const total = this.processed <= files && this.#read <= bytes ? { filesTotal: files, bytesTotal: bytes } : {}
    this.#request.onProgress?.({ type: 'progress', stage: 'backup', counters: { ...counters, ...total } })
  }
}
