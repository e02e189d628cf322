/**
 * Object lock: every version of an object is kept from removal until its time. Plain removals only hide what is there
 * behind a marker, so they never fail for a lock; what is hidden can be read with `asOf`, and goes when its lock is over.
 */
import type { ObjectIdentifier } from '@aws-sdk/client-s3'
import { AppError, isAppError } from '../../base/errors.ts'
import { checkKey } from '../../base/keys.ts'
import { parseDuration } from '../../base/units.ts'
import type { S3StorageSettings } from '../../model/settings.ts'
import type { CallOptions, LockRelease, ObjectLock, PutOptions } from '../../model/storage.ts'
import { legalHolds } from './holds.ts'
import type { Place } from './list.ts'
import type { Upload } from './upload.ts'
import { listAllVersions, type Entry } from './versions.ts'

type Settings = NonNullable<S3StorageSettings['objectLock']>

const MODES = { governance: 'GOVERNANCE', compliance: 'COMPLIANCE' } as const
/** So many versions one request removes. */
const BATCH = 1000

/** What an object is stored with. */
export function lockHeaders(
  settings: Settings | undefined,
  lock: PutOptions['lock'],
  now: Date,
): Partial<Upload['headers']> {
  if (settings === undefined || lock === false) return {}
  const until = lock ?? new Date(now.getTime() + parseDuration(settings.for))
  return { ObjectLockMode: MODES[settings.mode], ObjectLockRetainUntilDate: until }
}

export function objectLock(place: Place, settings: Settings, now: () => Date): ObjectLock {
  const { connection, bucket, root, name } = place
  const forMs = parseDuration(settings.for)
  const mode = MODES[settings.mode]

  async function until(key: string, { signal }: CallOptions = {}): Promise<Date | undefined> {
    checkKey(key)
    const tried = `look at the lock of ${key} in ${name}`
    try {
      const head = await connection.call(tried, async (client, sdk) =>
        client.send(new sdk.HeadObjectCommand({ Bucket: bucket, Key: root + key }), { abortSignal: signal }),
      )
      return head.ObjectLockRetainUntilDate
    } catch (error) {
      // An answer to HEAD has no body that would say what is missing.
      if (!isAppError(error) || error.details['status'] !== 404) throw error
      throw new AppError('storage.not-found', `cannot ${tried}: no such object`, { cause: error })
    }
  }

  return {
    mode: settings.mode,
    forMs,
    until,
    holds: legalHolds(place),

    async state({ signal } = {}) {
      const tried = `look at the lock of ${name}`
      const versioning = await connection.persist(tried, signal, async (client, sdk) =>
        client.send(new sdk.GetBucketVersioningCommand({ Bucket: bucket }), { abortSignal: signal }),
      )
      const locks = await connection
        .persist(tried, signal, async (client, sdk) =>
          client.send(new sdk.GetObjectLockConfigurationCommand({ Bucket: bucket }), { abortSignal: signal }),
        )
        .catch((error: unknown) => {
          if (isAppError(error) && error.details['name'] === 'ObjectLockConfigurationNotFoundError') return undefined
          throw error
        })
      const enabled = locks?.ObjectLockConfiguration?.ObjectLockEnabled === 'Enabled'
      return { versions: versioning.Status === 'Enabled', locks: enabled }
    },

    async extend(key, date, { signal } = {}) {
      checkKey(key)
      const tried = `renew the lock of ${key} in ${name}`
      const extended = async (): Promise<unknown> =>
        connection.persist(tried, signal, async (client, sdk) => {
          const Retention = { Mode: mode, RetainUntilDate: date }
          const input = { Bucket: bucket, Key: root + key, Retention }
          return await client.send(new sdk.PutObjectRetentionCommand(input), { abortSignal: signal })
        })
      try {
        await extended()
      } catch (error) {
        // It may be locked for longer, which nobody can shorten.
        const known = isAppError(error, 'storage.denied') ? await until(key, { ...(signal && { signal }) }) : undefined
        if (known === undefined || known < date) throw error
      }
    },

    async release({ signal } = {}) {
      const result: LockRelease = { removed: 0, bytes: 0, left: 0, leftBytes: 0 }
      const before = now().getTime() - forMs
      let batch: Entry[] = []
      const flush = async (): Promise<void> => {
        const some = batch
        batch = []
        const refused = await removeVersions(place, some, signal)
        for (const { version, id } of some) {
          const size = version?.Size ?? 0
          if (refused.has(id)) {
            result.left += 1
            result.leftBytes += size
          } else {
            result.removed += 1
            result.bytes += size
          }
        }
      }
      for await (const group of listAllVersions(place, '', signal)) {
        const [newest, ...older] = group
        if (newest === undefined) continue
        const hidden = (newest.version === undefined ? group : older).filter(({ version }) => version !== undefined)
        const over = hidden.filter(({ at }) => at <= before)
        for (const { version } of hidden.filter((one) => !over.includes(one))) {
          result.left += 1
          result.leftBytes += version?.Size ?? 0
        }
        batch.push(...over)
        // Markers without anything below them hide nothing; before, one of them keeps the rest hidden.
        if (newest.version === undefined && hidden.length === 0 && newest.at <= before) batch.push(...group)
        if (batch.length >= BATCH) await flush()
      }
      await flush()
      return result
    },
  }
}

/** Gives the ids of those that stay. */
async function removeVersions(
  place: Place,
  entries: readonly Entry[],
  signal: AbortSignal | undefined,
): Promise<Set<string>> {
  const { connection, bucket, name } = place
  const refused = new Set<string>()
  for (let at = 0; at < entries.length; at += BATCH) {
    const Objects: ObjectIdentifier[] = entries
      .slice(at, at + BATCH)
      .map(({ name: Key, id }) => ({ Key, VersionId: id }))
    try {
      const answer = await connection.persist(`remove old versions from ${name}`, signal, async (client, sdk) =>
        client.send(new sdk.DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects } }), { abortSignal: signal }),
      )
      for (const { VersionId } of answer.Errors ?? []) if (VersionId !== undefined) refused.add(VersionId)
    } catch (error) {
      if (!isAppError(error, 'storage.denied')) throw error
      for (const { VersionId = '' } of Objects) refused.add(VersionId)
    }
  }
  return refused
}

/** Tries to destroy the newest version of an object: as it is allowed, and past governance. */
export async function destroyed(place: Place, key: string, signal: AbortSignal | undefined): Promise<boolean> {
  checkKey(key)
  const { connection, bucket, root, name } = place
  const target = { Bucket: bucket, Key: root + key }
  const tried = `destroy ${key} in ${name}`
  const { VersionId } = await connection.call(tried, async (client, sdk) =>
    client.send(new sdk.HeadObjectCommand(target), { abortSignal: signal }),
  )
  const one = { ...target, ...(VersionId !== undefined && { VersionId }) }
  for (const more of [{}, { BypassGovernanceRetention: true }]) {
    try {
      await connection.call(tried, async (client, sdk) =>
        client.send(new sdk.DeleteObjectCommand({ ...one, ...more }), { abortSignal: signal }),
      )
      return true
    } catch (error) {
      if (!isAppError(error)) throw error
      if (!isAppError(error, 'storage.denied', 'storage.unsupported', 'storage.failed')) throw error
    }
  }
  return false
}
