/** How far a backup is shown to restore. Levels build on each other; the first failure ends the climb. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isAppError } from '../base/errors.ts'
import { PROOF_LEVELS, type ProofLevel } from '../model/backup.ts'
import type { OpenEntries, Trial } from '../model/source.ts'
import type { Vault } from '../model/vault.ts'
import { compareTree } from './compare-tree.ts'
import type { Deps, RunHandle } from './recorder.ts'

export interface VerifyReport {
  backupId: string
  /** The highest level that was reached. */
  level: ProofLevel
  /** Whether the wanted level was reached. */
  ok: boolean
  /** Something stored is wrong; else a level that was not reached could not be tried here. */
  damaged: boolean
  checks: VerifyCheck[]
}

export interface VerifyCheck {
  level: ProofLevel
  name: string
  ok: boolean
  detail: string
}

export interface VerifyOptions {
  handle?: RunHandle
  signal?: AbortSignal
  /** Leaves the vault as it is: what was reached is not noted there. */
  dryRun?: boolean
  /** The type of the backup's source; asked of the vault if absent. */
  source?: string
  /** The user's own assertions, for V5. */
  assertions?: readonly string[]
  /** Where trial restores go; the system's temporary folder if absent. */
  scratchDir?: string
}

export const LEVEL_NAMES: Record<ProofLevel, string> = {
  V0: 'all objects are stored, with their sizes',
  V1: 'all bytes are as written',
  V2: 'everything can be read, and every content has its hash',
  V3: 'it restores to a scratch place',
  V4: 'what was restored equals what was recorded',
  V5: 'your own assertions hold',
}

export async function verify(
  deps: Deps,
  vault: Vault,
  id: string,
  wanted: ProofLevel,
  options: VerifyOptions = {},
): Promise<VerifyReport> {
  const report: VerifyReport = { backupId: id, level: 'V0', ok: true, damaged: false, checks: [] }
  const top = PROOF_LEVELS.indexOf(wanted)
  // V2 reads all that V1 reads.
  const levels = (['V0', 'V1', 'V2'] as const).filter((level) => PROOF_LEVELS.indexOf(level) <= top)
  for (const level of levels) {
    const { ok, damage, checked } = await vault.verify(id, level, {
      ...(options.signal && { signal: options.signal }),
      ...(options.handle && { onProgress: options.handle.onProgress }),
    })
    const first = damage[0]
    const detail =
      first === undefined
        ? `${checked.objects} objects of ${checked.backups} backups`
        : `${first.key} ${first.problem}${damage.length > 1 ? `, and ${damage.length - 1} more` : ''}`
    report.checks.push({ level, name: LEVEL_NAMES[level], ok, detail })
    if (!ok) return { ...report, ok: false, damaged: true }
    report.level = level
  }
  const special = top >= 3 ? await specialTrial(deps, vault, id, options) : undefined
  if (special !== undefined) await tried(special, vault, id, wanted, report, options)
  else if (top >= 3) await trial(deps, vault, id, wanted, report, options)
  if (top >= 5 && special === undefined && report.ok) {
    report.checks.push({
      level: 'V5',
      name: LEVEL_NAMES.V5,
      ok: false,
      detail: 'no assertions are defined for this kind of source',
    })
    report.ok = false
  }
  if (options.dryRun === true) return report
  await vault.annotate(report.backupId, { proof: { level: report.level, at: deps.clock.now() } })
  return report
}

async function specialTrial(
  deps: Deps,
  vault: Vault,
  id: string,
  { source }: VerifyOptions,
): Promise<Trial | undefined> {
  if (deps.trial === undefined) return undefined
  const type = source ?? (await vault.backups()).find((backup) => backup.id === id)?.source
  return type === undefined ? undefined : deps.trial(type)
}

/** A database is restored to a server of its own, which the trial starts. */
async function tried(
  special: Trial,
  vault: Vault,
  id: string,
  wanted: ProofLevel,
  report: VerifyReport,
  { signal, assertions = [], scratchDir: parent = tmpdir() }: VerifyOptions,
): Promise<void> {
  const scratchDir = mkdtempSync(join(parent, 'holdfast-verify-'))
  const cancel = signal ? { signal } : {}
  try {
    const level = wanted === 'V3' || wanted === 'V4' ? wanted : 'V5'
    const open: OpenEntries = (want) => vault.open(id, { want, ...cancel })
    for (const check of await special.run(open, { level, assertions, scratchDir, ...cancel })) {
      report.checks.push({ level: check.level, name: LEVEL_NAMES[check.level], ok: check.ok, detail: check.detail })
      if (check.ok) report.level = check.level
      else {
        report.ok = false
        report.damaged ||= check.untried !== true
      }
    }
  } catch (error) {
    if (signal?.aborted || !isAppError(error)) throw error
    report.checks.push({ level: 'V3', name: LEVEL_NAMES.V3, ok: false, detail: error.message })
    report.ok = false
    report.damaged ||= isAppError(error, 'backup.damaged', 'backup.chain-broken', 'verify.damaged')
  } finally {
    rmSync(scratchDir, { recursive: true, force: true })
  }
}

/** Restores to a scratch folder, and for V4 compares what lies there with what the backup recorded. */
async function trial(
  deps: Deps,
  vault: Vault,
  id: string,
  wanted: ProofLevel,
  report: VerifyReport,
  options: VerifyOptions,
): Promise<void> {
  const failed = (level: ProofLevel, detail: string, damaged: boolean): void => {
    report.checks.push({ level, name: LEVEL_NAMES[level], ok: false, detail })
    report.ok = false
    report.damaged ||= damaged
  }
  if (deps.scratchTarget === undefined)
    return failed('V3', 'there is no way here to restore this kind of source', false)
  const root = mkdtempSync(join(options.scratchDir ?? tmpdir(), 'holdfast-verify-'))
  const cancel = options.signal ? { signal: options.signal } : {}
  try {
    const warnings: string[] = []
    const { files } = await deps.scratchTarget(root).write(vault.open(id, cancel), {
      ...cancel,
      onWarning: ({ code, message }) => code !== 'note' && warnings.push(message),
    })
    report.checks.push({
      level: 'V3',
      name: LEVEL_NAMES.V3,
      ok: true,
      detail: `${files} items restored${warnings.length > 0 ? `, ${warnings.length} warnings, the first: ${warnings[0]}` : ''}`,
    })
    report.level = 'V3'
    if (PROOF_LEVELS.indexOf(wanted) < 4) return
    const { compared, different } = await compareTree(vault.entries(id, cancel), root)
    if (different.length > 0) return failed('V4', `${different.length} items differ, the first: ${different[0]}`, true)
    report.checks.push({
      level: 'V4',
      name: LEVEL_NAMES.V4,
      ok: true,
      detail: `${compared} items have the recorded kind, size, mode, time and target`,
    })
    report.level = 'V4'
  } catch (error) {
    if (options.signal?.aborted || !isAppError(error)) throw error
    // A scratch folder that is full or not ours to write to says nothing about the backup.
    failed('V3', error.message, !isAppError(error, 'target.full', 'target.denied'))
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}
