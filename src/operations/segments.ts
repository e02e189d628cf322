/** Segments of a lane in a vault. */
import { concat, EMPTY } from '../base/bytes.ts'
import { AppError, isAppError } from '../base/errors.ts'
import { heldBytes, joinedBytes } from '../base/held-bytes.ts'
import { formatSize } from '../base/units.ts'
import type { Backup } from '../model/backup.ts'
import { parsedLabel } from '../model/labels.ts'
import { HELD_BYTES, LARGEST_SEGMENT, type LaneBase, type Segment } from '../model/lane.ts'
import { LANE_OBJECT_BYTES, type Cancel, type Vault } from '../model/vault.ts'
import { parsePartName, parseSegmentName, partName, segmentName, type NamedSegment } from '../policy/lane-names.ts'
import type { BaseAt } from '../policy/lane-chain.ts'

/** A longer one lies in several objects, each of which is held several times while it is packed and sealed. */
const WHOLE_BYTES = LANE_OBJECT_BYTES / 2
const PART_BYTES = 8 * 1024 * 1024

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
  const { encodeHead } = await import('./segment-format.ts')
  const bytes = joinedBytes([await encodeHead(segment), payload])
  const size = bytes.length > WHOLE_BYTES ? PART_BYTES : WHOLE_BYTES
  const parts = Math.ceil(bytes.length / size)
  for (let n = 1; n <= parts; n += 1) {
    const part = bytes.subarray((n - 1) * size, Math.min(bytes.length, n * size))
    // One vault after the other would add up their times.
    await Promise.all(vaults.map(async (vault) => vault.lanes.put(job, partName(name, n, parts), part, cancel)))
  }
  return name
}

/** The caller closes its payload. */
export async function readSegment(
  vault: Vault,
  job: string,
  { name, parts }: Pick<NamedSegment, 'name' | 'parts'>,
  cancel: Cancel = {},
): Promise<Segment> {
  const { checked, decodeHead } = await import('./segment-format.ts')
  const what = `the piece ${name} of the log of ${job}`
  const payload = heldBytes(HELD_BYTES)
  try {
    let head: ReturnType<typeof decodeHead>
    let before: Uint8Array = EMPTY
    for (let n = 1; n <= parts; n += 1) {
      const bytes = await vault.lanes.get(job, partName(name, n, parts), cancel)
      if (head !== undefined) {
        payload.append(bytes)
        continue
      }
      before = before.length === 0 ? bytes : concat([before, bytes])
      head = decodeHead(before, what)
      if (head !== undefined) payload.append(before.subarray(head.end))
    }
    return await checked(head, payload, what)
  } catch (error) {
    payload.close()
    throw error
  }
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
