/** `s3db.json`: which resources there are, and how their records are to be read. */
import { AppError } from '../../base/errors.ts'
import { isRecord } from './object-format.ts'

export interface DatabaseDescription {
  /** As it stands, to be written again with what we do not know of. */
  raw: Record<string, unknown>
  resources: Record<string, Record<string, unknown>>
}

export function parseDescription(body: Uint8Array, what = 's3db.json'): DatabaseDescription {
  let raw: unknown
  try {
    raw = JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8'))
  } catch (error) {
    throw new AppError('source.failed', `${what} is not JSON`, { cause: error })
  }
  if (!isRecord(raw) || !isRecord(raw['resources'] ?? {}))
    throw new AppError('source.failed', `${what} does not describe a database`)
  const resources: DatabaseDescription['resources'] = {}
  for (const [name, value] of Object.entries(raw['resources'] ?? {})) if (isRecord(value)) resources[name] = value
  return { raw, resources }
}

export const encodeDescription = ({ raw, resources }: DatabaseDescription): Buffer =>
  Buffer.from(JSON.stringify({ ...raw, resources }, undefined, 2), 'utf8')

/** The same with some resources only. */
export function onlyResources(
  { raw, resources }: DatabaseDescription,
  wanted: (name: string) => boolean,
): DatabaseDescription {
  return { raw, resources: Object.fromEntries(Object.entries(resources).filter(([name]) => wanted(name))) }
}

/**
 * What a database has after a restore. What it knows beyond resources stays. Of a resource that both have, `exact` takes
 * the backup's description; else versions of both are kept, as records of either may be there.
 */
export function merged(
  there: DatabaseDescription | undefined,
  backup: DatabaseDescription,
  prefer: 'there' | 'backup' | 'exact',
): DatabaseDescription {
  if (there === undefined) return backup
  const resources = { ...there.resources }
  for (const [name, resource] of Object.entries(backup.resources)) {
    const now = resources[name]
    resources[name] = now === undefined || prefer === 'exact' ? resource : withVersionsOf(now, resource, prefer)
  }
  return { raw: { ...backup.raw, ...there.raw }, resources }
}

type Resource = Record<string, unknown>

function withVersionsOf(now: Resource, backup: Resource, prefer: 'there' | 'backup'): Resource {
  const [first, second] = prefer === 'there' ? [backup, now] : [now, backup]
  const versions = { ...record(first['versions']), ...record(second['versions']) }
  const [ours, theirs] = [now['schemaRegistry'], backup['schemaRegistry']]
  // It only ever grows, so the one that holds the other can read the records of both.
  const registry = holds(ours, theirs) ? ours : holds(theirs, ours) ? theirs : second['schemaRegistry']
  return { ...second, versions, ...(registry !== undefined && { schemaRegistry: registry }) }
}

const record = (value: unknown): Record<string, unknown> => (isRecord(value) ? value : {})

/** Whether one registry gives every attribute of another the same short name. */
function holds(outer: unknown, inner: unknown): boolean {
  const [a, b] = [record(record(outer)['mapping']), record(record(inner)['mapping'])]
  return outer !== undefined && Object.entries(b).every(([name, index]) => a[name] === index)
}

/** Whether records of this resource are referred to by partitions, so that there should be references. */
export function hasPartitions(resource: Record<string, unknown>): boolean {
  const { versions, currentVersion } = resource
  const name = typeof currentVersion === 'string' ? currentVersion : 'v1'
  const version = isRecord(versions) ? versions[name] : undefined
  if (!isRecord(version)) return false
  const { partitions, timestamps } = version
  return timestamps === true || (isRecord(partitions) && Object.keys(partitions).length > 0)
}
