/** Looks for damage in a vault; the run says what was found, and which jobs it touches. */
import { AppError } from '../base/errors.ts'
import type { Run } from '../model/run.ts'
import type { CheckResult, Vault } from '../model/vault.ts'
import { checkLanes } from './check-lanes.ts'
import { recorded, type Deps, type Recorded } from './recorder.ts'

export interface CheckOrder {
  /** Of all stored bytes, how many are read and hashed: 0 for none, 1 for all; else chosen at random. */
  readData: number
  trigger?: Run['trigger']
  /** Of a run that waited in the queue. */
  id?: string
  signal?: AbortSignal
}

/** What the run keeps of a damaged object. */
const KEPT_DAMAGE = 50
const KEPT_BACKUPS = 20

const HINTS = {
  repository: 'The run names the objects. `holdfast repair` makes it sound, `holdfast check --read-data` shows that.',
  archive: 'The run names the objects. A new full backup is whole; damaged ones can be restored with `--partial`.',
}

/** The run fails when there is damage; the result is given all the same. */
export async function check(deps: Deps, vault: Vault, order: CheckOrder): Promise<Recorded<CheckResult>> {
  const { readData, trigger, id, signal } = order
  const start = { kind: 'check', job: '', vault: vault.name, signal, id, ...(trigger && { trigger }) } as const
  let result: CheckResult | undefined
  const { run, error } = await recorded(deps, start, async (handle) => {
    handle.stage('check')
    const found = await vault.check({
      signal: handle.signal,
      readData: readData > 0,
      ...(readData > 0 && readData < 1 && { readDataShare: readData }),
      onProgress: handle.onProgress,
    })
    result = await checkLanes(vault, found, { readData: readData === 1, signal: handle.signal })
    const { ok, checked, damage } = result
    const jobs = ok ? [] : await jobsTouched(vault, result, handle.signal)
    handle.run.summary = {
      ok,
      readData,
      ...checked,
      damaged: damage.length,
      ...(jobs.length > 0 && { jobs }),
      damage: damage
        .slice(0, KEPT_DAMAGE)
        .map(({ key, problem, backups }) => ({ key, problem, backups: backups.slice(0, KEPT_BACKUPS) })),
    }
    if (ok) return
    const touched = new Set(damage.flatMap(({ backups }) => backups)).size
    throw new AppError(
      'backup.damaged',
      `${damage.length} damaged object${damage.length === 1 ? '' : 's'} in ${vault.name}, which ${touched} backup${touched === 1 ? ' needs' : 's need'}${jobs.length > 0 ? ` of ${jobs.join(', ')}` : ''}`,
      { hint: HINTS[vault.format] },
    )
  })
  return { run, ...(result && { result }), ...(error && { error }) }
}

async function jobsTouched(vault: Vault, { damage }: CheckResult, signal: AbortSignal): Promise<string[]> {
  const touched = new Set(damage.flatMap(({ backups }) => backups))
  if (touched.size === 0) return []
  // Where they cannot be listed, the damage is told without their jobs.
  const backups = await vault.backups({ signal }).catch(() => [])
  signal.throwIfAborted()
  return [...new Set(backups.filter(({ id }) => touched.has(id)).map(({ job }) => job))].sort()
}
