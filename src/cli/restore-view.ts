/** What a restore says at its end, to people and to programs. */
import { formatDuration, formatSize } from '../base/units.ts'
import type { Backup } from '../model/backup.ts'
import type { Recorded } from '../operations/recorder.ts'
import type { RestoreResult } from '../operations/restore.ts'
import type { Context } from './context.ts'

export interface RestoreShown {
  backup: Pick<Backup, 'id'>
  /** For people. */
  to: string
  effects: { effect: string; path: string }[]
  /** More figures of the summary. */
  more?: Record<string, unknown>
}

export function showRestore(
  context: Context,
  { run, result, error }: Recorded<RestoreResult>,
  { backup, to, effects, more = {} }: RestoreShown,
): void {
  const { out } = context
  const dryRun = context.options.dryRun === true
  const seconds = ((run.endedAt ?? run.createdAt).getTime() - run.createdAt.getTime()) / 1000
  out.line({
    message_type: 'summary',
    run_id: run.id,
    backup_id: backup.id,
    status: run.status,
    files_restored: result?.files ?? 0,
    bytes_restored: result?.bytes ?? 0,
    duration_seconds: seconds,
    ...(dryRun && { dry_run: true, effects }),
    ...(result && { counts: result.effects, missing: result.missing }),
    ...more,
    warnings: run.warnings,
  })
  if (error !== undefined) throw error
  if (result === undefined) return
  if (dryRun) {
    for (const { effect, path } of effects) out.print(`${effect.padEnd(9)} ${path}`)
    out.print(
      `dry run: ${
        Object.entries(result.effects)
          .filter(([, count]) => count > 0)
          .map(([effect, count]) => `${count} ${effect}`)
          .join(', ') || 'nothing to do'
      }`,
    )
  } else {
    out.print(
      `${out.paint('green', '✓')} restored ${result.files} items, ${formatSize(result.bytes)}, of ${backup.id} to ${to} in ${formatDuration(seconds * 1000)}`,
    )
  }
  // Such as where what was replaced is now: nobody should have to ask for that.
  for (const { message } of run.notes ?? []) out.print(`  ${message}`)
  if (run.status === 'warning') context.exitCode = 3
}
