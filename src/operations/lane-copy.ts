/** The log of a job as it is in one vault, brought to another: so that what was copied there can be restored to a moment too. */
import type { Cancel, Vault } from '../model/vault.ts'
import { belongs, chainsOf, segmentsFrom, within } from '../policy/lane-chain.ts'
import { comparePositions } from '../policy/lane-positions.ts'
import type { NamedSegment } from '../policy/lane-names.ts'
import { partName } from '../policy/lane-names.ts'
import { viewLane } from './restore-point.ts'
import { basesOf, isGone, readSegmentNames, removeSegment, whileMerging } from './segments.ts'

export interface LaneCopied {
  segments: number
  bytes: number
}

/** What backups in `to`, or copies in the log itself, need to be brought forward. What is there already is left alone. */
export const copyLane = async (from: Vault, job: string, to: Vault, cancel: Cancel = {}): Promise<LaneCopied> => {
  const done: LaneCopied = { segments: 0, bytes: 0 }
  // Pieces that were merged meanwhile are looked for again; what was copied stays.
  await whileMerging(async () => copyOnce(from, job, to, done, cancel))
  return done
}

async function copyOnce(from: Vault, job: string, to: Vault, done: LaneCopied, cancel: Cancel): Promise<void> {
  const view = await viewLane(from, job, cancel)
  if (view === undefined) return
  const { engine, segments } = view
  const bases = basesOf(await to.backups(cancel), job)
  const there = await readSegmentNames(to, job, cancel)
  const names = new Set(there.map(({ name }) => name))
  for (const chain of chainsOf(engine, segments)) {
    const starts = [
      ...bases.filter((base) => belongs(base, chain)).map(({ lane }) => lane.from),
      ...chain.segments.filter(({ base }) => base).map((segment) => segment.from),
    ].sort((a, b) => comparePositions(engine, a, b) ?? 0)
    const [start] = starts
    if (start === undefined) continue
    const wanted = segmentsFrom(chain, start)
    // How far an idle log was looked at comes last: it makes the window longer.
    const idle = segments.filter(
      (one) =>
        one.from === one.to && one.lineage === chain.lineage && within(engine, one.from, { from: start, to: chain.to }),
    )
    for (const segment of [...wanted, ...idle]) {
      if (names.has(segment.name)) continue
      await copySegment(from, job, segment, to, cancel)
      done.segments += 1
      done.bytes += segment.size
    }
    await removeMerged(to, job, engine, there, wanted, cancel)
  }
}

async function copySegment(
  from: Vault,
  job: string,
  { name, parts }: NamedSegment,
  to: Vault,
  cancel: Cancel,
): Promise<void> {
  for (let n = 1; n <= parts; n += 1) {
    const object = partName(name, n, parts)
    await to.lanes.put(job, object, await from.lanes.get(job, object, cancel), cancel)
  }
}

/** Small pieces that an earlier copy brought, and that lie in one of these by now. */
async function removeMerged(
  to: Vault,
  job: string,
  engine: string,
  there: readonly NamedSegment[],
  copied: readonly NamedSegment[],
  cancel: Cancel,
): Promise<void> {
  const names = new Set(copied.map(({ name }) => name))
  for (const old of there) {
    if (names.has(old.name) || old.from === old.to) continue
    const whole = copied.find(
      (one) =>
        one.lineage === old.lineage &&
        one.base === old.base &&
        within(engine, old.from, one) &&
        within(engine, old.to, one),
    )
    if (whole === undefined) continue
    await removeSegment(to, job, old, cancel).catch((error: unknown) => {
      if (!isGone(error)) throw error
    })
  }
}
