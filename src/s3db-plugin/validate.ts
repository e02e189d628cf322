/** What the document's validator does: a backup exists, is whole, restores, and holds what it says. */
import { toAppError } from '../base/errors.ts'
import { makeFolders } from '../base/folders.ts'
import { collect } from '../base/streams.ts'
import { verify } from '../operations/verify.ts'
import { METADATA_KEY, resourceOf } from '../sources/s3db/keys.ts'
import { parseDescription } from '../sources/s3db/metadata.ts'
import { decodeObject } from '../sources/s3db/object-format.ts'
import { recordCounts } from '../model/labels.ts'
import type { Copy, Session } from './session.ts'
import type { BackupRecord, Health, Validation, ValidationReport } from './types.ts'

const MAX_DESCRIPTION = 256 * 1024 * 1024

/** Of each copy: one that is bad fails the backup. */
export async function validate(
  session: Session,
  backupId: string,
  copies: readonly Copy[],
  signal: AbortSignal,
): Promise<Validation> {
  const { app, config } = session
  const validation: Validation = {
    backupId,
    timestamp: new Date().toISOString(),
    checks: { exists: copies.length > 0 ? 'pass' : 'fail' },
    overall: 'fail',
    problems: copies.length > 0 ? [] : [`Backup '${backupId}' not found`],
  }
  const { checks, problems } = validation
  try {
    makeFolders(config.tempDir, 0o700)
    for (const { vault, backup } of copies) {
      const options = { signal, source: backup.source, scratchDir: config.tempDir }
      const report = await verify(app.deps, vault, backup.id, 'V4', options)
      for (const { ok, detail } of report.checks) if (!ok) problems.push(`${vault.name}: ${detail}`)
      const whole = report.level >= 'V2'
      if (!whole) checks.integrity = 'fail'
      else checks.integrity ??= 'pass'
      if (!report.ok) checks.restore = 'fail'
      else checks.restore ??= 'pass'
      const lacking = whole ? await incomplete({ vault, backup }, signal) : ['it cannot be read']
      problems.push(...lacking.map((problem) => `${vault.name}: ${problem}`))
      if (lacking.length > 0) checks.completeness = 'fail'
      else checks.completeness ??= 'pass'
    }
    validation.overall = Object.values(checks).every((check) => check === 'pass') ? 'pass' : 'fail'
  } catch (thrown) {
    const error = toAppError(thrown)
    if (error.code === 'run.cancelled') throw error
    validation.error = error.message
    validation.overall = 'error'
  }
  return validation
}

/** What the backup should hold by its own words and does not. */
async function incomplete({ vault, backup }: Pick<Copy, 'vault' | 'backup'>, signal: AbortSignal): Promise<string[]> {
  const problems: string[] = []
  const counts: Record<string, number> = {}
  for await (const { path } of vault.entries(backup.id, { signal })) {
    const name = resourceOf(path)
    if (name !== undefined && path.startsWith(`resource=${name}/data/`)) counts[name] = (counts[name] ?? 0) + 1
  }
  let described: string[] = []
  for await (const { path, open } of vault.open(backup.id, {
    want: ({ path: each }) => each === METADATA_KEY,
    signal,
  })) {
    if (path !== METADATA_KEY || open === undefined) continue
    const bytes = await collect(open(), MAX_DESCRIPTION)
    const { body } = decodeObject(Buffer.from(bytes), METADATA_KEY)
    described = Object.keys(parseDescription(body).resources)
  }
  for (const [name, expected] of Object.entries(recordCounts(backup.labels?.['resources']))) {
    const found = counts[name] ?? 0
    if (found !== expected) problems.push(`${name} has ${found} of ${expected} records`)
    if (!described.includes(name)) problems.push(`${name} is not described in ${METADATA_KEY}`)
  }
  for (const name of Object.keys(counts))
    if (!described.includes(name)) problems.push(`${name} has records and is not described in ${METADATA_KEY}`)
  return [...new Set(problems)]
}

export function reportOf(validations: Validation[]): ValidationReport {
  const count = (overall: Validation['overall']): number =>
    validations.filter((each) => each.overall === overall).length
  return {
    timestamp: new Date().toISOString(),
    totalBackups: validations.length,
    passed: count('pass'),
    failed: count('fail'),
    errors: count('error'),
    validations,
  }
}

export function healthOf(latest: BackupRecord | undefined, maxAgeHours: number, now: number): Health {
  if (latest === undefined) return { ok: false, problems: ['there is no backup'], latest: null, hoursOld: null }
  const hoursOld = (now - Date.parse(latest.timestamp)) / 3_600_000
  const problems: string[] = []
  if (hoursOld > maxAgeHours)
    problems.push(`the latest backup is ${Math.round(hoursOld)} hours old, more than ${maxAgeHours}`)
  if (latest.status !== 'completed')
    problems.push(`the latest backup is ${latest.status}${latest.error === null ? '' : `: ${latest.error}`}`)
  return { ok: problems.length === 0, problems, latest, hoursOld }
}
