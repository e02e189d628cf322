/** What the methods of the plugin work on: the database, the destinations as vaults, and what is in them. */
import type { App } from '../app.ts'
import { isAppError, toAppError, type AppError } from '../base/errors.ts'
import { nameOf, type ObjectClient } from '../sources/s3db/object-client.ts'
import type { Backup } from '../model/backup.ts'
import type { Vault } from '../model/vault.ts'
import { destination, type Destination } from './destination.ts'
import { optionError } from './errors.ts'
import { checkConfig, type Destinations, type PluginConfig } from './options.ts'
import type { CompressionType } from './types.ts'

export interface Session {
  readonly app: App
  readonly client: ObjectClient
  readonly config: PluginConfig
  readonly destinations: readonly Destination[]
  readonly strategy: Destinations['strategy']
  readonly concurrency: number
  readonly multi: boolean
  /** Backups of one database build on each other; those of a selection of its resources on their like. */
  readonly job: string
}

export interface Copy {
  /** Position of the destination. */
  at: number
  destination: Destination
  vault: Vault
  backup: Backup
}

/** What is in the destinations: the copies of each backup, newest backup first. */
export interface Inventory {
  copies: Map<string, Copy[]>
  /** Destinations that could not be asked. */
  failures: Map<number, AppError>
}

export function session(
  app: App,
  client: ObjectClient,
  config: PluginConfig,
  overrides: { compression?: CompressionType } = {},
): Session {
  const { strategy, concurrency, destinations } = checkConfig(config)
  const { compression = config.compression } = overrides
  const own = destinations.map(({ driver, config: its }) => {
    const { compression: theirs, ...rest } = its
    const chosen = overrides.compression ?? theirs
    return destination(
      { driver, config: { ...rest, ...(chosen && { compression: chosen }) } } as (typeof destinations)[number],
      client,
      {
        compression,
        encryption: config.encryption,
      },
    )
  })
  const twice = own.find(({ name }, at) => own.findIndex((other) => other.name === name) !== at)
  if (twice !== undefined) throw optionError(`two destinations are the same place: ${twice.name}`)
  return {
    app,
    client,
    config,
    destinations: own,
    strategy,
    concurrency,
    multi: config.driver === 'multi',
    job: nameOf(client),
  }
}

export const openVault = async (
  { app }: Session,
  { name, opening }: Destination,
  { create = false } = {},
): Promise<Vault> => app.vault(name, { ...opening, create })

/** Rejects only if no destination can be asked. */
export async function inventory(session: Session, signal?: AbortSignal): Promise<Inventory> {
  const failures = new Map<number, AppError>()
  const found = await Promise.all(
    session.destinations.map(async (each, at): Promise<Copy[]> => {
      try {
        const vault = await openVault(session, each)
        const backups = await vault.backups(signal ? { signal } : {})
        return backups.map((backup) => ({ at, destination: each, vault, backup }))
      } catch (error) {
        if (isAppError(error, 'vault.not-found')) return []
        failures.set(at, toAppError(error))
        return []
      }
    }),
  )
  const first = [...failures.values()][0]
  if (first !== undefined && failures.size === session.destinations.length) throw first
  const all = found.flat().filter(({ backup }) => backup.source === 's3db')
  all.sort((a, b) => b.backup.time.getTime() - a.backup.time.getTime() || (a.backup.id < b.backup.id ? 1 : -1))
  const copies = new Map<string, Copy[]>()
  for (const copy of all) copies.set(copy.backup.id, [...(copies.get(copy.backup.id) ?? []), copy])
  return { copies, failures }
}

/** Several at once, results in order. */
export async function inLanes<T, R>(
  items: readonly T[],
  lanes: number,
  work: (item: T, at: number) => Promise<R>,
): Promise<R[]> {
  const results: R[] = []
  const waiting = items.entries()
  await Promise.all(
    Array.from({ length: Math.min(lanes, items.length) }, async () => {
      for (const [at, item] of waiting) results[at] = await work(item, at)
    }),
  )
  return results
}
