/** Incidents in the SQLite catalogue. */
import { randomUUID } from 'node:crypto'
import type { Clock } from '../base/clock.ts'
import { transaction, type Database } from './database.ts'
import type { Finding, Incident, IncidentStore } from '../model/incident.ts'

type Row = { body: string }

const subjectOf = ({ kind, job, vault = '' }: Finding): string => JSON.stringify([kind, job, vault])

export function incidentStore(database: Database, clock: Clock): IncidentStore {
  const sql = {
    openOf: database.prepare('SELECT body FROM incident WHERE job = ? AND closed_at IS NULL'),
    insert: database.prepare('INSERT INTO incident (id, subject, job, opened_at, body) VALUES (?, ?, ?, ?, ?)'),
    save: database.prepare('UPDATE incident SET closed_at = ?, body = ? WHERE id = ?'),
    get: database.prepare(`SELECT body FROM incident WHERE id >= ? AND id < ? || 'g' LIMIT 2`),
    list: database.prepare(
      `SELECT body FROM incident WHERE (:job IS NULL OR job = :job) AND (:open = 0 OR closed_at IS NULL)
       ORDER BY closed_at IS NOT NULL, opened_at DESC LIMIT :limit`,
    ),
  }
  const save = (incident: Incident): void =>
    void sql.save.run(incident.closedAt?.getTime() ?? null, JSON.stringify(incident), incident.id)

  function find(id: string): Incident | undefined {
    const rows = sql.get.all(id, id) as unknown as Row[]
    return rows.length === 1 && rows[0] !== undefined ? read(rows[0]) : undefined
  }

  function change(id: string, with_: (incident: Incident) => Partial<Incident>): void {
    const incident = find(id)
    if (incident !== undefined) save({ ...incident, ...with_(incident) })
  }

  function review(job: string, findings: readonly Finding[]): { opened: Incident[]; closed: Incident[] } {
    const now = clock.now()
    const open = new Map((sql.openOf.all(job) as unknown as Row[]).map(read).map((one) => [subjectOf(one), one]))
    const opened: Incident[] = []
    for (const finding of findings) {
      const subject = subjectOf(finding)
      const known = open.get(subject)
      open.delete(subject)
      if (known === undefined) {
        const incident: Incident = { ...finding, id: randomUUID(), openedAt: now, count: 1 }
        sql.insert.run(incident.id, subject, job, now.getTime(), JSON.stringify(incident))
        opened.push(incident)
      } else if (known.run !== finding.run || known.message !== finding.message) {
        const again = known.run === finding.run ? 0 : 1
        save({ ...known, ...finding, count: known.count + again })
      }
    }
    const closed = [...open.values()].map((incident) => ({ ...incident, closedAt: now }))
    closed.forEach(save)
    return { opened, closed }
  }

  return {
    review: (job, findings) => transaction(database, () => review(job, findings)),
    list({ job, open = false, limit = 100 } = {}) {
      return (sql.list.all({ job: job ?? null, open: open ? 1 : 0, limit }) as unknown as Row[]).map(read)
    },
    find,
    acknowledge: (id, by) => change(id, () => ({ acknowledgedAt: clock.now(), acknowledgedBy: by })),
    snooze: (id, until) => change(id, () => ({ snoozedUntil: until })),
    told: (id) => change(id, () => ({ toldAt: clock.now() })),
  }
}

function read({ body }: Row): Incident {
  const { openedAt, closedAt, acknowledgedAt, snoozedUntil, toldAt, ...rest } = JSON.parse(body) as Incident
  const dates = { closedAt, acknowledgedAt, snoozedUntil, toldAt }
  const known = Object.entries(dates).flatMap(([name, time]) => (time === undefined ? [] : [[name, new Date(time)]]))
  return { ...rest, openedAt: new Date(openedAt), ...(Object.fromEntries(known) as Partial<Incident>) }
}
