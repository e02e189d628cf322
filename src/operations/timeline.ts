/** What can be restored of a job, moment by moment: from the vault alone. */
import type { LaneEvent } from '../model/lane.ts'
import type { Cancel, Vault } from '../model/vault.ts'
import { comparePositions } from '../policy/lane-positions.ts'
import { laneProofs, type LaneProof } from './lane-proofs.ts'
import { readEvents, viewLane } from './restore-point.ts'
import { whileMerging } from './segments.ts'

export interface Timeline {
  job: string
  vault: string
  engine?: string
  /** Oldest first. */
  windows: { from: Date; to: Date; fromPosition: string; toPosition: string; backups: string[] }[]
  /** Between windows. */
  gaps: { from: Date; to: Date }[]
  events: (LaneEvent & { restorable: boolean })[]
  /** Moments that were shown to restore, newest proof first. */
  proofs: LaneProof[]
  /** How long ago what is stored was the newest. */
  lagSeconds?: number
  bytes: number
  segments: number
}

const SHOWN_PROOFS = 3

export const timelineOf = async (vault: Vault, job: string, now: Date, cancel: Cancel = {}): Promise<Timeline> =>
  whileMerging(async () => look(vault, job, now, cancel))

async function look(vault: Vault, job: string, now: Date, cancel: Cancel): Promise<Timeline> {
  const view = await viewLane(vault, job, cancel)
  const none: Timeline = {
    job,
    vault: vault.name,
    windows: [],
    gaps: [],
    events: [],
    proofs: [],
    bytes: 0,
    segments: 0,
  }
  if (view === undefined) return none
  const windows = view.windows.map(({ from, to, fromPosition, toPosition, bases }) => ({
    from,
    to,
    fromPosition,
    toPosition,
    backups: bases.map(({ id }) => id),
  }))
  windows.sort((a, b) => a.from.getTime() - b.from.getTime())
  const gaps: Timeline['gaps'] = []
  let reached = windows[0]?.to
  for (const { from, to } of windows) {
    if (reached !== undefined && from > reached) gaps.push({ from: reached, to: from })
    if (reached === undefined || to > reached) reached = to
  }
  const events = (await readEvents(vault, job, view, cancel)).map((event) => ({
    ...event,
    restorable: view.windows.some(
      ({ fromPosition, toPosition }) =>
        (comparePositions(view.engine, fromPosition, event.id) ?? 1) <= 0 &&
        (comparePositions(view.engine, event.id, toPosition) ?? 1) <= 0,
    ),
  }))
  const until = view.chains.at(-1)?.until
  return {
    ...none,
    engine: view.engine,
    windows,
    gaps,
    events,
    proofs: await laneProofs(vault, job, SHOWN_PROOFS, cancel),
    ...(until && { lagSeconds: Math.max(0, (now.getTime() - until.getTime()) / 1000) }),
    bytes: view.segments.reduce((sum, { size }) => sum + size, 0),
    segments: view.segments.length,
  }
}
