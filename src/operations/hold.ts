/**
 * Holds of backups. The vault's notes say that a backup is held, and no prune removes it; where the storage has legal
 * holds, the objects that it needs are held too, so that nobody removes them past Holdfast.
 */
import { isAppError, type AppError } from '../base/errors.ts'
import type { Backup } from '../model/backup.ts'
import type { LegalHolds } from '../model/storage.ts'
import type { BackupNotes, Cancel, Vault } from '../model/vault.ts'

const AT_A_TIME = 8

export interface HoldOutcome {
  /** Objects that are held now. */
  held: number
  /** These credentials may not hold, or the bucket knows no holds: the backup is held by Holdfast alone. */
  refused?: AppError
}

/** Undefined: there was nothing to do at the storage. */
export async function annotate(
  vault: Vault,
  id: string,
  change: BackupNotes,
  cancel: Cancel = {},
): Promise<HoldOutcome | undefined> {
  const holds = vault.storage.can.lock?.holds
  await vault.annotate(id, change)
  if (holds === undefined || change.hold === undefined) return undefined
  return unlessRefused(async () => {
    const mine = await keysOf(vault, [id], cancel)
    if (change.hold === true) return hold(holds, mine, cancel)
    const others = (await vault.backups(cancel)).filter((backup) => backup.hold === true && backup.id !== id)
    await holds.end(mine, await keysOf(vault, others.map(idOf), cancel), cancel)
    return 0
  })
}

/**
 * Holds what the held backups need now: a prune may have packed it anew, a change of keys or an index added to it. The lock
 * of what is new bridges the time until then.
 */
export async function keepHolds(vault: Vault, cancel: Cancel = {}): Promise<HoldOutcome | undefined> {
  const holds = vault.storage.can.lock?.holds
  if (holds === undefined) return undefined
  const held = (await vault.backups(cancel)).filter((backup) => backup.hold === true)
  if (held.length === 0) return undefined
  return unlessRefused(async () => hold(holds, await keysOf(vault, held.map(idOf), cancel), cancel))
}

export const holdTold = ({ held, refused }: HoldOutcome): string =>
  refused === undefined
    ? `${held} objects are under legal hold`
    : `the storage was not made to hold anything: ${refused.message}`

const idOf = ({ id }: Backup): string => id

async function keysOf(vault: Vault, ids: readonly string[], cancel: Cancel): Promise<Set<string>> {
  const keys = new Set<string>()
  for (const id of ids) for await (const key of vault.needs(id, cancel)) keys.add(key)
  return keys
}

async function hold(holds: LegalHolds, keys: Iterable<string>, cancel: Cancel): Promise<number> {
  const rest = keys[Symbol.iterator]()
  let count = 0
  const work = async (): Promise<void> => {
    for (let next = rest.next(); next.done !== true; next = rest.next()) {
      try {
        await holds.begin(next.value, cancel)
        count += 1
      } catch (error) {
        // Of a damaged backup what is left is held.
        if (!isAppError(error, 'storage.not-found')) throw error
      }
    }
  }
  await Promise.all(Array.from({ length: AT_A_TIME }, work))
  return count
}

async function unlessRefused(work: () => Promise<number>): Promise<HoldOutcome> {
  try {
    return { held: await work() }
  } catch (error) {
    if (!isAppError(error, 'storage.denied', 'storage.unsupported')) throw error
    return { held: 0, refused: error }
  }
}
