/** Parts of the configuration that were made by the API: beside the file, with the same schema, names and references. */
import type { NotifySettings, StorageSettings, VaultSettings } from '../model/settings.ts'
import type { Job } from '../model/job.ts'
import type { Env } from './environment.ts'
import { unique, type Fault } from './faults.ts'
import { isTree, valueAt, type KeyPath, type Tree } from './key-path.ts'
import { Merged, type Layer } from './layers.ts'
import { checkNames } from './names.ts'
import { hasReference } from './references.ts'
import { resolveTree } from './resolve.ts'
import { configSchema } from './schema.ts'
import { toSettings } from './settings.ts'
import { validateConfig } from './validate.ts'
import { hasTrait, mapTexts, schemasAt, secretNames, type Schemas } from './walk.ts'

/** The key of the configuration that holds parts of this kind. */
export type Section = 'vaults' | 'jobs' | 'notify'
export type Parts = Record<Section, Record<string, Tree>>

export interface PartsContext {
  /** Names that the configuration file has: parts may use them. */
  known: { vaults: readonly string[]; notify: readonly string[] }
  env: Env
  dataDir: string
  parseStorageUrl: (text: string) => StorageSettings
}

export interface PartSettings {
  vaults: Record<string, VaultSettings>
  jobs: Record<string, Job>
  notify: Record<string, NotifySettings>
}

/** The settings of all parts that are right; what is wrong with the others is named, by key. */
export async function settingsOfParts(
  parts: Parts,
  context: PartsContext,
): Promise<{ settings: PartSettings; faults: PlacedFault[] }> {
  const faults: PlacedFault[] = []
  let rest = parts
  // A faulty part is left out, and then what needs it.
  for (;;) {
    const found = await attempt(rest, context)
    if (found.settings !== undefined) return { settings: found.settings, faults }
    faults.push(...found.faults)
    const bad = new Set(found.faults.map(({ path }) => JSON.stringify(path.slice(0, 2))))
    const keep = (section: Section): Record<string, Tree> =>
      Object.fromEntries(Object.entries(rest[section]).filter(([name]) => !bad.has(JSON.stringify([section, name]))))
    const next = { vaults: keep('vaults'), jobs: keep('jobs'), notify: keep('notify') }
    if (size(next) === size(rest)) throw new Error('a fault of the configuration belongs to no part')
    rest = next
  }
}

const size = (parts: Parts): number =>
  Object.values(parts).reduce((sum, section) => sum + Object.keys(section).length, 0)

export interface PlacedFault {
  /** Section and name of the part, and further. */
  path: KeyPath
  fault: Fault
}

async function attempt(
  parts: Parts,
  { known, env, dataDir, parseStorageUrl }: PartsContext,
): Promise<{ settings?: PartSettings; faults: PlacedFault[] }> {
  const merged = new Merged(secretNames([configSchema]))
  const layer: Layer = { tree: { ...parts }, base: dataDir, originOf: () => ({ kind: 'page' }) }
  merged.add(layer)
  const tree = merged.tree
  const standIns: Tree = {
    vaults: { ...named(known.vaults, { storage: 'memory:' }), ...section(tree, 'vaults') },
    notify: { ...named(known.notify, { type: 'ntfy', topic: 'none' }), ...section(tree, 'notify') },
    jobs: section(tree, 'jobs'),
  }
  merged.tree = standIns
  const placed: PlacedFault[] = []
  const resolved = await resolveTree(merged, configSchema, { env, base: dataDir, parseStorageUrl })
  placed.push(...resolved.faults.map((fault) => ({ path: pathOf(fault.key, standIns), fault })))
  const { config, findings } = validateConfig(resolved.tree, () => ({ kind: 'page' }))
  placed.push(...findings.map(({ path, fault }) => ({ path, fault })))
  checkNames(resolved.tree, (path, message, suggestion) =>
    placed.push({ path, fault: { key: path.join('.'), message, suggestion } }),
  )
  if (config === undefined || placed.length > 0) return { faults: placed }
  const all = toSettings(config, { dataDir, parseStorageUrl })
  return {
    faults: [],
    settings: {
      vaults: without(all.vaults, known.vaults, parts.vaults),
      jobs: all.jobs,
      notify: without(all.notify, known.notify, parts.notify),
    },
  }
}

const section = (tree: Tree, name: Section): Tree => (isTree(tree[name]) ? tree[name] : {})
const named = (names: readonly string[], value: Tree): Tree => Object.fromEntries(names.map((name) => [name, value]))

function without<T>(all: Record<string, T>, known: readonly string[], own: Tree): Record<string, T> {
  return Object.fromEntries(Object.entries(all).filter(([name]) => name in own || !known.includes(name)))
}

/** Faults of references know their key as text only: the part is found by its beginning, the longest that fits. */
function pathOf(key: string, tree: Tree): KeyPath {
  let found: KeyPath = []
  let length = 0
  for (const [top, parts] of Object.entries(tree))
    for (const name of isTree(parts) ? Object.keys(parts) : [])
      for (const head of [`${top}.${name}`, `${top}.${JSON.stringify(name)}`])
        if (head.length > length && key.startsWith(head) && /^(?:[.[]|$)/.test(key.slice(head.length))) {
          found = [top, name]
          length = head.length
        }
  return found
}

/** All faults that one part would bring, beside those that are there. */
export async function faultsOfPart(
  where: Section,
  name: string,
  body: Tree,
  others: Parts,
  context: PartsContext,
): Promise<Fault[]> {
  const parts = { ...others, [where]: { ...others[where], [name]: body } }
  const { faults } = await settingsOfParts(parts, context)
  const own = faults.filter(({ path }) => path[0] === where && path[1] === name)
  return unique(
    own.map(({ fault }) => ({ ...fault, key: fault.key.replace(`${where}.${name}`, '').replace(/^\./, '') })),
  )
}

export const HIDDEN = '[hidden]'

/** As written, with secrets that are no reference hidden. */
export function hideSecrets(where: Section, body: Tree): Tree {
  return mapTexts(body, schemasOf(where), [], (text, schemas) =>
    hasTrait(schemas, 'secret') && !hasReference(text) ? HIDDEN : hideUrlPassword(text),
  ) as Tree
}

function hideUrlPassword(text: string): string {
  return text.replace(/(:\/\/[^\s/?#:@]*:)[^\s/?#]+@/g, `$1${HIDDEN}@`)
}

/** What came back hidden is what was there before. */
export function unhideSecrets(body: Tree, before: Tree): Tree {
  const walk = (value: unknown, path: KeyPath): unknown => {
    if (typeof value === 'string' && value.includes(HIDDEN)) {
      const old = valueAt(before, path)
      return typeof old === 'string' && (value === HIDDEN || hideUrlPassword(old) === value) ? old : value
    }
    if (Array.isArray(value)) return value.map((item, index) => walk(item, [...path, index]))
    if (!isTree(value)) return value
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, walk(item, [...path, key])]))
  }
  return walk(body, []) as Tree
}

/** What a person can put into a configuration file; secrets stand as they are hidden. */
export async function yamlOf(where: Section, name: string, body: Tree): Promise<string> {
  return (await import('./transfer.ts')).yamlText({ [where]: { [name]: body } })
}

const schemasOf = (where: Section): Schemas => schemasAt(configSchema, [where, 'x'])

/** The parts that the configuration file has, as written. */
export function partsOfFile(raw: Tree): Parts {
  return {
    vaults: section(raw, 'vaults') as Record<string, Tree>,
    jobs: section(raw, 'jobs') as Record<string, Tree>,
    notify: section(raw, 'notify') as Record<string, Tree>,
  }
}
