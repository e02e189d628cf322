/** What a lease says, and whether its owner is still at work. docs/formats/archive.md §6. */
import type { Clock } from '../base/clock.ts'
import { isAppError } from '../base/errors.ts'
import { processIdentity, processState, type ProcessIdentity } from '../base/process-identity.ts'
import { collect } from '../base/streams.ts'
import type { Storage } from '../model/storage.ts'

export const LEASES = '.holdfast/leases/'
export const LEASE_TTL_MS = 5 * 60_000

/** Keys of the leases that this process holds: one that names this process and is not here was given up. */
export const heldHere = new Set<string>()

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
  /** Its owner lives but works no more, and has left something behind. */
  abandoned?: boolean
}

export interface FoundLease {
  key: string
  record: LeaseRecord
  live: boolean
}

export interface LeaseReading {
  /** Leases that are left out: one's own. */
  except?: string
  signal?: AbortSignal | undefined
}

/** All leases but our own. One that cannot be read counts for nothing, and is removed when it is old. */
export async function readLeases(
  storage: Storage,
  clock: Clock,
  { except, signal }: LeaseReading = {},
): Promise<FoundLease[]> {
  const cancel = signal ? { signal } : {}
  const found: FoundLease[] = []
  for await (const { key, modified } of storage.list(LEASES, cancel)) {
    if (key === except) continue
    const record = await readLease(storage, key, cancel)
    if (record === 'gone') continue
    if (record === undefined) {
      if (clock.now().getTime() - modified.getTime() > 2 * LEASE_TTL_MS) await storage.remove(key, cancel)
      continue
    }
    found.push({ key, record, live: isLive(key, record, clock) })
  }
  return found
}

async function readLease(
  storage: Storage,
  key: string,
  cancel: { signal?: AbortSignal },
): Promise<LeaseRecord | 'gone' | undefined> {
  try {
    const bytes = await collect(storage.get(key, cancel), 1024 * 1024)
    return parseLease(JSON.parse(Buffer.from(bytes).toString('utf8')))
  } catch (error) {
    if (isAppError(error, 'storage.not-found')) return 'gone'
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

function parseLease(value: unknown): LeaseRecord | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { holdfast, kind, job, bases, needs, removes, owner, expires, abandoned } = value as Record<string, unknown>
  if (holdfast !== 'lease' || (kind !== 'backup' && kind !== 'remove') || typeof job !== 'string') return undefined
  if (!isNames(bases) || !isNames(needs) || !isNames(removes) || typeof expires !== 'string') return undefined
  if (typeof owner !== 'object' || owner === null) return undefined
  const { host, pid, space, started } = owner as Record<string, unknown>
  if (typeof host !== 'string' || typeof pid !== 'number' || !Number.isSafeInteger(pid) || pid <= 0) return undefined
  const identity: ProcessIdentity = { host, pid }
  if (typeof space === 'string') identity.space = space
  if (typeof started === 'string') identity.started = started
  return {
    holdfast,
    kind,
    job,
    bases,
    needs,
    removes,
    owner: identity,
    expires,
    ...(abandoned === true && { abandoned }),
  }
}

const isNames = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((name) => typeof name === 'string')

/** A process of this machine is asked for; one elsewhere has until its lease ran out twice over, as clocks differ. */
function isLive(key: string, record: LeaseRecord, clock: Clock): boolean {
  if (record.abandoned === true) return false
  const { owner } = record
  const here = processIdentity()
  const isOurs = owner.host === here.host && owner.pid === here.pid && owner.space === here.space
  if (isOurs && owner.started === here.started) return heldHere.has(key)
  const state = processState(owner)
  if (state !== 'unknown') return state === 'alive'
  return clock.now().getTime() < Date.parse(record.expires) + LEASE_TTL_MS
}

export const ownerText = ({ record }: FoundLease): string => `process ${record.owner.pid} on ${record.owner.host}`
