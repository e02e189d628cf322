/** Jobs, vaults and notifiers that the API made, taken into the settings of a running program. */
import type { PartsContext, PartSettings, Section } from './definitions.ts'
import type { Tree } from './key-path.ts'
import type { DefinitionKind, DefinitionStore } from '../model/server-store.ts'
import type { Settings, StorageSettings } from '../model/settings.ts'

export const SECTION_OF: Record<DefinitionKind, Section> = { vault: 'vaults', job: 'jobs', notifier: 'notify' }

const KINDS = ['vault', 'job', 'notifier'] as const

export interface LeftOut {
  kind: DefinitionKind
  name: string
  why: string
}

export interface AddedParts {
  refresh(): Promise<void>
  /** What was made and cannot be used as it is: nothing of it runs. */
  leftOut(): readonly LeftOut[]
  isManaged(section: Section, name: string): boolean
  context: PartsContext
}

interface Options {
  definitions: () => DefinitionStore
  parseStorageUrl: (text: string) => StorageSettings
  onProblem: (message: string) => void
  /** Names of vaults whose settings are new, changed or gone. */
  onChange: (vaults: readonly string[]) => void
}

export function addedParts(settings: Settings, options: Options): AddedParts {
  const ofFile = {
    vaults: new Set(Object.keys(settings.vaults)),
    jobs: new Set(Object.keys(settings.jobs)),
    notify: new Set(Object.keys(settings.notify)),
  }
  const hearAll = Object.values(settings.jobs).filter(({ notifyAll }) => notifyAll === true)
  const context: PartsContext = {
    known: { vaults: [...ofFile.vaults], notify: [...ofFile.notify] },
    env: process.env,
    dataDir: settings.server.dataDir,
    parseStorageUrl: options.parseStorageUrl,
  }
  let revision = 0
  let bodies = new Map<string, string>()
  let refreshing: Promise<void> | undefined
  let leftOut: readonly LeftOut[] = []

  async function load(): Promise<void> {
    const store = options.definitions()
    const now = store.revision()
    if (now === revision) return
    const { settingsOfParts } = await import('./definitions.ts')
    const parts: Record<Section, Record<string, Tree>> = { vaults: {}, jobs: {}, notify: {} }
    const newBodies = new Map<string, string>()
    const out: LeftOut[] = []
    for (const part of store.list()) {
      const { kind, name } = part
      // What the configuration file says counts.
      if (ofFile[SECTION_OF[kind]].has(name)) continue
      if ('unreadable' in part) {
        out.push({ kind, name, why: part.unreadable })
        continue
      }
      const { body } = part
      parts[SECTION_OF[kind]][name] = body
      if (kind === 'vault') newBodies.set(name, JSON.stringify(body))
    }
    const { settings: added, faults } = await settingsOfParts(parts, context)
    for (const { path, fault } of faults) {
      const [section, part] = path
      const name = String(part)
      const kind = KINDS.find((one) => SECTION_OF[one] === section)
      if (kind !== undefined && !out.some((one) => one.kind === kind && one.name === name))
        out.push({ kind, name, why: `${fault.key}: ${fault.message}` })
    }
    for (const { kind, name, why } of out) options.onProblem(`the ${kind} ${name} is left out: ${why}`)
    leftOut = out
    take(added)
    const names = new Set([...bodies.keys(), ...newBodies.keys()])
    options.onChange([...names].filter((name) => bodies.get(name) !== newBodies.get(name)))
    bodies = newBodies
    revision = now
  }

  function take(added: PartSettings): void {
    for (const section of ['vaults', 'jobs', 'notify'] as const) {
      const live: Record<string, unknown> = settings[section]
      for (const name of Object.keys(live)) if (!ofFile[section].has(name)) delete live[name]
      Object.assign(live, added[section])
    }
    for (const job of hearAll) job.notify = Object.keys(settings.notify)
  }

  return {
    context,
    leftOut: () => leftOut,
    isManaged: (section, name) => ofFile[section].has(name),
    // One at a time: what comes meanwhile waits for it and looks again.
    async refresh() {
      while (refreshing !== undefined) await refreshing
      refreshing = load().finally(() => (refreshing = undefined))
      await refreshing
    },
  }
}
