/** What vaults take over time, and the limits that warn and that stop. */
import { AppError } from '../base/errors.ts'
import { formatSize } from '../base/units.ts'
import type { Finding } from '../model/incident.ts'
import type { Usage } from '../model/usage.ts'
import type { Cancel, Vault } from '../model/vault.ts'
import { daysToFull } from '../policy/forecast.ts'
import type { Deps } from './recorder.ts'

/** Listing a large vault costs requests: once a day is enough. */
const MEASURE_EVERY_MS = 20 * 60 * 60_000
const FORECAST_MS = 30 * 86_400_000
/** So many days before it is full somebody has to know. */
const WARN_DAYS = 7

export interface UsageLimits {
  /** Bytes of the vault from which somebody is told. */
  warn?: number
  /** Bytes of the vault from which no backup is made. */
  stop?: number
}

/** Measures the vault, unless that was done lately. */
export async function measureUsage(deps: Deps, vault: Vault, options: Cancel = {}): Promise<Usage | undefined> {
  const now = deps.clock.now()
  const last = deps.catalogue.usage(vault.name, new Date(0)).at(-1)
  if (last !== undefined && Math.abs(now.getTime() - last.at.getTime()) < MEASURE_EVERY_MS) return last
  let [bytes, objects] = [0, 0]
  for await (const { size } of vault.storage.list('', options)) {
    bytes += size
    objects += 1
  }
  const space = await vault.storage.can.space?.()
  const usage: Usage = { at: now, bytes, objects, ...(space && { free: space.free }) }
  deps.catalogue.saveUsage(vault.name, usage)
  return usage
}

/** Between measurements: what a run stored, less what it removed. */
export function adjustUsage(deps: Pick<Deps, 'catalogue'>, vault: string, bytes: number): void {
  const last = deps.catalogue.usage(vault, new Date(0)).at(-1)
  if (last !== undefined && bytes !== 0)
    deps.catalogue.saveUsage(vault, { ...last, bytes: Math.max(0, last.bytes + bytes) })
}

/** Before a backup is begun that may not be stored. */
export async function refuseBeyondLimit(
  deps: Deps,
  vault: Vault,
  { stop }: UsageLimits,
  options: Cancel,
): Promise<void> {
  if (stop === undefined) return
  const usage = await measureUsage(deps, vault, options)
  if (usage === undefined || usage.bytes < stop) return
  throw new AppError(
    'storage.full',
    `${vault.name} takes ${formatSize(usage.bytes)}, its limit is ${formatSize(stop)}`,
    {
      hint: 'Prune old backups, or raise limits.stop of the vault.',
      details: { permanent: true },
    },
  )
}

export function spaceFinding(
  job: string,
  vault: string,
  measured: readonly Usage[],
  { warn, stop }: UsageLimits,
  now: Date,
): Finding | undefined {
  const recent = measured.filter(({ at }) => now.getTime() - at.getTime() <= FORECAST_MS)
  const last = recent.at(-1)
  if (last === undefined) return undefined
  const base = { kind: 'space', job, vault } as const
  if (warn !== undefined && last.bytes >= warn)
    return { ...base, message: `it takes ${formatSize(last.bytes)}, more than the ${formatSize(warn)} of limits.warn` }
  const days = daysToFull(recent, stop)
  if (days === undefined || days > WARN_DAYS) return undefined
  return {
    ...base,
    message: days === 0 ? 'it is full' : `it is full in ${Math.ceil(days)} days if it grows on like this`,
  }
}
