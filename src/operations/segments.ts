/** Segments of a lane in a vault. */
import { concat } from '../base/bytes.ts'
import { AppError, isAppError } from '../base/errors.ts'
import { formatSize } from '../base/units.ts'
import type { Backup } from '../model/backup.ts'
import { parsedLabel } from '../model/labels.ts'
import { LARGEST_SEGMENT, type LaneBase, type Segment } from '../model/lane.ts'
import { LANE_OBJECT_BYTES, type Cancel, type Vault } from '../model/vault.ts'
import { parsePartName, parseSegmentName, partName, segmentName, type NamedSegment } from '../policy/lane-names.ts'
import type { BaseAt } from '../policy/lane-chain.ts'

/** A longer one lies in several objects. */
const PART_BYTES = LANE_OBJECT_BYTES / 2

/** Segments that are whole. Names that are not ours are left alone. */
export async function readSegmentNames(vault: Vault, job: string, cancel: Cancel = {}): Promise<NamedSegment[]> {
  return (await listSegments(vault, job, cancel)).filter(({ whole }) => whole)
}

/** Also those whose parts are not all there: storing them was broken off. */
export async function listSegments(
  vault: Vault,
  job: string,
  cancel: Cancel = {},
): Promise<(NamedSegment & { whole: boolean; objects: string[] })[]> {
  const found = new Map<string, NamedSegment & { objects: string[] }>()
  for await (const { name: object, size } of vault.lanes.list(job, cancel)) {
    const { name, of } = parsePartName(object)
    const info = parseSegmentName(name)
    if (info === undefined) continue
    const key = `${name} ${of}`
    const known = found.get(key) ?? { ...info, name, size: 0, parts: of, objects: [] }
    known.size += size
    known.objects.push(object)
    found.set(key, known)
  }
  return [...found.values()].map((one) => ({ ...one, whole: one.objects.length === one.parts }))
}

/** In every one of these vaults. Gives its name. More than can be read again is a gap. */
export async function storeSegment(
  vaults: readonly Vault[],
  job: string,
  segment: Segment,
  cancel: Cancel = {},
): Promise<string> {
  const { facts, payload } = segment
  const name = segmentName(facts)
  if (name === undefined) throw new AppError('source.unsupported', `the position ${facts.to} is too long for a name`)
  // Nobody would ever read it again; what follows it can be had with a backup that is made after it.
  if (payload.length > LARGEST_SEGMENT)
    throw new AppError(
      'lane.gap',
      `a transaction has ${formatSize(payload.length)} of log, and more than ${formatSize(LARGEST_SEGMENT)} cannot be stored`,
    )
  const { encodeSegment } = await import('./segment-format.ts')
  const bytes = encodeSegment(segment)
  const parts = Math.ceil(bytes.length / PART_BYTES)
  for (let n = 1; n <= parts; n += 1) {
    const part = bytes.subarray((n - 1) * PART_BYTES, n * PART_BYTES)
    // One vault after the other would add up their times.
    await Promise.all(vaults.map(async (vault) => vault.lanes.put(job, partName(name, n, parts), part, cancel)))
  }
  return name
}

export async function readSegment(
  vault: Vault,
  job: string,
  { name, parts }: Pick<NamedSegment, 'name' | 'parts'>,
  cancel: Cancel = {},
): Promise<Segment> {
  const objects: Uint8Array[] = []
  for (let n = 1; n <= parts; n += 1) objects.push(await vault.lanes.get(job, partName(name, n, parts), cancel))
  const { decodeSegment } = await import('./segment-format.ts')
  const what = `the piece ${name} of the log of ${job}`
  return decodeSegment(objects.length === 1 ? (objects[0] as Uint8Array) : concat(objects), what)
}

/** What is gone already is no fault. */
export async function removeSegment(
  vault: Vault,
  job: string,
  { name, parts }: Pick<NamedSegment, 'name' | 'parts'>,
  cancel: Cancel = {},
): Promise<void> {
  for (let n = 1; n <= parts; n += 1)
    await vault.lanes.remove(job, partName(name, n, parts), cancel).catch((error: unknown) => {
      if (!isGone(error)) throw error
    })
}

export const LANE_LABEL = 'lane'

/** Labels come from outside. */
export function laneOf(backup: Pick<Backup, 'labels'>): LaneBase | undefined {
  const { engine, system, from, to, time } = parsedLabel(backup.labels?.[LANE_LABEL])
  if (
    typeof engine !== 'string' ||
    typeof system !== 'string' ||
    typeof from !== 'string' ||
    typeof to !== 'string' ||
    typeof time !== 'string'
  )
    return undefined
  const at = new Date(time)
  return Number.isNaN(at.getTime()) ? undefined : { engine, system, from, to, time: at }
}

/** Backups of a job from which a log may go on. */
export function basesOf(backups: readonly Backup[], job: string): BaseAt[] {
  return backups.flatMap((backup) => {
    const lane = backup.job === job ? laneOf(backup) : undefined
    if (lane === undefined) return []
    return [
      {
        id: backup.id,
        lane: { ...lane, system: shortSystem(lane.system) },
        time: backup.time,
        ...(backup.broken !== undefined && { broken: true }),
      },
    ]
  })
}

export const shortSystem = (system: string): string => system.replaceAll(/[^0-9A-Za-z]/g, '').slice(-20)

export const isGone = (error: unknown): boolean => isAppError(error, 'storage.not-found')

/** A lane that is at work merges small pieces: what was listed a moment ago may be in another one now. */
export async function whileMerging<T>(look: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await look()
    } catch (error) {
      if (!isGone(error) || tries === 5) throw error
    }
  }
}
