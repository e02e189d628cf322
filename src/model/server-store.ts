/** What the API keeps in the catalogue. */
import type { AccessStore, AuditStore } from './access.ts'

export type DefinitionKind = 'vault' | 'job' | 'notifier'

/** A part of the configuration that was made by the API. */
export interface Definition {
  kind: DefinitionKind
  name: string
  /** Stays when the name of something else is used again. */
  id: string
  version: number
  createdAt: Date
  updatedAt: Date
  /** In the words of the configuration file; secrets are in it. */
  body: Record<string, unknown>
}

/** One that does not open, as with another key. */
export interface UnreadableDefinition {
  kind: DefinitionKind
  name: string
  unreadable: string
}

export interface DefinitionStore {
  /** Changes with every change of any of them. */
  revision(): number
  list(): (Definition | UnreadableDefinition)[]
  get(kind: DefinitionKind, name: string): Definition | undefined
  /** New, or in place of the version that is told. False when that is not the one there. */
  save(kind: DefinitionKind, name: string, body: Record<string, unknown>, version?: number): boolean
  remove(kind: DefinitionKind, name: string): boolean
}

/** Something changed; `key` says what, by its type: a run's id, an alert's id, a name, `VAULT\nBACKUP`. */
export interface StoredEvent {
  id: number
  type: string
  key: string
}

export interface EventStore {
  /** After this one, oldest first. */
  after(id: number, limit: number): StoredEvent[]
  newest(): number
  /** The first that is kept. */
  oldest(): number
  /** Keeps the newest so many. */
  tidy(keep: number): void
}

export interface StoredAnswer {
  request: string
  status: number
  body: string
  headers: Record<string, string | string[]>
}

export interface AnswerStore {
  get(actor: string, key: string): StoredAnswer | undefined
  save(actor: string, key: string, answer: StoredAnswer): void
  tidy(before: Date): void
}

export interface ServerStore {
  readonly access: AccessStore
  readonly audit: AuditStore
  readonly definitions: DefinitionStore
  readonly events: EventStore
  readonly answers: AnswerStore
}
