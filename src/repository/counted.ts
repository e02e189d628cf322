/** Counts what is asked of a storage: who pays by the request wants to know. */
import type { Storage } from '../model/storage.ts'

export interface StorageCounts {
  put: number
  get: number
  list: number
  stat: number
  remove: number
}

/** The same storage, and the counts as they grow. A list counts once, however many pages it has. */
export function counted(storage: Storage): { storage: Storage; counts: StorageCounts } {
  const counts: StorageCounts = { put: 0, get: 0, list: 0, stat: 0, remove: 0 }
  return {
    counts,
    storage: {
      ...storage,
      put(...call) {
        counts.put += 1
        return storage.put(...call)
      },
      get(...call) {
        counts.get += 1
        return storage.get(...call)
      },
      list(...call) {
        counts.list += 1
        return storage.list(...call)
      },
      stat(...call) {
        counts.stat += 1
        return storage.stat(...call)
      },
      remove(...call) {
        counts.remove += 1
        return storage.remove(...call)
      },
    },
  }
}

export const requestsText = (counts: StorageCounts): string =>
  Object.entries(counts)
    .filter(([, count]) => count > 0)
    .map(([call, count]) => `${count} ${call}`)
    .join(', ')
