/**
 * Taking a lock as restic does: look, write, wait, look again; refresh it while the work goes on. What restic leaves to a
 * person we do by ourselves where there is proof: a lock is removed when its process is gone, or when nobody has
 * refreshed it for so long that its owner has given up by restic's own rule.
 */
import type { Clock } from '../base/clock.ts'
import { AppError, isAppError } from '../base/errors.ts'
import { processIdentity, processState } from '../base/process-identity.ts'
import type { Cancel } from '../model/vault.ts'
import { keyOfFile } from './ids.ts'
import { encodeLock, newLockFile, ownerOf, parseLock, type LockFile } from './lock-file.ts'
import { listFiles, type OpenRepository } from './repository.ts'
import { readUnpacked, storeUnpacked } from './unpacked.ts'

const MINUTE = 60_000
/** restic's figures. */
const REFRESH_MS = 5 * MINUTE
const STALE_MS = 30 * MINUTE
/** Who could not refresh for so long stops writing: others may take the lock for dead soon. */
const GIVE_UP_MS = STALE_MS - 1.5 * REFRESH_MS
/** Between writing our lock and the second look. */
const WAIT_MS = 200
/** A lock that restic left on this machine: its process is gone, and it has missed a refresh. */
const MISSED_MS = REFRESH_MS + MINUTE
const PATIENCE_MS = 30_000

/** Ids of locks that this process holds. */
const heldHere = new Set<string>()

export interface LockOptions extends Cancel {
  exclusive: boolean
  clock: Clock
  /** Told of each lock that was removed because its owner is gone. */
  onNote?: (message: string) => void
}

export interface RepositoryLock extends AsyncDisposable {
  /** Resolves when nobody else has taken one that forbids ours; nothing may be written before. */
  confirmed: Promise<void>
  /** Throws `vault.locked` when it could not be refreshed in time, or somebody removed it. */
  assertHeld(): void
  release(): Promise<void>
}

interface FoundLock {
  id: string
  /** Undefined when it cannot be read. */
  lock: LockFile | undefined
  modified: Date
}

export async function lockRepository(repository: OpenRepository, options: LockOptions): Promise<RepositoryLock> {
  const { clock, exclusive, signal } = options
  await refuseConflicts(repository, options)
  let id = await write(repository, options)
  let refreshed = clock.monotonic()
  let lost = false
  let last: Promise<void> = Promise.resolve()

  async function refresh(): Promise<void> {
    const before = id
    const cancel = { signal: AbortSignal.timeout(REFRESH_MS / 2) }
    if ((await repository.storage.stat(keyOfFile('locks', before), cancel)) === undefined) {
      lost = true
      return
    }
    id = await write(repository, { ...options, ...cancel })
    refreshed = clock.monotonic()
    await drop(repository, before)
  }
  const timer = setInterval(() => {
    // A failure is tried again at the next turn; assertHeld tells when it is too late.
    last = last.then(refresh).catch(() => undefined)
  }, REFRESH_MS).unref()

  async function release(): Promise<void> {
    clearInterval(timer)
    await last
    await drop(repository, id).catch(() => undefined)
    // Gone from this set it is removed by whoever comes next, also by this process.
    heldHere.delete(id)
  }

  const confirmed = (async () => {
    await clock.sleep(WAIT_MS, signal)
    await refuseConflicts(repository, options, id)
  })()
  // Whoever waits for it meets the failure.
  confirmed.catch(() => undefined)
  return {
    confirmed,
    assertHeld() {
      if (!lost && clock.monotonic() - refreshed < GIVE_UP_MS) return
      throw new AppError(
        'vault.locked',
        `the ${exclusive ? 'exclusive ' : ''}lock in ${repository.storage.name} was lost: ${lost ? 'somebody removed it' : 'it could not be refreshed'}`,
      )
    },
    release,
    [Symbol.asyncDispose]: release,
  }
}

async function write({ storage, key, config }: OpenRepository, options: LockOptions): Promise<string> {
  const { exclusive, clock, signal } = options
  const json = encodeLock(newLockFile(exclusive, clock.now()))
  const id = await storeUnpacked(storage, key, config.version, 'locks', json, signal ? { signal } : {})
  heldHere.add(id)
  return id
}

async function drop({ storage }: OpenRepository, id: string): Promise<void> {
  await storage.remove(keyOfFile('locks', id), { signal: AbortSignal.timeout(PATIENCE_MS) })
  heldHere.delete(id)
}

async function refuseConflicts(repository: OpenRepository, options: LockOptions, own?: string): Promise<void> {
  for (const found of await liveLocks(repository, options)) {
    const { id, lock } = found
    if (id === own || !(options.exclusive || lock === undefined || lock.exclusive)) continue
    if (own !== undefined) await drop(repository, own)
    throw new AppError('vault.locked', `${repository.storage.name} is locked ${textOf(found, options.clock)}`)
  }
}

/** `by process 12 of me on host for 3 minutes` */
function textOf({ lock, id }: FoundLock, clock: Clock): string {
  if (lock === undefined) return `by ${id.slice(0, 8)}, which cannot be read`
  const minutes = Math.max(0, Math.round((clock.now().getTime() - lock.time.getTime()) / MINUTE))
  return `${lock.exclusive ? 'exclusively ' : ''}by process ${lock.pid} of ${lock.username || 'somebody'} on ${lock.hostname}, refreshed ${minutes} minutes ago`
}

/** Removes locks whose owners are gone; gives how many. */
export async function removeDeadLocks(
  repository: OpenRepository,
  options: Omit<LockOptions, 'exclusive'> & { all?: boolean },
): Promise<number> {
  let removed = 0
  for await (const found of locks(repository, options)) {
    if (options.all !== true && !isDead(found, options.clock)) continue
    if (!(await dropDead(repository, found.id))) continue
    options.onNote?.(`removed a lock left ${textOf(found, options.clock)}`)
    removed += 1
  }
  return removed
}

async function liveLocks(repository: OpenRepository, options: LockOptions): Promise<FoundLock[]> {
  const live: FoundLock[] = []
  for await (const found of locks(repository, options)) {
    if (!isDead(found, options.clock)) live.push(found)
    else if (await dropDead(repository, found.id)) {
      options.onNote?.(`removed a lock whose owner is gone: ${textOf(found, options.clock)}`)
    }
  }
  return live
}

/** Who may only add leaves it there: it binds nobody. */
async function dropDead(repository: OpenRepository, id: string): Promise<boolean> {
  try {
    await drop(repository, id)
    return true
  } catch (error) {
    if (!isAppError(error, 'storage.denied', 'storage.locked')) throw error
    return false
  }
}

const TRIES = 3
const TRY_AGAIN_MS = 500

async function* locks(
  repository: OpenRepository,
  { clock, signal }: Omit<LockOptions, 'exclusive'>,
): AsyncGenerator<FoundLock> {
  const cancel = signal ? { signal } : {}
  for await (const { id, modified, size } of listFiles(repository.storage, 'locks', cancel)) {
    // A writer of the local file system that was cut off.
    if (size === 0) continue
    for (let left = TRIES; ; left -= 1) {
      try {
        const json = await readUnpacked(repository.storage, repository.key, 'locks', id, cancel)
        yield { id, modified, lock: parseLock(json, keyOfFile('locks', id)) }
      } catch (error) {
        // Released since it was listed.
        if (isAppError(error, 'storage.not-found')) break
        if (!isAppError(error, 'backup.damaged')) throw error
        if (left > 1) {
          await clock.sleep(TRY_AGAIN_MS, signal)
          continue
        }
        yield { id, modified, lock: undefined }
      }
      break
    }
  }
}

function isDead({ id, lock, modified }: FoundLock, clock: Clock): boolean {
  const written = Math.max(lock?.time.getTime() ?? 0, modified.getTime())
  const age = clock.now().getTime() - written
  if (age > STALE_MS) return true
  if (lock === undefined) return false
  const owner = ownerOf(lock)
  const here = processIdentity()
  if (
    owner.host === here.host &&
    owner.pid === here.pid &&
    owner.space === here.space &&
    owner.started === here.started
  )
    return !heldHere.has(id)
  if (processState(owner) !== 'dead') return false
  // A process of another container may have the same host name: without its boot and namespace, age has to agree.
  return owner.space !== undefined || age > MISSED_MS
}
