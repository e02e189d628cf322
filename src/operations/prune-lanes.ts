/** What retention leaves of the logs: never less than what kept backups and kept moments need. */
import { before } from '../policy/calendar.ts'
import { needless } from '../policy/lane-chain.ts'
import type { NamedSegment } from '../policy/lane-names.ts'
import type { Retention } from '../model/retention.ts'
import type { Cancel, Vault } from '../model/vault.ts'
import { viewLane } from './restore-point.ts'
import { isGone } from './segments.ts'
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
  const view = await viewLane(vault, job, cancel)
  if (view === undefined) return []
  const { chains, segments } = view
  const bases = view.bases.filter(({ id }) => kept.has(id))
  const since = retention.points === undefined ? undefined : before(now, retention.points)
  return needless(chains, { kept: bases, ...(since && { since }) }, segments)
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
