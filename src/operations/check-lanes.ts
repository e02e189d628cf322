/** Whether the logs in a vault can be read: every piece where bytes are read, else what their names tell. */
import { isAppError } from '../base/errors.ts'
import type { Cancel, CheckResult, Vault } from '../model/vault.ts'
import { isGone, readSegment, readSegmentNames } from './segments.ts'

/** Adds to what the check of the backups found. */
export async function checkLanes(
  vault: Vault,
  found: CheckResult,
  { readData, signal }: Cancel & { readData: boolean },
): Promise<CheckResult> {
  const cancel = signal ? { signal } : {}
  const { checked, damage } = found
  for (const job of await vault.lanes.jobs(cancel)) {
    for (const segment of await readSegmentNames(vault, job, cancel)) {
      const { name, size, parts } = segment
      checked.objects += parts
      if (!readData) continue
      checked.bytes += size
      try {
        const { payload } = await readSegment(vault, job, segment, cancel)
        payload.close?.()
      } catch (error) {
        // A lane that is at work has merged it meanwhile.
        if (isGone(error)) continue
        if (!isAppError(error, 'backup.damaged')) throw error
        damage.push({ key: `the log of ${job}: ${name}`, problem: error.message, backups: [], paths: [], pathCount: 0 })
      }
    }
  }
  return { ...found, ok: damage.length === 0 }
}
