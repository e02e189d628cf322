/** What the wizard works on: the job's definition itself, so that what it does not know stays. */
import { type Definition, get, objectAt, set, textAt, textsAt } from '../../forms/definition.ts'
import { complete } from '../../forms/fields.tsx'
import { withoutSecrets } from '../../forms/secrets.ts'
import { SOURCES } from '../../forms/specs.ts'
import { zone } from '../../format/time.ts'

export interface Draft {
  name: string
  definition: Definition
}

export const STEPS = ['source', 'vaults', 'schedule', 'retention', 'notify', 'review'] as const
export type Step = (typeof STEPS)[number]

export interface StepProps {
  draft: Draft
  change: (definition: Definition) => void
  rename: (name: string) => void
  isNew: boolean
}

export const newDraft = (): Draft => ({
  name: '',
  definition: {
    source: { type: 'files', paths: [] },
    vaults: [],
    schedule: { cron: '0 3 * * *', timezone: zone, missed: 'once' },
    retention: { last: 3, daily: 7, weekly: 4, monthly: 12 },
    verify: { afterBackup: 'V1' },
  },
})

/** A list of names, or members with a strategy. */
export const vaultsOf = (definition: Definition): string[] =>
  textsAt(
    definition,
    Array.isArray(get(definition, 'vaults')) || textAt(definition, 'vaults') !== '' ? 'vaults' : 'vaults.members',
  )

export function withVaults(definition: Definition, names: string[]): Definition {
  const strategy = get(definition, 'vaults.strategy')
  return set(
    definition,
    'vaults',
    strategy === undefined ? names : { ...objectAt(definition, 'vaults'), members: names },
  )
}

/** A schedule may be the cron expression alone. */
export function normal(definition: Definition): Definition {
  const schedule = get(definition, 'schedule')
  return typeof schedule === 'string' ? set(definition, 'schedule', { cron: schedule }) : definition
}

/** What is missing on the way to a step. */
export function ready({ name, definition }: Draft, step: Step): boolean {
  if (step === 'source') {
    if (name.trim() === '') return false
    const type = textAt(definition, 'source.type')
    if (type === 'files') return textsAt(definition, 'source.paths').length > 0
    if (type === 'sqlite')
      return textsAt(definition, 'source.files').length > 0 || textAt(definition, 'source.file') !== ''
    return complete(SOURCES[type] ?? [], objectAt(definition, 'source'))
  }
  return step !== 'vaults' || vaultsOf(definition).length > 0
}

const keyOf = (name: string | undefined): string => `holdfast.draft.${name ?? ''}`

/** Kept in this tab, without what was typed as a secret. */
export function keepDraft(job: string | undefined, draft: Draft): void {
  try {
    sessionStorage.setItem(keyOf(job), JSON.stringify({ ...draft, definition: withoutSecrets(draft.definition) }))
  } catch {
    // A full or refused storage costs the draft, nothing else.
  }
}

export function keptDraft(job: string | undefined): Draft | undefined {
  try {
    const value: unknown = JSON.parse(sessionStorage.getItem(keyOf(job)) ?? 'null')
    if (typeof value !== 'object' || value === null) return undefined
    const name = get({ ...value }, 'name')
    return { name: typeof name === 'string' ? name : '', definition: objectAt({ ...value }, 'definition') }
  } catch {
    return undefined
  }
}

export function dropDraft(job: string | undefined): void {
  try {
    sessionStorage.removeItem(keyOf(job))
  } catch {
    // Nothing was kept.
  }
}
