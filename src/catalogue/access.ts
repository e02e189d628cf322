/** Users, sessions and tokens in the SQLite catalogue. */
import { transaction, type Database } from './database.ts'
import type { AccessStore, ApiToken, Role, Scope, Session, User, UserSecret } from '../model/access.ts'
import type { Seal } from './seal.ts'

interface UserRow {
  id: string
  name: string
  role: Role
  disabled: number
  subject: string | null
  created_at: number
  seen_at: number | null
  secret: Uint8Array
}

interface SessionRow {
  hash: string
  user: string
  created_at: number
  seen_at: number
  expires_at: number
  agent: string
  address: string
}

interface TokenRow {
  id: string
  hash: string
  user: string
  name: string
  scopes: string
  ending: string
  created_at: number
  expires_at: number | null
  used_at: number | null
}

export function accessStore(database: Database, seal: Seal): AccessStore {
  const sql = statements(database)
  const user = (row: unknown): User | undefined => (row === undefined ? undefined : readUser(row as UserRow, seal))
  const saveUser = ({ id, name, role, disabled, subject, createdAt, seenAt, secret }: User): void =>
    void sql.saveUser.run(
      id,
      name,
      role,
      disabled ? 1 : 0,
      subject ?? null,
      createdAt.getTime(),
      seenAt?.getTime() ?? null,
      seal.seal(secret),
    )

  return {
    users: () => (sql.users.all() as unknown as UserRow[]).map((row) => readUser(row, seal)),
    user: (id) => user(sql.user.get(id)),
    userNamed: (name) => user(sql.userNamed.get(name)),
    userOfSubject: (subject) => user(sql.userOfSubject.get(subject)),
    saveUser,
    saveFirstUser: (first) =>
      transaction(database, () => {
        if (sql.users.get() !== undefined) return false
        saveUser(first)
        return true
      }),
    removeUser: (id) => void sql.removeUser.run(id),
    userSeen: (id, at) => void sql.userSeen.run(at.getTime(), id),
    session(hash) {
      const row = sql.session.get(hash) as SessionRow | undefined
      return row && readSession(row)
    },
    sessions: (of) => (sql.sessions.all(of) as unknown as SessionRow[]).map(readSession),
    saveSession: ({ hash, user: of, createdAt, seenAt, expiresAt, agent, address }) =>
      void sql.saveSession.run(hash, of, createdAt.getTime(), seenAt.getTime(), expiresAt.getTime(), agent, address),
    removeSession: (hash) => void sql.removeSession.run(hash),
    removeSessions: (of, { but = '' } = {}) => void sql.removeSessions.run(of, but),
    tokens: (of) => (sql.tokens.all({ of: of ?? null }) as unknown as TokenRow[]).map(readToken),
    tokenOfHash(hash) {
      const row = sql.tokenOfHash.get(hash) as TokenRow | undefined
      return row && readToken(row)
    },
    saveToken: ({ id, hash, user: of, name, scopes, ending, createdAt, expiresAt }) =>
      void sql.saveToken.run(
        id,
        hash,
        of,
        name,
        scopes.join(' '),
        ending,
        createdAt.getTime(),
        expiresAt?.getTime() ?? null,
      ),
    removeToken: (id) => sql.removeToken.run(id).changes > 0,
    tokenUsed: (id, at) => void sql.tokenUsed.run(at.getTime(), id),
    attempt: (subject, at) => void sql.attempt.run(subject, at.getTime()),
    attempts: (subject, since) =>
      (sql.attempts.all(subject, since.getTime()) as { at: number }[]).map(({ at }) => new Date(at)),
    withdrawAttempt: (subject, at) => void sql.withdrawAttempt.run(subject, at.getTime()),
    clearAttempts: (subject) => void sql.clearAttempts.run(subject),
    tidy(now, attemptsBefore) {
      sql.tidySessions.run(now.getTime())
      sql.tidyAttempts.run(attemptsBefore.getTime())
    },
  }
}

function readUser(row: UserRow, seal: Seal): User {
  return {
    id: row.id,
    name: row.name,
    role: row.role,
    disabled: row.disabled === 1,
    ...(row.subject !== null && { subject: row.subject }),
    createdAt: new Date(row.created_at),
    ...(row.seen_at !== null && { seenAt: new Date(row.seen_at) }),
    secret: seal.open(row.secret) as UserSecret,
  }
}

const readSession = (row: SessionRow): Session => ({
  hash: row.hash,
  user: row.user,
  createdAt: new Date(row.created_at),
  seenAt: new Date(row.seen_at),
  expiresAt: new Date(row.expires_at),
  agent: row.agent,
  address: row.address,
})

const readToken = (row: TokenRow): ApiToken => ({
  id: row.id,
  hash: row.hash,
  user: row.user,
  name: row.name,
  scopes: row.scopes.split(' ') as Scope[],
  ending: row.ending,
  createdAt: new Date(row.created_at),
  ...(row.expires_at !== null && { expiresAt: new Date(row.expires_at) }),
  ...(row.used_at !== null && { usedAt: new Date(row.used_at) }),
})

// oxlint-disable-next-line typescript/explicit-function-return-type
function statements(database: Database) {
  return {
    users: database.prepare('SELECT * FROM "user" ORDER BY name'),
    user: database.prepare('SELECT * FROM "user" WHERE id = ?'),
    userNamed: database.prepare('SELECT * FROM "user" WHERE lower(name) = lower(?)'),
    userOfSubject: database.prepare('SELECT * FROM "user" WHERE subject = ?'),
    saveUser: database.prepare(
      `INSERT INTO "user" (id, name, role, disabled, subject, created_at, seen_at, secret) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (id) DO UPDATE SET name = excluded.name, role = excluded.role, disabled = excluded.disabled,
         subject = excluded.subject, seen_at = excluded.seen_at, secret = excluded.secret`,
    ),
    removeUser: database.prepare('DELETE FROM "user" WHERE id = ?'),
    userSeen: database.prepare('UPDATE "user" SET seen_at = ? WHERE id = ?'),
    session: database.prepare('SELECT * FROM session WHERE hash = ?'),
    sessions: database.prepare('SELECT * FROM session WHERE "user" = ? ORDER BY seen_at DESC'),
    saveSession: database.prepare(
      `INSERT INTO session VALUES (?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (hash) DO UPDATE SET seen_at = excluded.seen_at, expires_at = excluded.expires_at`,
    ),
    removeSession: database.prepare('DELETE FROM session WHERE hash = ?'),
    removeSessions: database.prepare('DELETE FROM session WHERE "user" = ? AND hash <> ?'),
    tokens: database.prepare('SELECT * FROM token WHERE :of IS NULL OR "user" = :of ORDER BY created_at'),
    tokenOfHash: database.prepare('SELECT * FROM token WHERE hash = ?'),
    saveToken: database.prepare(
      'INSERT INTO token (id, hash, "user", name, scopes, ending, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
    ),
    removeToken: database.prepare('DELETE FROM token WHERE id = ?'),
    tokenUsed: database.prepare('UPDATE token SET used_at = ? WHERE id = ?'),
    attempt: database.prepare('INSERT INTO attempt (subject, at) VALUES (?, ?)'),
    attempts: database.prepare('SELECT at FROM attempt WHERE subject = ? AND at >= ? ORDER BY at'),
    withdrawAttempt: database.prepare(
      'DELETE FROM attempt WHERE rowid = (SELECT rowid FROM attempt WHERE subject = ? AND at = ? LIMIT 1)',
    ),
    clearAttempts: database.prepare('DELETE FROM attempt WHERE subject = ?'),
    tidySessions: database.prepare('DELETE FROM session WHERE expires_at < ?'),
    tidyAttempts: database.prepare('DELETE FROM attempt WHERE at < ?'),
  }
}
