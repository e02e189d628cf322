import type { MultipartUpload } from '@aws-sdk/client-s3'
import { AppError } from '../../base/errors.ts'
import { compareKeys } from '../../base/keys.ts'
import type { StoredObject, SweepResult } from '../../model/storage.ts'
import type { Connection } from './client.ts'

export interface Place {
  connection: Connection
  bucket: string
  /** What stands before every key in the bucket: '' or ends in `/`. */
  root: string
  /** For messages. */
  name: string
}

/** Pages of a thousand, each repeated by itself if it fails, so that a long list never starts over. */
export async function* listObjects(
  { connection, bucket, root, name }: Place,
  prefix: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<StoredObject> {
  const tried = prefix === '' ? `list ${name}` : `list ${prefix} in ${name}`
  let token: string | undefined
  let previous: string | undefined
  do {
    const page = await connection.persist(tried, signal, async (client, sdk) => {
      const input = {
        Bucket: bucket,
        Prefix: root + prefix,
        ...(token === undefined ? {} : { ContinuationToken: token }),
      }
      return await client.send(new sdk.ListObjectsV2Command(input), { abortSignal: signal })
    })
    for (const { Key, Size = 0, LastModified = new Date(0), ETag, StorageClass } of page.Contents ?? []) {
      // Some programs make empty objects that stand for folders; those are no objects of ours.
      if (Key === undefined || Key.endsWith('/')) continue
      const key = Key.slice(root.length)
      if (previous !== undefined && compareKeys(previous, key) >= 0)
        throw new AppError('storage.unsupported', `cannot ${tried}: ${key} comes after ${previous}`, {
          hint: 'Only storages that list in the byte order of the keys can be used.',
        })
      previous = key
      yield { key, size: Size, modified: LastModified, etag: ETag, storageClass: StorageClass }
    }
    token = page.IsTruncated === true ? page.NextContinuationToken : undefined
  } while (token !== undefined)
}

/** Ends the multipart uploads under the root that began before. */
export async function sweepUploads(place: Place, before: Date, signal: AbortSignal | undefined): Promise<SweepResult> {
  const result = { removed: 0, bytes: 0 }
  for await (const { Key, UploadId, Initiated } of listUploads(place, signal)) {
    if (Key === undefined || UploadId === undefined || (Initiated ?? new Date(0)) >= before) continue
    const upload = { Bucket: place.bucket, Key, UploadId }
    const bytes = await sizeOf(place, upload, signal)
    const ended = await place.connection.persist(`sweep ${place.name}`, signal, async (client, sdk) => {
      try {
        await client.send(new sdk.AbortMultipartUploadCommand(upload), { abortSignal: signal })
        return true
      } catch (error) {
        // Somebody else ended it meanwhile.
        if (error instanceof Error && error.name === 'NoSuchUpload') return false
        throw error
      }
    })
    if (!ended) continue
    result.removed += 1
    result.bytes += bytes
  }
  return result
}

async function* listUploads(
  { connection, bucket, root, name }: Place,
  signal: AbortSignal | undefined,
): AsyncGenerator<MultipartUpload> {
  let marker: { KeyMarker?: string; UploadIdMarker?: string } | undefined = {}
  while (marker !== undefined) {
    const from: { KeyMarker?: string; UploadIdMarker?: string } = marker
    const page = await connection.persist(`sweep ${name}`, signal, async (client, sdk) => {
      const input = { Bucket: bucket, Prefix: root, ...from }
      return await client.send(new sdk.ListMultipartUploadsCommand(input), { abortSignal: signal })
    })
    // Some servers ignore the prefix.
    yield* (page.Uploads ?? []).filter(({ Key }) => Key?.startsWith(root))
    marker =
      page.IsTruncated === true && page.NextKeyMarker !== undefined
        ? { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker ?? '' }
        : undefined
  }
}

/** The bytes of the first thousand parts: a figure for people. */
async function sizeOf(
  { connection, name }: Place,
  upload: { Bucket: string; Key: string; UploadId: string },
  signal: AbortSignal | undefined,
): Promise<number> {
  return connection.call(`sweep ${name}`, async (client, sdk) => {
    try {
      const { Parts = [] } = await client.send(new sdk.ListPartsCommand(upload), { abortSignal: signal })
      return Parts.reduce((sum, { Size = 0 }) => sum + Size, 0)
    } catch (error) {
      if (error instanceof Error && ['NoSuchUpload', 'AccessDenied', 'NotImplemented'].includes(error.name)) return 0
      throw error
    }
  })
}
