/** Looks at what a backup needs before it needs it, and says how to mend what is wrong. */
import { accessSync, constants, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { makeFolders } from '../base/folders.ts'
import { toAppError } from '../base/errors.ts'
import { formatSize } from '../base/units.ts'
import type { Settings } from '../model/settings.ts'
import type { Source } from '../model/source.ts'
import type { Vault } from '../model/vault.ts'
import { failed, type DoctorCheck } from './doctor-check.ts'
import type { Deps } from './recorder.ts'
import { checkAppendOnly, checkHolds, checkLock, checkLocked, withoutLock } from './doctor-locks.ts'
import { checkStoragePromises } from './storage-promises.ts'

export type { DoctorCheck }

export interface VaultCheckOptions {
  /** Run the storage's promises, which write below a scratch prefix and remove it again. */
  write: boolean
  /** The credentials are meant to add and to read only: try that they cannot destroy, in place of what removes. */
  appendOnly?: boolean
  signal?: AbortSignal
}

const LOW_SPACE = 512 * 1024 * 1024
const SKEW_MS = 5 * 60_000

export async function checkMachine(deps: Deps, settings: Settings): Promise<DoctorCheck[]> {
  const { dataDir } = settings.server
  const check = (name: string, ok: boolean, detail: string, fix?: string): DoctorCheck => ({
    area: 'machine',
    name,
    ok,
    detail,
    ...(!ok && fix !== undefined && { fix }),
  })
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  const checks = [
    check(
      'Node.js is new enough',
      major > 24 || (major === 24 && minor >= 15),
      `version ${process.versions.node}`,
      'install Node.js 24.15 or newer',
    ),
  ]
  checks.push(
    check(
      'the clock is plausible',
      deps.clock.now().getFullYear() >= 2025,
      deps.clock.now().toISOString(),
      'set the clock, for example with `timedatectl set-ntp true`',
    ),
  )
  try {
    makeFolders(dataDir, 0o700)
    accessSync(dataDir, constants.W_OK)
    deps.catalogue.runs({ limit: 1 })
    checks.push(check('the catalogue can be used', true, dataDir))
  } catch (error) {
    checks.push(
      check(
        'the catalogue can be used',
        false,
        toAppError(error).message,
        `make ${dataDir} writable for this user, or set server.dataDir`,
      ),
    )
  }
  for (const [what, folder] of [
    ['data', dataDir],
    ['temporary files', tmpdir()],
  ] as const) {
    try {
      const { bavail, bsize } = statfsSync(folder)
      checks.push(
        check(
          `there is space for ${what}`,
          bavail * bsize > LOW_SPACE,
          `${formatSize(bavail * bsize)} free in ${folder}`,
          `free space in ${folder}`,
        ),
      )
    } catch (error) {
      checks.push(check(`there is space for ${what}`, false, toAppError(error).message, `make the folder ${folder}`))
    }
  }
  return checks
}

export async function checkSource(
  job: string,
  open: () => Promise<Source>,
  signal?: AbortSignal,
): Promise<DoctorCheck[]> {
  const area = `job ${job}`
  try {
    const found = await (await open()).test(signal ? { signal } : {})
    return found.map((check) => ({ area, ...check }))
  } catch (error) {
    return [failed(area, 'the source can be read', toAppError(error))]
  }
}

export async function checkVault(
  name: string,
  open: () => Promise<Vault>,
  { write, appendOnly = false, signal }: VaultCheckOptions,
): Promise<DoctorCheck[]> {
  const area = `vault ${name}`
  const checks: DoctorCheck[] = []
  let vault: Vault
  try {
    vault = await open()
    const backups = await vault.backups(signal ? { signal } : {})
    const broken = backups.filter((backup) => backup.broken !== undefined)
    checks.push({ area, name: 'it can be opened and listed', ok: true, detail: `${backups.length} backups` })
    checks.push({
      area,
      name: 'no backup misses a link',
      ok: broken.length === 0,
      detail: broken.map(({ id }) => id).join(', '),
      ...(broken.length > 0 && { fix: 'holdfast backup --type full' }),
    })
    const newest = backups.at(-1)
    if (newest !== undefined) checks.push(await opens(area, vault, newest.id))
    const ahead = backups.filter(({ time }) => time.getTime() > Date.now() + SKEW_MS)
    checks.push({
      area,
      name: 'no backup is from the future',
      ok: ahead.length === 0,
      detail: ahead.map(({ id }) => id).join(', '),
      ...(ahead.length > 0 && { fix: 'check the clocks of the machines that write to this vault' }),
    })
  } catch (error) {
    const problem = toAppError(error)
    if (checks.length > 0 || problem.code !== 'vault.not-found')
      return [...checks, failed(area, 'it can be opened and listed', problem)]
    return [{ area, name: 'it can be reached', ok: true, detail: 'there is no vault yet: the first backup makes it' }]
  }
  const space = await vault.storage.can.space?.()
  if (space !== undefined)
    checks.push({
      area,
      name: 'there is space',
      ok: space.free > LOW_SPACE,
      detail: `${formatSize(space.free)} of ${formatSize(space.total)} free`,
      ...(space.free <= LOW_SPACE && { fix: 'free space, or prune old backups with `holdfast prune`' }),
    })
  checks.push(...(await checkLock(area, vault.storage, signal)), ...(await checkHolds(area, vault, signal)))
  if (!write) return checks
  if (appendOnly) return [...checks, ...(await checkAppendOnly(area, vault.storage, signal))]
  if (vault.storage.can.lock !== undefined) checks.push(await checkLocked(area, vault.storage, signal))
  // What the checks write is not to be locked.
  const unlocked = withoutLock(vault.storage)
  for (const { promise, ok, ms, error } of await checkStoragePromises(unlocked, signal ? { signal } : {})) {
    checks.push(
      ok
        ? { area, name: promise, ok, detail: `${ms} ms` }
        : failed(area, promise, error ?? toAppError(new Error('failed'))),
    )
  }
  return checks
}

/** The password or key is only needed for what is in a backup: to list them is no proof of it. */
async function opens(area: string, vault: Vault, id: string): Promise<DoctorCheck> {
  const name = 'the newest backup can be opened with the password or key'
  try {
    for await (const _ of vault.entries(id)) break
    return { area, name, ok: true, detail: id }
  } catch (error) {
    return failed(area, name, toAppError(error))
  }
}
