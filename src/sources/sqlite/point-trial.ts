import { join } from 'node:path'
import type { PointTrial, PointTrialFrom, Reached } from '../../model/lane.ts'
import type { TrialCheck, TrialOptions } from '../../model/source.ts'
import { brokenAssertions, inspect } from './inspect.ts'
import { sqliteReplay } from './replay.ts'

/** Brings a file forward out of the log alone; the replay itself checks integrity. */
export const sqlitePointTrial: PointTrial = { run }

async function run(
  { segments, how }: PointTrialFrom,
  { scratchDir, level, assertions }: TrialOptions,
): Promise<{ checks: TrialCheck[]; reached: Reached }> {
  const file = join(scratchDir, 'point.db')
  const reached = await sqliteReplay({ file }).run(segments(), how)
  const checks: TrialCheck[] = [
    { level: 'V3', ok: true, detail: `${reached.transactions} transactions after a copy, integrity_check ok` },
  ]
  if (level === 'V3') return { checks, reached }
  const { tables } = inspect(file)
  const rows = tables.reduce((sum, table) => sum + table.rows, 0)
  checks.push({
    level: 'V4',
    ok: true,
    detail: `every page has the sum that the log gave; ${tables.length} tables can be read, ${rows} rows`,
  })
  if (level === 'V4') return { checks, reached }
  if (assertions.length === 0) checks.push({ level: 'V5', ok: false, detail: 'no assertion was given', untried: true })
  else {
    const [broken] = brokenAssertions(file, assertions)
    const detail = broken === undefined ? `${assertions.length} assertions hold` : `does not hold: ${broken}`
    checks.push({ level: 'V5', ok: broken === undefined, detail })
  }
  return { checks, reached }
}
