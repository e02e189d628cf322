/** What retention leaves of the logs: never less than what kept backups and kept moments need. */
import { before } from '../policy/calendar.ts'
import { chainsOf, needless } from '../policy/lane-chain.ts'
import type { NamedSegment } from '../policy/lane-names.ts'
import type { Retention } from '../model/retention.ts'
import type { Cancel, Vault } from '../model/vault.ts'
import { basesOf, isGone, readSegment, readSegmentNames } from './segments.ts'
import { hasRule } from '../policy/retention.ts'

/** `kept`: ids of the backups that stay. */
export async function planLanePrune(
  vault: Vault,
  job: string,
  { kept, retention, now }: { kept: ReadonlySet<string>; retention: Retention; now: Date },
  cancel: Cancel = {},
): Promise<NamedSegment[]> {
  // With no rule everything is kept.
  if (retention.points === undefined && !hasRule(retention)) return []
  const segments = await readSegmentNames(vault, job, cancel)
  const [some] = segments
  if (some === undefined) return []
  const { engine } = (await readSegment(vault, job, some.name, cancel)).facts
  const bases = basesOf(await vault.backups(cancel), job).filter(({ id }) => kept.has(id))
  const since = retention.points === undefined ? undefined : before(now, retention.points)
  return needless(chainsOf(engine, segments), { kept: bases, ...(since && { since }) }, segments)
}

/** Gives the bytes that were freed. Backups go after it, so a crash leaves what restores less, and nothing that misleads. */
export async function removeSegments(
  vault: Vault,
  job: string,
  segments: readonly NamedSegment[],
  cancel: Cancel = {},
): Promise<number> {
  let bytes = 0
  for (const { name, size } of segments) {
    await vault.lanes.remove(job, name, cancel).catch((error: unknown) => {
      if (!isGone(error)) throw error
    })
    bytes += size
  }
  return bytes
}
