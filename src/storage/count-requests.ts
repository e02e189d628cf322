import type { Requests } from '../model/storage.ts'

/** Counts requests by what was tried with them, as the messages of drivers begin; that is how services bill them. */
export function requestCounter(): { count: (tried: string) => void; counts: () => Requests } {
  const counts: Requests = { write: 0, read: 0, list: 0, remove: 0 }
  return {
    count(tried) {
      counts[KINDS[tried.slice(0, tried.indexOf(' '))] ?? 'write'] += 1
    },
    counts: () => ({ ...counts }),
  }
}

const KINDS: Record<string, keyof Requests> = {
  store: 'write',
  abandon: 'write',
  read: 'read',
  look: 'read',
  list: 'list',
  sweep: 'list',
  remove: 'remove',
}
