/** A versioned bucket as it was at a moment: what was deleted or replaced later is there, what came later is not. */
import type {
  DeleteMarkerEntry,
  ListObjectVersionsCommandInput,
  ListObjectVersionsCommandOutput,
  ObjectVersion,
} from '@aws-sdk/client-s3'
import type { StoredObject } from '../../model/storage.ts'
import type { Place } from './list.ts'

/** An object and the version of it that counts. */
export interface Versioned extends StoredObject {
  versionId: string
}

type Marker = Pick<ListObjectVersionsCommandInput, 'KeyMarker' | 'VersionIdMarker'>

interface Entry {
  name: string
  at: number
  /** Undefined: it was deleted. */
  version?: ObjectVersion
}

/** In the order of the bucket, which is that of the keys. */
export async function* listVersions(
  place: Place,
  prefix: string,
  asOf: Date,
  signal: AbortSignal | undefined,
): AsyncGenerator<Versioned> {
  const { connection, bucket, root, name } = place
  const tried = `list the versions in ${name}`
  let marker: Marker | undefined = {}
  let group: Entry[] = []
  while (marker !== undefined) {
    const from: Marker = marker
    const page: ListObjectVersionsCommandOutput = await connection.persist(tried, signal, async (client, sdk) => {
      const input = { Bucket: bucket, Prefix: root + prefix, ...from }
      return await client.send(new sdk.ListObjectVersionsCommand(input), { abortSignal: signal })
    })
    for (const entry of merged(page.Versions ?? [], page.DeleteMarkers ?? [])) {
      if (group[0] !== undefined && group[0].name !== entry.name) {
        yield* chosen(group, root, asOf)
        group = []
      }
      group.push(entry)
    }
    marker =
      page.IsTruncated === true && page.NextKeyMarker !== undefined
        ? { KeyMarker: page.NextKeyMarker, VersionIdMarker: page.NextVersionIdMarker }
        : undefined
  }
  yield* chosen(group, root, asOf)
}

/** By name, and as listed within one: the service gives versions and deletions apart, each in its order. */
function merged(versions: ObjectVersion[], markers: DeleteMarkerEntry[]): Entry[] {
  const byName = new Map<string, Entry[]>()
  const names = [...versions, ...markers].flatMap(({ Key }) => Key ?? [])
  for (const name of names.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))) byName.set(name, [])
  for (const version of versions)
    byName.get(version.Key ?? '')?.push({ name: version.Key ?? '', at: version.LastModified?.getTime() ?? 0, version })
  for (const { Key = '', LastModified } of markers)
    byName.get(Key)?.push({ name: Key, at: LastModified?.getTime() ?? 0 })
  return [...byName.values()].flat()
}

/** The newest that is not later; of one second rather what is there than that it is not. */
function* chosen(group: readonly Entry[], root: string, asOf: Date): Generator<Versioned> {
  const [newest] = group.filter(({ at }) => at <= asOf.getTime()).sort((a, b) => b.at - a.at)
  const { name, version } = newest ?? {}
  if (name === undefined || version?.VersionId === undefined || name.endsWith('/')) return
  yield {
    key: name.slice(root.length),
    size: version.Size ?? 0,
    modified: version.LastModified ?? new Date(0),
    versionId: version.VersionId,
    ...(version.ETag !== undefined && { etag: version.ETag }),
    ...(version.StorageClass !== undefined && { storageClass: version.StorageClass }),
  }
}
