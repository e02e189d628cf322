/** Vaults as lists and pages show them. */
import type { Incident } from '../../model/incident.ts'
import type { StorageSettings, VaultSettings } from '../../model/settings.ts'
import { askedOf } from '../../operations/stats.ts'
import { vaultCost } from '../../policy/cost.ts'
import { daysToFull, growthPerDay } from '../../policy/forecast.ts'
import type { Served } from '../contract/index.ts'
import type { Api } from '../handler.ts'
import type { JobsSeen } from './jobs.ts'

export type VaultShort = Served<'GET /api/v1/vaults'>['answer']['items'][number]

const MEASURED_MS = 30 * 86_400_000

export function vaultShort({ app }: Api, vault: VaultSettings, seen: JobsSeen): VaultShort {
  const { name, limits } = vault
  const usage = app.history().usage(name, new Date(seen.now.getTime() - MEASURED_MS))
  const last = usage.at(-1)
  const growth = growthPerDay(usage)
  const days = daysToFull(usage, limits?.stop)
  const since = new Date(seen.now.getTime() - MEASURED_MS)
  const cost =
    vault.prices && vaultCost(vault.prices, usage, askedOf({ catalogue: app.history() }, name, since), seen.now)
  const problem = [...seen.incidents.values()].flat().find((one: Incident) => one.vault === name)
  const used = Object.values(app.settings.jobs).filter(({ vaults }) => vaults.includes(name))
  const { backups, newest } = contentOf(seen, name)
  return {
    name,
    managed: app.isManaged('vaults', name),
    format: vault.format,
    storage: storageShown(vault.storage),
    encrypted:
      vault.format === 'repository' || vault.password !== undefined || (vault.encryption?.type ?? 'none') !== 'none',
    jobs: used.map((job) => job.name),
    backups,
    ...(last && { bytes: last.bytes }),
    ...(last?.free !== undefined && { free: last.free }),
    ...(growth !== undefined && { growthPerDay: Math.round(growth) }),
    ...(days !== undefined && { daysToFull: Math.round(days) }),
    ...(limits && { limits }),
    ...(cost && { cost }),
    ...(newest && { checkedAt: newest }),
    ...(problem && { problem: problem.message }),
  }
}

function contentOf({ board }: JobsSeen, vault: string): { backups: number; newest: Date | undefined } {
  let backups = 0
  let newest: Date | undefined
  for (const { vaults } of board.values()) {
    const figures = vaults.get(vault)
    if (figures === undefined) continue
    backups += figures.backups
    if (figures.newest !== undefined && (newest === undefined || figures.newest > newest)) ({ newest } = figures)
  }
  return { backups, newest }
}

/** Where it lies, for people: no secret is in it. */
export function storageShown(storage: StorageSettings): { type: string; name: string } {
  const { type } = storage
  switch (storage.type) {
    case 'file':
      return { type, name: storage.path }
    case 's3':
      return { type, name: `${storage.bucket}/${storage.prefix ?? ''}` }
    case 'memory':
      return { type, name: storage.name ?? 'memory' }
    case 'mirror':
      return { type, name: storage.members.map((one) => storageShown(one).name).join(' + ') }
    default:
      return { type, name: placeOf(storage) }
  }
}

const PLACES = ['bucket', 'container', 'host', 'url', 'remote', 'path', 'prefix']

/** The words that say where, of any driver. */
function placeOf(storage: StorageSettings): string {
  const given: Record<string, unknown> = { ...storage }
  const words = PLACES.map((key) => given[key]).filter((value) => typeof value === 'string')
  return words.join('/').replace(/\/\/[^/@]*@/, '//')
}
