/** Who may do what, and what was done. */
export type Role = 'viewer' | 'operator' | 'restorer' | 'admin'
/** `delete` is no scope that a token can have without `admin`. */
export type Scope = 'read' | 'operate' | 'restore' | 'delete' | 'admin'

export const SCOPES_OF: Record<Role, readonly Scope[]> = {
  viewer: ['read'],
  operator: ['read', 'operate'],
  restorer: ['read', 'restore'],
  admin: ['read', 'operate', 'restore', 'delete', 'admin'],
}

export interface User {
  id: string
  name: string
  role: Role
  disabled: boolean
  /** Of the identity provider: issuer and subject. */
  subject?: string
  createdAt: Date
  seenAt?: Date
  secret: UserSecret
}

/** Kept sealed. */
export interface UserSecret {
  /** Argon2id, as base/password.ts writes it; absent: no password works. */
  password?: string
  totp?: {
    /** Base32. */
    secret: string
    on: boolean
    /** The last time step that a code was taken of: no code works twice. */
    step?: number
  }
  /** SHA-256 of recovery codes that were not used yet. */
  recovery: string[]
}

export interface Session {
  hash: string
  user: string
  createdAt: Date
  seenAt: Date
  expiresAt: Date
  agent: string
  address: string
}

export interface ApiToken {
  id: string
  hash: string
  user: string
  name: string
  scopes: Scope[]
  ending: string
  createdAt: Date
  expiresAt?: Date
  usedAt?: Date
}

export interface AccessStore {
  /** By name. */
  users(): User[]
  user(id: string): User | undefined
  /** Case does not count. */
  userNamed(name: string): User | undefined
  userOfSubject(subject: string): User | undefined
  saveUser(user: User): void
  /** The first account, if there is none yet: false when somebody was faster. */
  saveFirstUser(user: User): boolean
  /** With sessions and tokens. */
  removeUser(id: string): void
  userSeen(id: string, at: Date): void

  session(hash: string): Session | undefined
  sessions(user: string): Session[]
  saveSession(session: Session): void
  removeSession(hash: string): void
  removeSessions(user: string, options?: { but?: string }): void

  tokens(user?: string): ApiToken[]
  tokenOfHash(hash: string): ApiToken | undefined
  saveToken(token: ApiToken): void
  /** False if there is none. */
  removeToken(id: string): boolean
  tokenUsed(id: string, at: Date): void

  attempt(subject: string, at: Date): void
  attempts(subject: string, since: Date): Date[]
  /** One that was none: as if it had not been made. */
  withdrawAttempt(subject: string, at: Date): void
  clearAttempts(subject: string): void
  /** Removes sessions that are over and attempts from before. */
  tidy(now: Date, attemptsBefore: Date): void
}

export interface AuditEntry {
  id: number
  at: Date
  actor: string
  /** `job.create`, `backup.download`, … */
  action: string
  object: string
  /** Holds no secret. */
  detail: Record<string, unknown>
  address?: string
  hash: string
}

export interface AuditStore {
  append(entry: Omit<AuditEntry, 'id' | 'hash'>): void
  /** Newest first. */
  list(filter: { before?: number; actor?: string; action?: string; limit: number }): AuditEntry[]
  /** Walks the whole chain. */
  check(): { ok: boolean; entries: number; brokenAt?: number }
}
