import { join } from 'node:path'
import { isAppError } from '../../base/errors.ts'
import type { Entry } from '../../model/entry.ts'
import type { OpenEntries, Trial, TrialCheck, TrialOptions } from '../../model/source.ts'
import { bytesOf, roundsOf, wanted } from '../restored.ts'
import { brokenAssertions } from './inspect.ts'
import { ABOUT, parseAbout } from './layout.ts'
import { sqliteTarget } from './target.ts'

const isAbout = (entry: Entry): boolean => entry.kind === 'file' && entry.path.endsWith(`/${ABOUT}`)

/** Restores each database to a scratch file; the target itself compares integrity and rows. */
export const sqliteTrial: Trial = { run }

async function run(open: OpenEntries, options: TrialOptions): Promise<TrialCheck[]> {
  const { scratchDir, level, assertions, signal } = options
  const folders: string[] = []
  let tables = 0
  for await (const entry of wanted(open, isAbout)) {
    folders.push(entry.path.slice(0, -ABOUT.length - 1))
    tables += parseAbout(await bytesOf(entry), entry.path).tables.length
  }
  const files: string[] = []
  for (const [index, database] of folders.entries()) {
    const file = join(scratchDir, `${index}.db`)
    const target = sqliteTarget({ file, database })
    try {
      await target.write(roundsOf(target, open), { onWarning: () => {}, ...(signal && { signal }) })
    } catch (error) {
      if (!isAppError(error) || signal?.aborted === true) throw error
      return [
        { level: 'V3', ok: false, detail: error.message, untried: isAppError(error, 'target.full', 'target.denied') },
      ]
    }
    files.push(file)
  }
  const checks: TrialCheck[] = [
    { level: 'V3', ok: true, detail: `${files.length} databases restored, integrity_check ok` },
  ]
  if (level === 'V3') return checks
  checks.push({ level: 'V4', ok: true, detail: `${tables} tables have the rows that they had` })
  if (level === 'V4') return checks
  if (assertions.length === 0)
    return [...checks, { level: 'V5', ok: false, detail: 'no assertion was given', untried: true }]
  const broken = files.flatMap((file) => brokenAssertions(file, assertions))
  checks.push({
    level: 'V5',
    ok: broken.length === 0,
    detail: broken.length === 0 ? `${assertions.length} assertions hold` : `does not hold: ${broken[0]}`,
  })
  return checks
}
