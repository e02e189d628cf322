/** Removing what interrupted runs left: only what a dead lease names. docs/formats/archive.md §6. */
import { isAppError } from '../base/errors.ts'
import type { Storage } from '../model/storage.ts'
import type { Cancel } from '../model/vault.ts'
import type { ArchiveContext } from './context.ts'
import { readLeases } from './lease-record.ts'
import { MANIFEST_SUFFIX } from './manifest.ts'

/** What may follow the base name of a backup, beside its manifest. */
const OURS =
  /^\.(?:(?:tar|zip)(?:\.(?:gz|zst|br|zz))?(?:\.(?:enc|age))?(?:\.\d{4,})?|index\.zst(?:\.(?:enc|age))?|notes\.json)$/
const DAY_MS = 86_400_000

export interface Tidied {
  removed: number
  bytes: number
}

/** Removes the objects of a backup that has no manifest; with one it is a backup, and stays. */
export async function removeLeftovers(storage: Storage, base: string, cancel: Cancel = {}): Promise<Tidied> {
  const found: { key: string; size: number }[] = []
  for await (const { key, size } of storage.list(`${base}.`, cancel)) {
    if (key === base + MANIFEST_SUFFIX) return { removed: 0, bytes: 0 }
    if (OURS.test(key.slice(base.length))) found.push({ key, size })
  }
  for (const { key } of found) await storage.remove(key, cancel)
  return { removed: found.length, bytes: found.reduce((sum, { size }) => sum + size, 0) }
}

export async function tidyVault({ storage, clock }: ArchiveContext, cancel: Cancel): Promise<Tidied> {
  const total = { removed: 0, bytes: 0 }
  // Taken before the leases are read: who starts after that writes files that are younger.
  const now = clock.now().getTime()
  const leases = await readLeases(storage, clock, cancel)
  const busy = new Set(leases.filter(({ live }) => live).flatMap(({ record }) => record.bases))
  for (const { key, record, live } of leases) {
    // A name that a live process uses too is left to it, and so is this lease, until that one has ended.
    if (live || record.bases.some((base) => busy.has(base))) continue
    try {
      for (const base of record.bases) {
        const { removed, bytes } = await removeLeftovers(storage, base, cancel)
        total.removed += removed
        total.bytes += bytes
      }
      await storage.remove(key, cancel)
    } catch (error) {
      // Who may only add leaves it to those who may remove; what is locked goes another time.
      if (!isAppError(error, 'storage.denied', 'storage.locked')) throw error
    }
  }
  // With nobody at work, every unfinished write is a leftover; else only one that is a day old.
  const idle = leases.every(({ live }) => !live)
  const swept = await storage.sweep(new Date(now - (idle ? 0 : DAY_MS)), cancel).catch((error: unknown) => {
    if (!isAppError(error, 'storage.denied')) throw error
    return { removed: 0, bytes: 0 }
  })
  return { removed: total.removed + swept.removed, bytes: total.bytes + swept.bytes }
}
