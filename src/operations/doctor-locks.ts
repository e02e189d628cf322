/** Proves what a vault's storage and the credentials in use keep from being destroyed, on objects of its own. */
import { randomBytes } from 'node:crypto'
import { utf8 } from '../base/bytes.ts'
import { isAppError, toAppError } from '../base/errors.ts'
import { collect } from '../base/streams.ts'
import type { PutOptions, Storage } from '../model/storage.ts'
import type { Vault } from '../model/vault.ts'
import { failed, type DoctorCheck } from './doctor-check.ts'

const SCRATCH = 'holdfast-doctor/'
/** An object that was tried stays locked for so long; a later prune removes it. */
const TRIED_MS = 60_000

const own = (what: string): string => `${SCRATCH}${what}-${randomBytes(6).toString('hex')}`

/** The same storage, without locks for what is removed again. */
export const withoutLock = (storage: Storage): Storage => ({
  ...storage,
  put: async (key, body, options: PutOptions = {}) => storage.put(key, body, { lock: false, ...options }),
})

/** Whether the other side can keep to the locks that the settings want. */
export async function checkLock(area: string, storage: Storage, signal?: AbortSignal): Promise<DoctorCheck[]> {
  const { lock } = storage.can
  if (lock === undefined) return []
  const [keeps, locks] = [
    'it keeps what is deleted or replaced (versioning)',
    'it locks objects (object lock)',
  ] as const
  try {
    const state = await lock.state(signal ? { signal } : {})
    const fix = 'turn it on for the bucket, or leave objectLock out of the settings'
    return [
      { area, name: keeps, ok: state.versions, detail: '', ...(!state.versions && { fix }) },
      { area, name: locks, ok: state.locks, detail: lock.mode, ...(!state.locks && { fix }) },
    ]
  } catch (error) {
    return [failed(area, locks, toAppError(error))]
  }
}

/** Of the objects of a held backup so many are looked at. */
const LOOKED_AT = 100

/** What is held by its notes is held by the storage too, where that knows holds. */
export async function checkHolds(area: string, vault: Vault, signal?: AbortSignal): Promise<DoctorCheck[]> {
  const holds = vault.storage.can.lock?.holds
  if (holds === undefined) return []
  const name = 'what held backups need is under legal hold'
  const cancel = signal ? { signal } : {}
  try {
    const backups = (await vault.backups(cancel)).filter(({ hold }) => hold === true)
    if (backups.length === 0) return []
    const free: string[] = []
    for (const { id } of backups) {
      let looked = 0
      for await (const key of vault.needs(id, cancel)) {
        if ((looked += 1) > LOOKED_AT) break
        if (await holds.held(key, cancel)) continue
        free.push(id)
        break
      }
    }
    const fix = `allow holds (s3:PutObjectLegalHold, storage.objects.update), then: holdfast tag ${free.join(' ')} --hold`
    if (free.length > 0) return [{ area, name, ok: false, detail: `not that of ${free.join(', ')}`, fix }]
    return [{ area, name, ok: true, detail: backups.map(({ id }) => id).join(', ') }]
  } catch (error) {
    return [failed(area, name, toAppError(error))]
  }
}

/** A locked object of its own is not to be destroyed by these credentials, nor its lock ended. */
export async function checkLocked(area: string, storage: Storage, signal?: AbortSignal): Promise<DoctorCheck> {
  const { lock, destroy } = storage.can
  const name = 'what is locked cannot be destroyed with these credentials (tried)'
  const cancel = signal ? { signal } : {}
  const key = own('locked')
  try {
    await storage.put(key, utf8('locked'), { ...cancel, lock: new Date(Date.now() + TRIED_MS) })
    const until = await lock?.until(key, cancel)
    if (until === undefined)
      return {
        area,
        name,
        ok: false,
        detail: 'it was stored without a lock',
        fix: 'turn object lock on for the bucket',
      }
    const gone = (await destroy?.(key, cancel)) ?? false
    if (!gone) await storage.remove(key, cancel).catch(() => undefined)
    if (!gone) return { area, name, ok: true, detail: `refused, ${lock?.mode}` }
    const fix =
      'take the right to end locks away from them (s3:BypassGovernanceRetention, storage.objects.overrideUnlockedRetention), or use the mode compliance'
    return { area, name, ok: false, detail: 'an object was destroyed before its time', fix }
  } catch (error) {
    return failed(area, name, toAppError(error))
  }
}

/** Credentials that are meant to add and to read only do that, and destroy nothing. */
export async function checkAppendOnly(area: string, storage: Storage, signal?: AbortSignal): Promise<DoctorCheck[]> {
  const cancel = signal ? { signal } : {}
  const key = own('append')
  const checks: DoctorCheck[] = []
  const name = 'these credentials can add, list and read'
  try {
    await storage.put(key, utf8('kept'), { ...cancel, lock: false })
    let listed = false
    for await (const object of storage.list(key, cancel)) listed ||= object.key === key
    const read = Buffer.from(await collect(storage.get(key, cancel))).toString() === 'kept'
    checks.push({ area, name, ok: listed && read, detail: key })
  } catch (error) {
    return [failed(area, name, toAppError(error))]
  }
  const cannot = 'these credentials cannot destroy what is stored (tried)'
  try {
    const gone = await destroyed(storage, key, signal)
    checks.push(
      gone
        ? { area, name: cannot, ok: false, detail: 'an object of its own was destroyed', fix: TAKE_AWAY }
        : { area, name: cannot, ok: true, detail: 'refused' },
    )
  } catch (error) {
    checks.push(failed(area, cannot, toAppError(error)))
  }
  return checks
}

const TAKE_AWAY = 'take the right to delete away from them: see the policies in docs/guides/storages.md'

async function destroyed(storage: Storage, key: string, signal: AbortSignal | undefined): Promise<boolean> {
  const cancel = signal ? { signal } : {}
  if (storage.can.destroy !== undefined) return storage.can.destroy(key, cancel)
  try {
    await storage.remove(key, cancel)
  } catch (error) {
    if (!isAppError(error, 'storage.denied', 'storage.locked')) throw error
  }
  return (await storage.stat(key, cancel)) === undefined
}
