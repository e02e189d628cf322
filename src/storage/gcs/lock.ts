/**
 * Object retention of Google Cloud Storage: each version of an object is kept until its time. In a bucket with versioning
 * a plain removal makes the version noncurrent, which no retention refuses: see docs/decisions/0013.
 */
import { AppError, isAppError } from '../../base/errors.ts'
import { checkKey } from '../../base/keys.ts'
import { parseDuration } from '../../base/units.ts'
import type { GcsStorageSettings } from '../../model/settings.ts'
import type { CallOptions, ObjectLock, PutOptions } from '../../model/storage.ts'
import { discard } from '../http.ts'
import { holdsOf, releaseVersions, unlessKept, type LockedVersion, type LockedVersions } from '../locked-versions.ts'
import type { Client } from './client.ts'
import { field, parsed } from './errors.ts'
import { objectPath, type Retention } from './upload.ts'

type Settings = NonNullable<GcsStorageSettings['objectLock']>

/** Unlocked ones may be ended by who has `storage.objects.overrideUnlockedRetention`. */
const MODES = { governance: 'Unlocked', compliance: 'Locked' } as const

export interface GcsPlace {
  client: Client
  bucket: string
  root: string
  name: string
}

/** What an object is stored with. */
export function retentionOf(
  settings: Settings | undefined,
  lock: PutOptions['lock'],
  now: Date,
): Retention | undefined {
  if (settings === undefined || lock === false) return undefined
  const until = lock ?? new Date(now.getTime() + parseDuration(settings.for))
  return { mode: MODES[settings.mode], retainUntilTime: until.toISOString() }
}

const timeOf = (value: unknown): Date | undefined =>
  typeof value === 'string' && !Number.isNaN(Date.parse(value)) ? new Date(value) : undefined

export function objectRetention(place: GcsPlace, settings: Settings, now: () => Date): ObjectLock {
  const { client, bucket, root, name } = place
  const { calls, ask } = client
  const forMs = parseDuration(settings.for)
  const store = versionsOf(place)

  async function look(key: string, fields: string, { signal }: CallOptions): Promise<unknown> {
    checkKey(key)
    const tried = `look at the lock of ${key} in ${name}`
    return calls.persist(tried, signal, async (each) => {
      const response = await ask(tried, each, { path: objectPath(bucket, root + key), query: { fields } })
      return parsed(await response.text())
    })
  }
  const until = async (key: string, options: CallOptions = {}): Promise<Date | undefined> =>
    timeOf(field(field(await look(key, 'retention', options), 'retention'), 'retainUntilTime'))

  return {
    mode: settings.mode,
    forMs,
    until,
    holds: holdsOf(
      store,
      checkKey,
      async (key, options) => field(await look(key, 'temporaryHold', options), 'temporaryHold') === true,
    ),

    async state({ signal } = {}) {
      const tried = `look at the lock of ${name}`
      const found = await calls.persist(tried, signal, async (each) => {
        const path = `/storage/v1/b/${encodeURIComponent(bucket)}`
        return parsed(await (await ask(tried, each, { path, query: { fields: 'versioning,objectRetention' } })).text())
      })
      return {
        versions: field(field(found, 'versioning'), 'enabled') === true,
        locks: field(field(found, 'objectRetention'), 'mode') === 'Enabled',
      }
    },

    async extend(key, date, options = {}) {
      checkKey(key)
      const retention: Retention = { mode: MODES[settings.mode], retainUntilTime: date.toISOString() }
      try {
        await patch(place, `renew the lock of ${key} in ${name}`, key, { retention }, {}, options.signal)
      } catch (error) {
        // It may be locked for longer, which nobody can shorten.
        const refused = isAppError(error, 'storage.denied', 'storage.locked', 'storage.unsupported')
        const known = refused ? await until(key, options) : undefined
        if (known === undefined || known < date) throw error
      }
    },

    release: async ({ signal } = {}) => releaseVersions(store, { forMs, now: now(), signal }),
  }
}

function versionsOf(place: GcsPlace): LockedVersions {
  const { client, bucket, root, name } = place
  const { calls, ask } = client
  return {
    async *versions(signal) {
      const tried = `list the versions in ${name}`
      const fields = 'items(name,size,generation,timeCreated,timeDeleted,retention),nextPageToken'
      let pageToken: string | undefined
      do {
        const from = pageToken
        const page = await calls.persist(tried, signal, async (each) => {
          const query = { prefix: root, versions: 'true', maxResults: '1000', fields, pageToken: from }
          const path = `/storage/v1/b/${encodeURIComponent(bucket)}/o`
          return parsed(await (await ask(tried, each, { path, query })).text())
        })
        const items = field(page, 'items')
        for (const item of Array.isArray(items) ? items : []) yield versionOf(item, root)
        const next = field(page, 'nextPageToken')
        pageToken = typeof next === 'string' && next !== '' ? next : undefined
      } while (pageToken !== undefined)
    },
    remove: async (key, generation, signal) => removeVersion(place, key, generation, signal),
    async hold(key, generation, on, signal) {
      const tried = `${on ? 'hold' : 'end the hold of'} ${key} in ${name}`
      await patch(place, tried, key, { temporaryHold: on }, { generation }, signal)
    },
  }
}

function versionOf(item: unknown, root: string): LockedVersion {
  const [objectName, id] = [field(item, 'name'), field(item, 'generation')]
  if (typeof objectName !== 'string' || typeof id !== 'string')
    throw new AppError('storage.unsupported', 'the answer is not one of Google Cloud Storage')
  return {
    key: objectName.slice(root.length),
    id,
    size: Number(field(item, 'size') ?? 0),
    current: field(item, 'timeDeleted') === undefined,
    stored: timeOf(field(item, 'timeCreated')) ?? new Date(0),
    until: timeOf(field(field(item, 'retention'), 'retainUntilTime')),
  }
}

async function patch(
  { client, bucket, root }: GcsPlace,
  tried: string,
  key: string,
  change: object,
  query: Record<string, string | undefined>,
  signal: AbortSignal | undefined,
): Promise<void> {
  await client.calls.persist(tried, signal, async (each) =>
    discard(
      await client.ask(tried, each, {
        method: 'PATCH',
        path: objectPath(bucket, root + key),
        query: { ...query, fields: 'name' },
        headers: { 'content-type': 'application/json; charset=UTF-8' },
        body: Buffer.from(JSON.stringify(change)),
      }),
    ),
  )
}

async function removeVersion(
  { client, bucket, root, name }: GcsPlace,
  key: string,
  generation: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const tried = `remove an old version of ${key} from ${name}`
  await client.calls.persist(tried, signal, async (each) =>
    discard(
      await client.ask(tried, each, {
        method: 'DELETE',
        path: objectPath(bucket, root + key),
        query: { generation },
      }),
    ),
  )
}

/** Tries to destroy the newest version of an object: as it is allowed, and past an unlocked retention. */
export async function destroyed(place: GcsPlace, key: string, signal: AbortSignal | undefined): Promise<boolean> {
  checkKey(key)
  const { client, bucket, root, name } = place
  const tried = `destroy ${key} in ${name}`
  const generation = await client.calls.call(tried, signal, async (each) => {
    const query = { fields: 'generation' }
    const found = await client.ask(tried, each, { path: objectPath(bucket, root + key), query })
    return field(parsed(await found.text()), 'generation')
  })
  if (typeof generation !== 'string')
    throw new AppError('storage.unsupported', 'the answer is not one of Google Cloud Storage')
  if (await unlessKept(removeVersion(place, key, generation, signal))) return true
  const past = { generation, overrideUnlockedRetention: 'true' }
  try {
    await patch(place, tried, key, { retention: null }, past, signal)
  } catch (error) {
    if (isAppError(error, 'storage.denied', 'storage.locked', 'storage.unsupported')) return false
    throw error
  }
  return unlessKept(removeVersion(place, key, generation, signal))
}
