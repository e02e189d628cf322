/** Locks of objects: renewed while backups need what they hold, and removed for good when they are over. */
import { toAppError } from '../base/errors.ts'
import { formatSize } from '../base/units.ts'
import type { Clock } from '../base/clock.ts'
import type { Catalogue } from '../model/catalogue.ts'
import type { LockRelease } from '../model/storage.ts'
import type { Cancel, Vault } from '../model/vault.ts'
import { holdTold, keepHolds } from './hold.ts'
import type { RunHandle } from './recorder.ts'

/**
 * What is in the vault is looked through when so large a share of a lock is over, and renewed when it is that old: so at
 * least half of a lock is always left of what a vault holds that is backed up to that often.
 */
const SHARE = 1 / 4
const AT_A_TIME = 8

interface LockDeps {
  clock: Clock
  catalogue: Pick<Catalogue, 'get' | 'set'>
}

const noteOf = (vault: Vault): string => `locks-renewed:${vault.name}`

/**
 * To be called behind a prune: what the storage lists then is what kept backups need; what they do not need is hidden,
 * and is not renewed. Gives how many objects were renewed; undefined: there was no need to look.
 */
export async function renewLocks(
  { clock, catalogue }: LockDeps,
  vault: Vault,
  { signal }: Cancel = {},
): Promise<number | undefined> {
  const { lock } = vault.storage.can
  if (lock === undefined) return undefined
  const now = clock.now()
  const old = now.getTime() - lock.forMs * SHARE
  const last = Date.parse(catalogue.get(noteOf(vault)) ?? '')
  if (last > old) return undefined
  const until = new Date(now.getTime() + lock.forMs)
  const cancel = signal ? { signal } : {}
  let renewed = 0
  const active = new Set<Promise<void>>()
  let failure: { error: unknown } | undefined
  for await (const { key, modified } of vault.storage.list('', cancel)) {
    if (modified.getTime() > old) continue
    const work: Promise<void> = lock
      .extend(key, until, cancel)
      .then(() => void (renewed += 1))
      .catch((error: unknown) => void (failure ??= { error }))
      .finally(() => active.delete(work))
    active.add(work)
    if (active.size >= AT_A_TIME) await Promise.race(active)
    if (failure !== undefined) break
  }
  await Promise.all(active)
  if (failure !== undefined) throw failure.error
  catalogue.set(noteOf(vault), now.toISOString())
  return renewed
}

/** Who is told: mostly a run. */
export type LockWatch = Pick<RunHandle, 'log' | 'onWarning'> & { signal: AbortSignal | undefined }

/** Both, told in the run; a failure is a warning: the backup that was made stands. */
export async function keepLocks(deps: LockDeps, vault: Vault, handle: LockWatch): Promise<LockRelease | undefined> {
  const { lock } = vault.storage.can
  if (lock === undefined) return undefined
  const cancel = handle.signal ? { signal: handle.signal } : {}
  try {
    const renewed = await renewLocks(deps, vault, cancel)
    if (renewed !== undefined) {
      handle.log('info', `renewed the locks of ${renewed} objects`)
      const kept = await keepHolds(vault, cancel)
      if (kept) handle.log('info', holdTold(kept))
    }
    const released = await lock.release(cancel)
    handle.log('info', toldOf(released))
    return released
  } catch (error) {
    if (handle.signal?.aborted === true) throw error
    handle.onWarning({ code: 'lock', message: `locks could not be looked after: ${toAppError(error).message}` })
    return undefined
  }
}

export const toldOf = ({ removed, bytes, left, leftBytes }: LockRelease): string =>
  `${removed} old versions removed for good, ${formatSize(bytes)} freed; ${left} stay, ${formatSize(leftBytes)}, until their locks are over`
