/**
 * Leases in the vault: who works on it, and what must be cleaned up if that process dies. A lease is also the record of
 * intent: objects are removed as leftovers only if a dead lease names them, never because they look like ours.
 * docs/formats/archive.md §6.
 */
import { utf8 } from '../base/bytes.ts'
import { AppError, isAppError } from '../base/errors.ts'
import { instanceId, processIdentity, processState, type ProcessIdentity } from '../base/process-identity.ts'
import { collect } from '../base/streams.ts'
import type { Clock } from '../base/clock.ts'
import type { Storage } from '../model/storage.ts'

export const LEASES = '.holdfast/leases/'
const TTL_MS = 5 * 60_000

export interface LeaseRecord {
  holdfast: 'lease'
  kind: 'backup' | 'remove'
  job: string
  /** Names of objects begin with one of these, if this process leaves any behind. */
  bases: string[]
  /** Ids of backups that this process reads or builds on. */
  needs: string[]
  /** Ids of backups that it removes. */
  removes: string[]
  owner: ProcessIdentity
  expires: string
}

export interface VaultLease extends AsyncDisposable {
  readonly key: string
  /** Rejects with `vault.locked` if the lease could not be renewed in time. */
  assertHeld(): void
  change(change: Partial<Pick<LeaseRecord, 'bases' | 'needs' | 'removes'>>): Promise<void>
  release(): Promise<void>
}

export async function takeLease(
  storage: Storage,
  clock: Clock,
  start: Pick<LeaseRecord, 'kind' | 'job'> & Partial<LeaseRecord>,
): Promise<VaultLease> {
  const key = `${LEASES}${start.kind}-${instanceId()}.json`
  let record: LeaseRecord = {
    holdfast: 'lease',
    bases: [],
    needs: [],
    removes: [],
    ...start,
    owner: processIdentity(),
    expires: '',
  }
  let renewed = clock.monotonic()
  let released = false

  async function store(): Promise<void> {
    record = { ...record, expires: new Date(clock.now().getTime() + TTL_MS).toISOString() }
    await storage.put(key, utf8(JSON.stringify(record)), { storageClass: 'warm' })
    renewed = clock.monotonic()
  }

  await store()
  // A failed renewal is tried again at the next tick; assertHeld tells when it is too late.
  const timer = setInterval(() => void store().catch(() => {}), TTL_MS / 5)
  timer.unref()

  const lease: VaultLease = {
    key,
    assertHeld() {
      if (clock.monotonic() - renewed < TTL_MS) return
      throw new AppError(
        'vault.locked',
        `the lease ${key} in ${storage.name} could not be renewed for ${TTL_MS / 60_000} minutes`,
      )
    },
    async change(change) {
      record = { ...record, ...change }
      await store()
    },
    async release() {
      if (released) return
      released = true
      clearInterval(timer)
      await storage.remove(key)
    },
    [Symbol.asyncDispose]: async () => lease.release(),
  }
  return lease
}

export interface FoundLease {
  key: string
  record: LeaseRecord
  live: boolean
}

/** All leases but our own. One that cannot be read is taken as live until it is old. */
export async function readLeases(storage: Storage, clock: Clock, except: string[] = []): Promise<FoundLease[]> {
  const found: FoundLease[] = []
  for await (const { key, modified } of storage.list(LEASES)) {
    if (except.includes(key)) continue
    const record = await readLease(storage, key)
    if (record === 'gone') continue
    if (record === undefined) {
      if (clock.now().getTime() - modified.getTime() > 2 * TTL_MS) await storage.remove(key)
      continue
    }
    found.push({ key, record, live: isLive(record, clock) })
  }
  return found
}

async function readLease(storage: Storage, key: string): Promise<LeaseRecord | 'gone' | undefined> {
  try {
    const value = JSON.parse(Buffer.from(await collect(storage.get(key), 1024 * 1024)).toString('utf8')) as LeaseRecord
    return value.holdfast === 'lease' && Array.isArray(value.bases) ? value : undefined
  } catch (error) {
    if (isAppError(error, 'storage.not-found')) return 'gone'
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

/** A process of this machine is asked for; one elsewhere has until its lease ran out twice over, as clocks differ. */
function isLive(record: LeaseRecord, clock: Clock): boolean {
  const state = processState(record.owner)
  if (state !== 'unknown') return state === 'alive'
  return clock.now().getTime() < Date.parse(record.expires) + TTL_MS
}

export const ownerText = ({ record }: FoundLease): string => `process ${record.owner.pid} on ${record.owner.host}`
