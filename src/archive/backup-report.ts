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

export function backupReport(request: BackupRequest): BackupReport {
  const counters = { filesDone: 0, bytesDone: 0, bytesStored: 0, current: '' }
  let told = 0
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
      request.onProgress?.({ type: 'progress', stage: 'backup', counters: { ...counters } })
    },
  }
}
