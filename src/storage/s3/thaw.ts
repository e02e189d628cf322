import type { Tier } from '@aws-sdk/client-s3'
import { checkKey } from '../../base/keys.ts'
import { isAppError } from '../../base/errors.ts'
import type { CallOptions, Thaw, ThawState } from '../../model/storage.ts'
import type { Place } from './list.ts'

const TIERS: Record<Thaw['speed'], Tier> = { expedited: 'Expedited', standard: 'Standard', bulk: 'Bulk' }
/** Classes, and tiers of INTELLIGENT_TIERING, from which nothing can be read at once. */
const COLD = ['GLACIER', 'DEEP_ARCHIVE', 'ARCHIVE_ACCESS', 'DEEP_ARCHIVE_ACCESS']

export async function thaw(
  { connection, bucket, root, name }: Place,
  key: string,
  { days, speed }: Thaw,
  { signal }: CallOptions = {},
): Promise<ThawState> {
  checkKey(key)
  const tried = `ask ${name} for ${key} out of its cold storage class`
  const object = { Bucket: bucket, Key: root + key }
  const head = await connection.persist(tried, signal, async (client, sdk) =>
    client.send(new sdk.HeadObjectCommand(object), { abortSignal: signal }),
  )
  const state = head.Restore ?? ''
  if (/ongoing-request="true"/.test(state)) return 'coming'
  const cold = COLD.includes(head.ArchiveStatus ?? head.StorageClass ?? '')
  if (!cold || /ongoing-request="false"/.test(state)) return 'readable'
  // Of INTELLIGENT_TIERING it goes back for good: no days there.
  const tiering = head.StorageClass === 'INTELLIGENT_TIERING'
  const RestoreRequest = { GlacierJobParameters: { Tier: TIERS[speed] }, ...(!tiering && { Days: days }) }
  try {
    await connection.persist(tried, signal, async (client, sdk) =>
      client.send(new sdk.RestoreObjectCommand({ ...object, RestoreRequest }), { abortSignal: signal }),
    )
    return 'asked'
  } catch (error) {
    if (isAppError(error) && error.details['name'] === 'RestoreAlreadyInProgress') return 'coming'
    throw error
  }
}
