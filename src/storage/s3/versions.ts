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

/** A version of an object, or the marker of its deletion. */
export interface Entry {
  name: string
  id: string
  at: number
  latest: boolean
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
  for await (const group of listAllVersions(place, prefix, signal)) yield* chosen(group, place.root, asOf)
}

/** Of each object its versions and markers, the newest first. */
export async function* listAllVersions(
  place: Place,
  prefix: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<Entry[]> {
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
        yield latestFirst(group)
        group = []
      }
      group.push(entry)
    }
    marker =
      page.IsTruncated === true && page.NextKeyMarker !== undefined
        ? { KeyMarker: page.NextKeyMarker, VersionIdMarker: page.NextVersionIdMarker }
        : undefined
  }
  if (group.length > 0) yield latestFirst(group)
}

/** The one that counts now first, then by time; what servers tell of one second is left in their order. */
const latestFirst = (group: readonly Entry[]): Entry[] =>
  group.toSorted((a, b) => Number(b.latest) - Number(a.latest) || b.at - a.at)

/** By name, and as listed within one: the service gives versions and deletions apart, each in its order. */
function merged(versions: ObjectVersion[], markers: DeleteMarkerEntry[]): Entry[] {
  const byName = new Map<string, Entry[]>()
  const names = [...versions, ...markers].flatMap(({ Key }) => Key ?? [])
  for (const name of names.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))) byName.set(name, [])
  for (const version of versions) byName.get(version.Key ?? '')?.push({ ...entryOf(version), version })
  for (const marker of markers) byName.get(marker.Key ?? '')?.push(entryOf(marker))
  return [...byName.values()].flat()
}

const entryOf = ({
  Key = '',
  VersionId = 'null',
  LastModified,
  IsLatest,
}: ObjectVersion | DeleteMarkerEntry): Entry => ({
  name: Key,
  id: VersionId,
  at: LastModified?.getTime() ?? 0,
  latest: IsLatest === true,
})

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
