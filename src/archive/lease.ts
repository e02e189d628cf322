/**
 * Leases in the vault: who works on it, and what must be cleaned up if that process dies. A lease is also the record of
 * intent: objects are removed as leftovers only if a dead lease names them, never because they look like ours.
 * docs/formats/archive.md §6.
 */
import { utf8 } from '../base/bytes.ts'
import { AppError, isAppError } from '../base/errors.ts'
import { instanceId, processIdentity } from '../base/process-identity.ts'
import type { Clock } from '../base/clock.ts'
import type { Storage } from '../model/storage.ts'
import { heldHere, LEASES, LEASE_TTL_MS, type LeaseRecord } from './lease-record.ts'

/** How long the end of a lease may take, on a storage that does not answer. */
const PATIENCE_MS = 30_000
/** Of a write whose temporary file is taken away; each is some milliseconds in a folder, and a call elsewhere. */
const MOST_TRIES = { folder: 200, remote: 3 }

export interface VaultLease {
  readonly key: string
  /** Throws `vault.locked` if the lease could not be renewed in time. */
  assertHeld(): void
  change(change: Partial<Pick<LeaseRecord, 'bases' | 'needs' | 'removes'>>, signal?: AbortSignal): Promise<void>
  /** Nothing is left behind. Never rejects: a lease that cannot be removed is abandoned. */
  release(): Promise<void>
  /** Something is left behind: whoever comes next cleans up what it names, also while this process lives on. */
  abandon(): Promise<void>
}

export async function takeLease(
  storage: Storage,
  clock: Clock,
  start: Pick<LeaseRecord, 'kind' | 'job'> & Partial<LeaseRecord>,
  signal?: AbortSignal,
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
  let ended = false
  /** One write at a time, so that an older record never replaces a newer one, nor comes back after the removal. */
  let last: Promise<unknown> = Promise.resolve()

  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const next = last.then(work)
    last = next.catch(() => {})
    return next
  }

  async function store(cancel: AbortSignal | undefined): Promise<void> {
    record = { ...record, expires: new Date(clock.now().getTime() + LEASE_TTL_MS).toISOString() }
    const text = JSON.stringify(record)
    const options = { storageClass: 'warm', lock: false, ...(cancel && { signal: cancel }) } as const
    for (let left = storage.fileOf === undefined ? MOST_TRIES.remote : MOST_TRIES.folder; ; left -= 1) {
      try {
        await storage.put(key, utf8(text), options)
        break
      } catch (error) {
        // Until it is there nobody sees that somebody is at work: who tidies up took it for a leftover on its way.
        if (left === 1 || !isAppError(error, 'storage.not-found')) throw error
      }
    }
    renewed = clock.monotonic()
  }

  function every(work: () => Promise<void>): NodeJS.Timeout {
    // A failure is tried again at the next tick; assertHeld tells when it is too late.
    return setInterval(() => void work().catch(() => {}), LEASE_TTL_MS / 5).unref()
  }

  async function abandon(): Promise<void> {
    clearInterval(timer)
    ended = true
    heldHere.delete(key)
    record = { ...record, abandoned: true }
    const tell = async (): Promise<void> =>
      inTurn(async () => {
        const signal = AbortSignal.timeout(PATIENCE_MS)
        // Somebody may have cleaned up since: then there is nothing to tell.
        if ((await storage.stat(key, { signal })) !== undefined) await store(signal)
      })
    try {
      await tell()
    } catch {
      // Other processes still see us live, so they wait until this has worked or this process ends.
      const again = every(async () => {
        await tell()
        clearInterval(again)
      })
    }
  }

  heldHere.add(key)
  let timer: NodeJS.Timeout | undefined
  try {
    await inTurn(async () => store(signal))
  } catch (error) {
    await abandon()
    throw error
  }
  timer = every(async () => inTurn(async () => store(AbortSignal.timeout(LEASE_TTL_MS / 5))))

  return {
    key,
    assertHeld() {
      if (clock.monotonic() - renewed < LEASE_TTL_MS) return
      throw new AppError(
        'vault.locked',
        `the lease ${key} in ${storage.name} could not be renewed for ${LEASE_TTL_MS / 60_000} minutes`,
      )
    },
    async change(change, cancel) {
      await inTurn(async () => {
        record = { ...record, ...change }
        await store(cancel)
      })
    },
    async release() {
      if (ended) return
      ended = true
      clearInterval(timer)
      try {
        await inTurn(async () => storage.remove(key, { signal: AbortSignal.timeout(PATIENCE_MS) }))
        heldHere.delete(key)
      } catch {
        await abandon()
      }
    },
    async abandon() {
      if (!ended) await abandon()
    },
  }
}
