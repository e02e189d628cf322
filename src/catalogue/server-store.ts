/** What the API keeps, in the SQLite catalogue: definitions, events, answers, the audit log. */
import { createHash, randomUUID } from 'node:crypto'
import type { Clock } from '../base/clock.ts'
import { toAppError } from '../base/errors.ts'
import { transaction, type Database } from './database.ts'
import type { AccessStore, AuditEntry, AuditStore } from '../model/access.ts'
import type {
  AnswerStore,
  Definition,
  DefinitionKind,
  DefinitionStore,
  EventStore,
  ServerStore,
  StoredAnswer,
  StoredEvent,
} from '../model/server-store.ts'
import { accessStore } from './access.ts'
import { storable } from './storable.ts'
import type { Seal } from './seal.ts'

export function serverStore(database: Database, clock: Clock, seal: Seal): ServerStore {
  let access: AccessStore | undefined
  let audit: AuditStore | undefined
  let definitions: DefinitionStore | undefined
  let events: EventStore | undefined
  let answers: AnswerStore | undefined
  return {
    get access() {
      return (access ??= accessStore(database, seal))
    },
    get audit() {
      return (audit ??= auditStore(database))
    },
    get definitions() {
      return (definitions ??= definitionStore(database, clock, seal))
    },
    get events() {
      return (events ??= eventStore(database))
    },
    get answers() {
      return (answers ??= answerStore(database, clock))
    },
  }
}

interface DefinitionRow {
  kind: DefinitionKind
  name: string
  id: string
  version: number
  created_at: number
  updated_at: number
  body: Uint8Array
}

const REVISION = 'definitions'

function definitionStore(database: Database, clock: Clock, seal: Seal): DefinitionStore {
  const sql = {
    revision: database.prepare('SELECT value FROM state WHERE key = ?'),
    bump: database.prepare(
      `INSERT INTO state (key, value) VALUES (?, '1')
       ON CONFLICT (key) DO UPDATE SET value = CAST(CAST(state.value AS INTEGER) + 1 AS TEXT)`,
    ),
    list: database.prepare('SELECT * FROM definition ORDER BY kind, name'),
    get: database.prepare('SELECT * FROM definition WHERE kind = ? AND name = ?'),
    insert: database.prepare(
      `INSERT INTO definition (kind, name, id, version, created_at, updated_at, body) VALUES (?, ?, ?, 1, ?, ?, ?)
       ON CONFLICT DO NOTHING`,
    ),
    update: database.prepare(
      `UPDATE definition SET version = version + 1, updated_at = ?, body = ? WHERE kind = ? AND name = ? AND version = ?`,
    ),
    remove: database.prepare('DELETE FROM definition WHERE kind = ? AND name = ?'),
  }
  const read = (row: DefinitionRow): Definition => ({
    kind: row.kind,
    name: row.name,
    id: row.id,
    version: row.version,
    createdAt: new Date(row.created_at),
    updatedAt: new Date(row.updated_at),
    body: seal.open(row.body) as Definition['body'],
  })
  const changed = (work: () => boolean): boolean =>
    transaction(database, () => {
      if (!work()) return false
      sql.bump.run(REVISION)
      return true
    })
  return {
    revision: () => Number((sql.revision.get(REVISION) as { value: string } | undefined)?.value ?? 0),
    list: () =>
      (sql.list.all() as unknown as DefinitionRow[]).map((row) => {
        try {
          return read(row)
        } catch (error) {
          return { kind: row.kind, name: row.name, unreadable: toAppError(error).message }
        }
      }),
    get(kind, name) {
      const row = sql.get.get(kind, name) as DefinitionRow | undefined
      return row && read(row)
    },
    save(kind, name, body, version) {
      const now = clock.now().getTime()
      const bytes = seal.seal(body)
      return changed(() =>
        version === undefined
          ? sql.insert.run(kind, name, randomUUID(), now, now, bytes).changes > 0
          : sql.update.run(now, bytes, kind, name, version).changes > 0,
      )
    },
    remove: (kind, name) => changed(() => sql.remove.run(kind, name).changes > 0),
  }
}

function eventStore(database: Database): EventStore {
  const sql = {
    after: database.prepare('SELECT id, type, key FROM event WHERE id > ? ORDER BY id LIMIT ?'),
    newest: database.prepare(`SELECT coalesce(max(id), 0) AS id FROM event`),
    oldest: database.prepare('SELECT coalesce(min(id), 0) AS id FROM event'),
    tidy: database.prepare('DELETE FROM event WHERE id <= (SELECT max(id) FROM event) - ?'),
  }
  return {
    after: (id, limit) => sql.after.all(id, limit) as unknown as StoredEvent[],
    newest: () => (sql.newest.get() as { id: number }).id,
    oldest: () => (sql.oldest.get() as { id: number }).id,
    tidy: (keep) => void sql.tidy.run(keep),
  }
}

function answerStore(database: Database, clock: Clock): AnswerStore {
  const sql = {
    get: database.prepare('SELECT request, status, body, headers FROM answer WHERE actor = ? AND key = ?'),
    save: database.prepare(
      'INSERT INTO answer (actor, key, request, at, status, body, headers) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING',
    ),
    tidy: database.prepare('DELETE FROM answer WHERE at < ?'),
  }
  return {
    get(actor, key) {
      const row = sql.get.get(actor, key) as (Omit<StoredAnswer, 'headers'> & { headers: string }) | undefined
      return row && { ...row, headers: JSON.parse(row.headers) as StoredAnswer['headers'] }
    },
    save: (actor, key, { request, status, body, headers }) =>
      void sql.save.run(actor, key, request, clock.now().getTime(), status, body, JSON.stringify(headers)),
    tidy: (before) => void sql.tidy.run(before.getTime()),
  }
}

interface AuditRow {
  id: number
  at: number
  actor: string
  action: string
  object: string
  detail: string
  address: string | null
  hash: string
}

function auditStore(database: Database): AuditStore {
  const sql = {
    last: database.prepare('SELECT hash FROM audit ORDER BY id DESC LIMIT 1'),
    insert: database.prepare(
      `INSERT INTO audit (id, at, actor, action, object, detail, address, hash)
       VALUES ((SELECT coalesce(max(id), 0) + 1 FROM audit), ?, ?, ?, ?, ?, ?, ?)`,
    ),
    list: database.prepare(
      `SELECT * FROM audit WHERE (:before IS NULL OR id < :before) AND (:actor IS NULL OR actor = :actor)
         AND (:action IS NULL OR substr(action, 1, length(:action)) = :action) ORDER BY id DESC LIMIT :limit`,
    ),
    all: database.prepare('SELECT * FROM audit ORDER BY id'),
  }
  return {
    append({ at, actor, action, object, detail, address = null }) {
      transaction(database, () => {
        const before = (sql.last.get() as { hash: string } | undefined)?.hash ?? ''
        // The hash is of what will be read.
        const texts = [actor, action, object, JSON.stringify(detail)].map(storable) as [string, string, string, string]
        const [who, what, of, more] = texts
        const row = { at: at.getTime(), actor: who, action: what, object: of, detail: more, address }
        sql.insert.run(row.at, ...texts, address, hashOf(before, row))
      })
    },
    list({ before, actor, action, limit }) {
      const rows = sql.list.all({ before: before ?? null, actor: actor ?? null, action: action ?? null, limit })
      return (rows as unknown as AuditRow[]).map(readAudit)
    },
    check() {
      let before = ''
      let entries = 0
      for (const row of sql.all.iterate()) {
        const entry = row as AuditRow
        entries += 1
        // Numbers run from 1 without a gap, as nothing is ever deleted.
        if (entry.id !== entries || entry.hash !== hashOf(before, entry))
          return { ok: false, entries, brokenAt: entry.id }
        before = entry.hash
      }
      return { ok: true, entries }
    },
  }
}

function hashOf(before: string, { at, actor, action, object, detail, address }: Omit<AuditRow, 'id' | 'hash'>): string {
  return createHash('sha256')
    .update(JSON.stringify([before, at, actor, action, object, detail, address]))
    .digest('hex')
}

const readAudit = (row: AuditRow): AuditEntry => ({
  id: row.id,
  at: new Date(row.at),
  actor: row.actor,
  action: row.action,
  object: row.object,
  detail: JSON.parse(row.detail) as Record<string, unknown>,
  ...(row.address !== null && { address: row.address }),
  hash: row.hash,
})
