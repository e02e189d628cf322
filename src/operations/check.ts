/** Looks for damage in a vault; the run says what was found, and which jobs it touches. */
import { AppError, toAppError } from '../base/errors.ts'
import type { Run } from '../model/run.ts'
import type { CheckResult, Vault } from '../model/vault.ts'
import { checkLanes } from './check-lanes.ts'
import { recorded, type Deps, type Recorded, type RunHandle } from './recorder.ts'

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
  repository:
    '`holdfast repair` makes it sound, a new backup stores again what is still there, `holdfast check --read-data` shows that.',
  archive:
    'A new full backup is whole again: `holdfast backup --type full`. What else still restores: `holdfast restore --partial`.',
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
    const jobs = ok ? [] : await jobsTouched(vault, result, handle)
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
    throw new AppError('backup.damaged', toldDamage(vault.name, damage.length, touched, jobs), {
      hint: HINTS[vault.format],
    })
  })
  return { run, ...(result && { result }), ...(error && { error }) }
}

const KEPT_JOBS = 5

function toldDamage(vault: string, objects: number, backups: number, jobs: readonly string[]): string {
  const some = [...jobs.slice(0, KEPT_JOBS), ...(jobs.length > KEPT_JOBS ? ['…'] : [])]
  const of = some.length > 0 ? ` of ${some.join(', ')}` : ''
  const needed = backups > 0 ? `, needed by ${backups} backup${backups === 1 ? '' : 's'}${of}` : ''
  return `${objects} damaged object${objects === 1 ? '' : 's'} in ${vault}${needed}`
}

async function jobsTouched(vault: Vault, { damage }: CheckResult, { signal, log }: RunHandle): Promise<string[]> {
  const touched = new Set(damage.flatMap(({ backups }) => backups))
  if (touched.size === 0) return []
  const backups = await vault.backups({ signal }).catch((error: unknown) => {
    signal.throwIfAborted()
    log('warn', `the damage is told without its jobs, as backups cannot be listed: ${toAppError(error).message}`)
    return []
  })
  return [...new Set(backups.filter(({ id }) => touched.has(id)).map(({ job }) => job))].sort()
}
