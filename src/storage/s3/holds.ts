/** Legal holds: what is held stays, whatever its lock, until somebody ends the hold. */
import { isAppError } from '../../base/errors.ts'
import { checkKey } from '../../base/keys.ts'
import type { CallOptions, LegalHolds } from '../../model/storage.ts'
import type { Place } from './list.ts'
import { listAllVersions } from './versions.ts'

const AT_A_TIME = 8

export function legalHolds(place: Place): LegalHolds {
  const { connection, bucket, root, name } = place

  async function put(key: string, on: boolean, version: string | undefined, { signal }: CallOptions): Promise<void> {
    const tried = `${on ? 'hold' : 'end the hold of'} ${key} in ${name}`
    const LegalHold = { Status: on ? 'ON' : 'OFF' } as const
    const input = { Bucket: bucket, Key: root + key, LegalHold, ...(version !== undefined && { VersionId: version }) }
    await connection.persist(tried, signal, async (client, sdk) =>
      client.send(new sdk.PutObjectLegalHoldCommand(input), { abortSignal: signal }),
    )
  }

  return {
    async begin(key, options = {}) {
      checkKey(key)
      await put(key, true, undefined, options)
    },

    async held(key, { signal } = {}) {
      checkKey(key)
      try {
        const answer = await connection.persist(`look at the hold of ${key} in ${name}`, signal, async (client, sdk) =>
          client.send(new sdk.GetObjectLegalHoldCommand({ Bucket: bucket, Key: root + key }), { abortSignal: signal }),
        )
        return answer.LegalHold?.Status === 'ON'
      } catch (error) {
        // So says the service of what was never held.
        if (isAppError(error) && error.details['name'] === 'NoSuchObjectLockConfiguration') return false
        throw error
      }
    },

    async end(keys, needed, options = {}) {
      const active = new Set<Promise<void>>()
      let failure: { error: unknown } | undefined
      for await (const group of listAllVersions(place, '', options.signal)) {
        for (const { name: whole, id, latest, version } of group) {
          const key = whole.slice(root.length)
          if (version === undefined || needed.has(key) || (latest && !keys.has(key))) continue
          const ending: Promise<void> = put(key, false, id, options)
            .catch((error: unknown) => void (failure ??= { error }))
            .finally(() => active.delete(ending))
          active.add(ending)
          if (active.size >= AT_A_TIME) await Promise.race(active)
        }
        if (failure !== undefined) break
      }
      await Promise.all(active)
      if (failure !== undefined) throw failure.error
    },
  }
}
