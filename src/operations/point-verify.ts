/** How far a moment is shown to restore: the backup and the log that it takes are read, brought back to a scratch place, and asked. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isAppError } from '../base/errors.ts'
import { PROOF_LEVELS, type ProofLevel } from '../model/backup.ts'
import type { Reached } from '../model/lane.ts'
import type { Vault } from '../model/vault.ts'
import { noteLaneProof } from './lane-proofs.ts'
import type { Deps } from './recorder.ts'
import { describePoint, planPoint, readPlan, type Asked, type PointPlan } from './restore-point.ts'
import { LEVEL_NAMES, verify, type VerifyCheck, type VerifyOptions, type VerifyReport } from './verify.ts'

export interface PointReport extends Omit<VerifyReport, 'backupId'> {
  /** The backup that it begins with; absent where the log holds a copy. */
  backupId?: string
  /** In words. */
  point: string
  reached?: Reached
}

/** Nobody recorded what a moment holds: see docs/guides/points-in-time.md. */
const SOUND = 'what was restored is sound to the end'

export type VerifyPointOptions = Omit<VerifyOptions, 'source'>

export async function verifyPoint(
  deps: Deps,
  vault: Vault,
  { job, asked }: { job: string; asked: Asked },
  wanted: ProofLevel,
  options: VerifyPointOptions,
): Promise<PointReport> {
  const { signal, dryRun } = options
  const plan = await planPoint(vault, job, asked, signal ? { signal } : {})
  const report: PointReport = {
    ...(plan.backup && { backupId: plan.backup.id }),
    point: describePoint(plan.point),
    level: 'V0',
    ok: true,
    damaged: false,
    checks: [],
  }
  await stored(deps, vault, plan, wanted, report, options)
  if (report.ok && PROOF_LEVELS.indexOf(wanted) >= 3) await tried(deps, vault, plan, wanted, report, options)
  if (dryRun === true) return report
  const proof = { level: report.level, at: deps.clock.now() }
  if (plan.backup !== undefined) await vault.annotate(plan.backup.id, { proof })
  const { reached } = report
  await noteLaneProof(vault, job, {
    ...proof,
    ok: report.ok,
    point: report.point,
    ...(plan.backup && { backup: plan.backup.id }),
    ...(reached && { reached: reached.position, transactions: reached.transactions }),
    ...(reached?.time && { time: reached.time }),
  })
  return report
}

/** V0 to V2: the backup as ever, and every piece of log. */
async function stored(
  deps: Deps,
  vault: Vault,
  plan: PointPlan,
  wanted: ProofLevel,
  report: PointReport,
  { handle, signal }: VerifyPointOptions,
): Promise<void> {
  const level: ProofLevel = PROOF_LEVELS.indexOf(wanted) < 2 ? wanted : 'V2'
  if (plan.backup !== undefined) {
    const { checks, ok, damaged } = await verify(deps, vault, plan.backup.id, level, {
      dryRun: true,
      ...(handle && { handle }),
      ...(signal && { signal }),
    })
    Object.assign(report, { checks, ok, damaged })
  }
  if (!report.ok || level === 'V0') return
  let bytes = 0
  const check: VerifyCheck = { level, name: 'every piece of the log is as written', ok: true, detail: '' }
  try {
    for await (const { payload } of readPlan(vault, plan, signal ? { signal } : {})) bytes += payload.length
    check.detail = `${plan.segments.length} pieces, ${bytes} bytes`
    report.level = level
  } catch (error) {
    if (!isAppError(error, 'backup.damaged', 'storage.not-found')) throw error
    Object.assign(check, { ok: false, detail: error.message })
    Object.assign(report, { ok: false, damaged: true })
  }
  report.checks.push(check)
}

async function tried(
  deps: Deps,
  vault: Vault,
  plan: PointPlan,
  wanted: ProofLevel,
  report: PointReport,
  { signal, assertions = [], scratchDir: parent = tmpdir() }: VerifyPointOptions,
): Promise<void> {
  const failed = (detail: string, damaged: boolean): void => {
    report.checks.push({ level: 'V3', name: LEVEL_NAMES.V3, ok: false, detail })
    report.ok = false
    report.damaged ||= damaged
  }
  const special = await deps.pointTrial?.(plan.engine)
  if (special === undefined) return failed(`there is no way here to restore points in time of ${plan.engine}`, false)
  const cancel = signal ? { signal } : {}
  const scratchDir = mkdtempSync(join(parent, 'holdfast-verify-'))
  const { backup } = plan
  try {
    const { checks, reached } = await special.run(
      {
        ...(backup && { open: (want) => vault.open(backup.id, { want, ...cancel }) }),
        segments: () => readPlan(vault, plan, cancel),
        how: { base: plan.base?.lane, point: plan.point, until: plan.chain.until, ...cancel },
      },
      { level: wanted === 'V3' || wanted === 'V4' ? wanted : 'V5', assertions, scratchDir, ...cancel },
    )
    if (reached !== undefined) report.reached = reached
    for (const { level, ok, detail, untried } of checks) {
      report.checks.push({ level, name: level === 'V4' ? SOUND : LEVEL_NAMES[level], ok, detail })
      if (ok) report.level = level
      else {
        report.ok = false
        report.damaged ||= untried !== true
      }
    }
  } catch (error) {
    if (signal?.aborted || !isAppError(error)) throw error
    // A moment that does not exist says nothing about what is stored.
    if (error.code === 'restore.unreachable') throw error
    failed(error.message, isAppError(error, 'backup.damaged', 'backup.chain-broken', 'verify.damaged'))
  } finally {
    rmSync(scratchDir, { recursive: true, force: true })
  }
}
