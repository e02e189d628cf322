/**
 * Immutability policies of blob versions: each version is kept until its time. With versioning a plain removal makes the
 * current version a previous one, which no policy refuses: see docs/decisions/0013.
 */
import type { BlobClient, BlobImmutabilityPolicy, BlockBlobClient, ContainerClient } from '@azure/storage-blob'
import { parseDuration } from '../../base/units.ts'
import type { AzureStorageSettings } from '../../model/settings.ts'
import type { ObjectLock, PutOptions } from '../../model/storage.ts'
import type { Calls } from '../calls.ts'
import { asPermanent } from '../replayed-put.ts'
import { azureError, statusOf } from './errors.ts'
import { holdsOf, releaseVersions, unlessKept, type LockedVersions } from '../locked-versions.ts'

type Settings = NonNullable<AzureStorageSettings['objectLock']>

/** Unlocked ones may be ended by who may change policies. */
const MODES = { governance: 'Unlocked', compliance: 'Locked' } as const

export interface AzurePlace {
  calls: Calls
  container: () => Promise<ContainerClient>
  root: string
  name: string
  checkKey: (key: string) => void
}

/** What a blob is stored with; Azure counts whole seconds. */
export function policyOf(
  settings: Settings | undefined,
  lock: PutOptions['lock'],
  now: Date,
): BlobImmutabilityPolicy | undefined {
  if (settings === undefined || lock === false) return undefined
  return policyUntil(settings, lock ?? new Date(now.getTime() + parseDuration(settings.for)))
}

const policyUntil = ({ mode }: Settings, until: Date): BlobImmutabilityPolicy => ({
  expiriesOn: new Date(Math.ceil(until.getTime() / 1000) * 1000),
  policyMode: MODES[mode],
})

export function immutability(place: AzurePlace, settings: Settings, now: () => Date): ObjectLock {
  const { calls, container, root, name, checkKey } = place
  const forMs = parseDuration(settings.for)
  const store = versionsOf(place)
  const blobOf = async (key: string): Promise<BlockBlobClient> => (await container()).getBlockBlobClient(root + key)

  const until: ObjectLock['until'] = async (key, { signal } = {}) => {
    checkKey(key)
    const found = await calls.persist(`look at the lock of ${key} in ${name}`, signal, async (abortSignal) =>
      (await blobOf(key)).getProperties({ abortSignal }),
    )
    return found.immutabilityPolicyExpiresOn
  }

  return {
    mode: settings.mode,
    forMs,
    until,
    holds: holdsOf(store, checkKey, async (key, { signal }) =>
      calls.persist(`look at the hold of ${key} in ${name}`, signal, async (abortSignal) => {
        const found = await (await blobOf(key)).getProperties({ abortSignal })
        return found.legalHold === true
      }),
    ),

    async state({ signal } = {}) {
      const found = await calls.persist(`look at the lock of ${name}`, signal, async (abortSignal) =>
        (await container()).getProperties({ abortSignal }),
      )
      // It is not to be had without versions.
      const on = found.isImmutableStorageWithVersioningEnabled === true
      return { versions: on, locks: on }
    },

    async extend(key, date, { signal } = {}) {
      checkKey(key)
      const tried = `renew the lock of ${key} in ${name}`
      await calls.persist(tried, signal, async (abortSignal) => {
        const blob = await blobOf(key)
        try {
          await blob.setImmutabilityPolicy(policyUntil(settings, date), { abortSignal })
        } catch (error) {
          if (![400, 403, 409, 412].includes(statusOf(error) ?? 0)) throw error
          // It may be locked for longer, which nobody can shorten.
          const { immutabilityPolicyExpiresOn: known } = await blob.getProperties({ abortSignal })
          if (known === undefined || known < date) throw asPermanent(azureError(error, tried))
        }
      })
    },

    release: async ({ signal } = {}) => releaseVersions(store, { forMs, now: now(), signal }),
  }
}

function versionsOf({ calls, container, root, name }: AzurePlace): LockedVersions {
  const versionOf = async (key: string, id: string): Promise<BlobClient> =>
    (await container()).getBlockBlobClient(root + key).withVersion(id)
  return {
    async *versions(signal) {
      let token: string | undefined = ''
      while (token !== undefined) {
        const from: string = token
        const page = await calls.persist(`list the versions in ${name}`, signal, async (abortSignal) => {
          const pages = (await container())
            .listBlobsFlat({ prefix: root, includeVersions: true, includeImmutabilityPolicy: true, abortSignal })
            .byPage({ maxPageSize: 1000, ...(from !== '' && { continuationToken: from }) })
          const next = await pages.next()
          return next.done === true ? undefined : next.value
        })
        for (const { name: blob, versionId = '', isCurrentVersion, properties } of page?.segment.blobItems ?? [])
          yield {
            key: blob.slice(root.length),
            id: versionId,
            size: properties.contentLength ?? 0,
            current: isCurrentVersion === true || versionId === '',
            stored: properties.createdOn ?? properties.lastModified,
            until: properties.immutabilityPolicyExpiresOn,
          }
        token =
          page?.continuationToken === undefined || page.continuationToken === '' ? undefined : page.continuationToken
      }
    },
    async remove(key, id, signal) {
      await calls.persist(`remove an old version of ${key} from ${name}`, signal, async (abortSignal) =>
        (await versionOf(key, id)).delete({ abortSignal }),
      )
    },
    async hold(key, id, on, signal) {
      const tried = `${on ? 'hold' : 'end the hold of'} ${key} in ${name}`
      await calls.persist(tried, signal, async (abortSignal) => {
        const blob = id === undefined ? (await container()).getBlockBlobClient(root + key) : await versionOf(key, id)
        await blob.setLegalHold(on, { abortSignal })
      })
    },
  }
}

/** Tries to destroy a blob: hides it, as the current version is not removed by itself, then removes that version, also past an unlocked policy. */
export async function destroyed(place: AzurePlace, key: string, signal: AbortSignal | undefined): Promise<boolean> {
  const { calls, container, root, name, checkKey } = place
  checkKey(key)
  const tried = `destroy ${key} in ${name}`
  const blob = async (): Promise<BlockBlobClient> => (await container()).getBlockBlobClient(root + key)
  const { versionId } = await calls.call(tried, signal, async (abortSignal) =>
    (await blob()).getProperties({ abortSignal }),
  )
  const hide = calls.call(tried, signal, async (abortSignal) => void (await (await blob()).delete({ abortSignal })))
  if (!(await unlessKept(hide))) return false
  if (versionId === undefined) return true
  const version = async (): Promise<BlobClient> => (await blob()).withVersion(versionId)
  const remove = async (): Promise<boolean> =>
    unlessKept(calls.call(tried, signal, async (abortSignal) => void (await (await version()).delete({ abortSignal }))))
  if (await remove()) return true
  const past = calls.call(
    tried,
    signal,
    async (abortSignal) => void (await (await version()).deleteImmutabilityPolicy({ abortSignal })),
  )
  return (await unlessKept(past)) && (await remove())
}
