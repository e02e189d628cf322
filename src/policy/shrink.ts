/** Whether a backup of a database is so much smaller than those before it that somebody has to look. */
import type { Backup } from '../model/backup.ts'

/** The tag of such a backup. While one of a job has it, retention removes nothing of that job; taking it off agrees to the size. */
export const SHRUNKEN = 'shrunken'

/** Smaller than this share of what was usual. */
export const DEFAULT_SHRINK = 0.5
/** What is smaller than that anyway comes and goes. */
const SMALL = 64 * 1024
const LOOK_BACK = 5

/** Backups of files grow and shrink as their owners please; a dump that lost half its rows is seldom meant. */
export const SHRINK_WATCHED: readonly string[] = ['postgres', 'mysql', 'mongodb', 'sqlite', 's3db', 'command']

/** The usual size, if `made` is below the share of it; `before`: earlier backups of the same job. */
export function shrunkenFrom(made: Backup, before: readonly Backup[], share: number): number | undefined {
  const sizes = before
    .filter(
      ({ id, job, source, tags, broken }) =>
        id !== made.id &&
        job === made.job &&
        source === made.source &&
        !tags.includes(SHRUNKEN) &&
        broken === undefined,
    )
    .sort((a, b) => b.time.getTime() - a.time.getTime())
    .slice(0, LOOK_BACK)
    .flatMap(({ sourceBytes }) => sourceBytes ?? [])
    .sort((a, b) => a - b)
  // Of two in the middle the smaller one: what was agreed to soon becomes the measure.
  const usual = sizes[Math.floor((sizes.length - 1) / 2)]
  if (usual === undefined || usual < SMALL) return undefined
  return made.sourceBytes !== undefined && made.sourceBytes < usual * share ? usual : undefined
}
