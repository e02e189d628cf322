/** The figures of a backup in progress. */
import type { BackupRequest } from '../model/vault.ts'

export interface BackupReport {
  stage(stage: 'backup' | 'commit', detail?: string): void
  stored(bytes: number): void
  file(path: string): void
  read(bytes: number): void
  tick(): void
}

const TICK_MS = 250

/** `before`: what the job's last backup had, by which the time that is left is estimated until it proves too small. */
export function backupReport(request: BackupRequest, before?: { files: number; bytes: number }): BackupReport {
  const counters = { filesDone: 0, bytesDone: 0, bytesStored: 0, current: '' }
  const estimate = (): { filesTotal?: number; bytesTotal?: number } =>
    before !== undefined && counters.bytesDone <= before.bytes && counters.filesDone <= before.files
      ? { filesTotal: before.files, bytesTotal: before.bytes }
      : {}
  let told = -Infinity
  return {
    stage: (stage, detail) => request.onProgress?.({ type: 'stage', stage, ...(detail !== undefined && { detail }) }),
    stored(bytes) {
      counters.bytesStored += bytes
    },
    file(path) {
      counters.filesDone += 1
      counters.current = path
    },
    read(bytes) {
      counters.bytesDone += bytes
    },
    tick() {
      const now = performance.now()
      if (now - told < TICK_MS) return
      told = now
      request.onProgress?.({ type: 'progress', stage: 'backup', counters: { ...counters, ...estimate() } })
    },
  }
}
