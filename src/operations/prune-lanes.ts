/** What retention leaves of the logs: never less than what kept backups and kept moments need. */
import { before } from '../policy/calendar.ts'
import { needless } from '../policy/lane-chain.ts'
import type { NamedSegment } from '../policy/lane-names.ts'
import type { Retention } from '../model/retention.ts'
import type { Cancel, Vault } from '../model/vault.ts'
import { viewLane } from './restore-point.ts'
import { listSegments, removeSegment } from './segments.ts'
import { hasRule } from '../policy/retention.ts'

const LEFT_MS = 86_400_000

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
  return [
    ...needless(chains, { kept: bases, ...(since && { since }) }, segments),
    ...(await leftovers(vault, job, now, cancel)),
  ]
}

/** Of segments whose storing was broken off. One may be at work. */
async function leftovers(vault: Vault, job: string, now: Date, cancel: Cancel): Promise<NamedSegment[]> {
  return (await listSegments(vault, job, cancel)).filter(
    ({ whole, toTime }) => !whole && now.getTime() - toTime.getTime() > LEFT_MS,
  )
}

/** Gives the bytes that were freed. Backups go after it, so a crash leaves what restores less, and nothing that misleads. */
export async function removeSegments(
  vault: Vault,
  job: string,
  segments: readonly NamedSegment[],
  cancel: Cancel = {},
): Promise<number> {
  let bytes = 0
  for (const segment of segments) {
    await removeSegment(vault, job, segment, cancel)
    bytes += segment.size
  }
  return bytes
}
