/** Segments of a lane in a vault. */
import { isAppError } from '../base/errors.ts'
import type { Backup } from '../model/backup.ts'
import { parsedLabel } from '../model/labels.ts'
import type { LaneBase, Segment } from '../model/lane.ts'
import type { Cancel, Vault } from '../model/vault.ts'
import { parseSegmentName, type NamedSegment } from '../policy/lane-names.ts'
import type { BaseAt } from '../policy/lane-chain.ts'
import { decodeSegment } from './segment-format.ts'

/** Names that are not ours are left alone. */
export async function readSegmentNames(vault: Vault, job: string, cancel: Cancel = {}): Promise<NamedSegment[]> {
  const found: NamedSegment[] = []
  for await (const { name, size } of vault.lanes.list(job, cancel)) {
    const info = parseSegmentName(name)
    if (info !== undefined) found.push({ ...info, name, size })
  }
  return found
}

export async function readSegment(vault: Vault, job: string, name: string, cancel: Cancel = {}): Promise<Segment> {
  const what = `the piece ${name} of the log of ${job}`
  return decodeSegment(await vault.lanes.get(job, name, cancel), what)
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
