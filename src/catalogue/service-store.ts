/** The service's tables in the SQLite catalogue. */
import { randomUUID } from 'node:crypto'
import type { Clock } from '../base/clock.ts'
import { processIdentity, processState, type ProcessIdentity } from '../base/process-identity.ts'
import { transaction, type Database } from './database.ts'
import type {
  Claim,
  NewSlot,
  Recurrence,
  RecurrenceState,
  ServiceStore,
  Slot,
  SlotState,
  Task,
  TaskState,
} from '../model/service.ts'
import type { Seal } from './seal.ts'

interface TaskRow {
  run: string
  state: TaskState
  token: string | null
  owner: string | null
  lease_until: number | null
  body: string
  options: Uint8Array | null
}

interface SlotRow {
  recurrence: string
  due: number
  job: string
  state: SlotState
  reason: string | null
  run: string | null
}

interface StateRow {
  cursor: number
  spec: string
  paused_until: number | null
  pause_reason: string | null
}

/** By so much the clocks of machines may differ. */
const CLOCKS_MS = 60_000
/** Tasks that are looked at for one that may begin. */
const FEW = 3
const MANY = 50

export function serviceStore(database: Database, clock: Clock, seal: Seal): ServiceStore {
  const sql = statements(database)
  const now = (): number => clock.now().getTime()

  const readTask = (row: TaskRow): Task => ({
    ...taskOf(row),
    ...(row.options !== null && { options: seal.open(row.options) as NonNullable<Task['options']> }),
  })

  function insertTask({ options, ...task }: Task): void {
    sql.insertTask.run(
      task.id,
      task.job,
      task.recurrence ?? null,
      task.due.getTime(),
      task.notBefore.getTime(),
      task.run,
      JSON.stringify(task),
      options === undefined ? null : seal.seal(options),
    )
  }

  /** A slot of the task follows what becomes of it. */
  function slotOf(task: Task, state: SlotState, reason: string | undefined): void {
    if (task.recurrence !== undefined)
      sql.endSlot.run(state, reason ?? null, task.run, task.recurrence, task.due.getTime())
  }

  /** Of a worker that is gone: whoever goes on need not wait until its lease of the job ends by itself. */
  function endLease({ id, job, kind }: Task): void {
    // A restore may be made beside the work that has it.
    if (kind !== 'restore') sql.endLease.run(`job:${job}`, id)
  }

  return {
    state(recurrence) {
      const row = sql.state.get(recurrence) as StateRow | undefined
      return row && stateOf(row)
    },
    states: () =>
      new Map((sql.states.all() as unknown as (StateRow & { name: string })[]).map((row) => [row.name, stateOf(row)])),
    pause(recurrence, until, reason) {
      sql.pause.run(recurrence, now(), until?.getTime() ?? null, reason ?? null)
    },
    added: () => (sql.added.all() as { body: string }[]).map(({ body }) => JSON.parse(body) as Recurrence),
    add: (recurrence) => void sql.add.run(recurrence.name, JSON.stringify(recurrence)),
    removeAdded: (name) => sql.removeAdded.run(name).changes > 0,

    record(slots, cursors, onTask = () => undefined) {
      return transaction(database, () => {
        const made: Task[] = []
        for (const slot of slots) {
          const task = recordSlot(slot)
          if (task === undefined) continue
          made.push(task)
          onTask(task)
        }
        for (const { recurrence, at, spec } of cursors) sql.saveCursor.run(recurrence, at.getTime(), spec)
        return made
      })
    },
    enqueue(task) {
      return transaction(database, () => {
        if (task.kind !== 'restore' && sql.openTaskOfJob.get(task.job, task.kind) !== undefined) return undefined
        insertTask(task)
        return task
      })
    },
    slots({ recurrence, job, since, limit = 1000 }) {
      const rows = sql.slots.all({
        recurrence: recurrence ?? null,
        job: job ?? null,
        since: since?.getTime() ?? 0,
        limit,
      })
      return (rows as unknown as SlotRow[]).map(readSlot)
    },
    firstSlot(recurrence) {
      const { due } = sql.firstSlot.get(recurrence) as { due: number | null }
      return due === null ? undefined : new Date(due)
    },
    tasks(state) {
      const rows = (state === undefined ? sql.tasks.all() : sql.tasksIn.all(state)) as unknown as TaskRow[]
      return rows.map((row) => ({ ...taskOf(row), state: row.state, ...(row.owner && { by: nameOf(row.owner) }) }))
    },

    claim(labels, leaseMs, may) {
      return transaction(database, () => {
        const atWork = may === undefined ? [] : (sql.tasksIn.all('claimed') as unknown as TaskRow[]).map(taskOf)
        const suits = (one: TaskRow): boolean => {
          const task = taskOf(one)
          return task.labels.every((label) => labels.includes(label)) && (may?.(task, atWork) ?? true)
        }
        // Most often the first will do.
        const few = sql.waiting.all(now(), FEW) as unknown as TaskRow[]
        const row =
          few.find(suits) ??
          (few.length < FEW ? undefined : (sql.waiting.all(now(), MANY) as unknown as TaskRow[]).find(suits))
        if (row === undefined) return undefined
        const task = readTask(row)
        const token = randomUUID()
        sql.claim.run(token, JSON.stringify(processIdentity()), now() + leaseMs, task.id)
        return { task, token }
      })
    },
    renew: ({ task, token }, leaseMs) => sql.renew.run(now() + leaseMs, task.id, token).changes > 0,
    finish({ task, token }, state, reason) {
      return transaction(database, () => {
        if (sql.finish.run(now(), task.id, token).changes === 0) return false
        endLease(task)
        slotOf(task, state, reason)
        return true
      })
    },
    release({ task, token }, run, notBefore, onTask) {
      const { options: _, ...rest } = task
      const next = { ...rest, run, notBefore, attempt: task.attempt + 1 }
      return transaction(database, () => {
        endLease(task)
        const { changes } = sql.release.run(run, notBefore.getTime(), JSON.stringify(next), task.id, token)
        if (changes === 0) return false
        onTask?.({ ...task, ...next })
        return true
      })
    },
    withdraw(run, reason) {
      return transaction(database, () => {
        const row = sql.waitingRun.get(run) as TaskRow | undefined
        if (row === undefined) return false
        const task = readTask(row)
        sql.withdraw.run(now(), task.id)
        slotOf(task, 'skipped', reason)
        return true
      })
    },
    abandoned() {
      const rows = sql.tasksIn.all('claimed') as unknown as TaskRow[]
      return rows.flatMap((row): Claim[] => {
        if (row.token === null || row.owner === null) return []
        const state = processState(JSON.parse(row.owner) as ProcessIdentity)
        // Twice the time, as clocks differ.
        const silent = (row.lease_until ?? 0) + CLOCKS_MS < now()
        // Where we can look, the process counts: one that is only slow keeps its work.
        return state === 'dead' || (state === 'unknown' && silent) ? [{ task: readTask(row), token: row.token }] : []
      })
    },
    tidy(before) {
      sql.tidyTasks.run(before.getTime())
      sql.tidySlots.run(before.getTime())
    },
  }

  function recordSlot({ task, ...slot }: NewSlot): Task | undefined {
    const busy = task !== undefined && sql.openTask.get(slot.recurrence) !== undefined
    const state = busy ? 'skipped' : slot.state
    const reason = busy ? 'the run before it still waits or works' : slot.reason
    const { changes } = sql.insertSlot.run(
      slot.recurrence,
      slot.due.getTime(),
      slot.job,
      state,
      reason ?? null,
      busy ? null : (task?.run ?? null),
    )
    // Somebody else was first.
    if (changes === 0 || busy || task === undefined) return undefined
    insertTask(task)
    return task
  }
}

function nameOf(owner: string): string {
  const { pid, host } = JSON.parse(owner) as ProcessIdentity
  return `process ${pid} on ${host}`
}

function stateOf(row: StateRow): RecurrenceState {
  return {
    cursor: new Date(row.cursor),
    spec: row.spec,
    ...(row.paused_until !== null && { pausedUntil: new Date(row.paused_until) }),
    ...(row.pause_reason !== null && { pauseReason: row.pause_reason }),
  }
}

function readSlot(row: SlotRow): Slot {
  return {
    recurrence: row.recurrence,
    job: row.job,
    due: new Date(row.due),
    state: row.state,
    ...(row.reason !== null && { reason: row.reason }),
    ...(row.run !== null && { run: row.run }),
  }
}

function taskOf({ body }: TaskRow): Task {
  const task = JSON.parse(body) as Task
  return { ...task, due: new Date(task.due), notBefore: new Date(task.notBefore) }
}

// oxlint-disable-next-line typescript/explicit-function-return-type
function statements(database: Database) {
  return {
    state: database.prepare('SELECT cursor, spec, paused_until, pause_reason FROM recurrence_state WHERE name = ?'),
    states: database.prepare('SELECT name, cursor, spec, paused_until, pause_reason FROM recurrence_state'),
    saveCursor: database.prepare(
      `INSERT INTO recurrence_state (name, cursor, spec) VALUES (?, ?, ?)
       ON CONFLICT (name) DO UPDATE SET cursor = excluded.cursor, spec = excluded.spec`,
    ),
    pause: database.prepare(
      `INSERT INTO recurrence_state (name, cursor, spec, paused_until, pause_reason) VALUES (?, ?, '', ?, ?)
       ON CONFLICT (name) DO UPDATE SET paused_until = excluded.paused_until, pause_reason = excluded.pause_reason`,
    ),
    added: database.prepare('SELECT body FROM recurrence ORDER BY name'),
    add: database.prepare(
      'INSERT INTO recurrence (name, body) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET body = excluded.body',
    ),
    removeAdded: database.prepare('DELETE FROM recurrence WHERE name = ?'),
    insertSlot: database.prepare(
      'INSERT INTO slot (recurrence, due, job, state, reason, run) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING',
    ),
    endSlot: database.prepare('UPDATE slot SET state = ?, reason = ?, run = ? WHERE recurrence = ? AND due = ?'),
    slots: database.prepare(
      `SELECT recurrence, due, job, state, reason, run FROM slot
       WHERE due >= :since AND (:recurrence IS NULL OR recurrence = :recurrence) AND (:job IS NULL OR job = :job)
       ORDER BY due DESC LIMIT :limit`,
    ),
    firstSlot: database.prepare('SELECT min(due) AS due FROM slot WHERE recurrence = ?'),
    insertTask: database.prepare(
      `INSERT INTO task (id, job, recurrence, due, not_before, state, run, body, options) VALUES (?, ?, ?, ?, ?, 'queued', ?, ?, ?)`,
    ),
    openTask: database.prepare(`SELECT 1 FROM task WHERE recurrence = ? AND state <> 'done' LIMIT 1`),
    openTaskOfJob: database.prepare(
      `SELECT 1 FROM task WHERE job = ? AND body ->> 'kind' = ? AND state <> 'done' LIMIT 1`,
    ),
    tasks: database.prepare(`SELECT * FROM task WHERE state <> 'done' ORDER BY due, id`),
    tasksIn: database.prepare('SELECT * FROM task WHERE state = ? ORDER BY due, id'),
    waiting: database.prepare(
      `SELECT * FROM task WHERE state = 'queued' AND not_before <= ?
         AND (job NOT IN (SELECT job FROM task WHERE state = 'claimed' AND body ->> 'kind' <> 'restore')
           OR body ->> 'kind' = 'restore')
       ORDER BY not_before, id LIMIT ?`,
    ),
    waitingRun: database.prepare(`SELECT * FROM task WHERE run = ? AND state = 'queued'`),
    claim: database.prepare(
      `UPDATE task SET state = 'claimed', token = ?, owner = ?, lease_until = ? WHERE id = ? AND state = 'queued'`,
    ),
    renew: database.prepare(`UPDATE task SET lease_until = ? WHERE id = ? AND token = ? AND state = 'claimed'`),
    finish: database.prepare(
      `UPDATE task SET state = 'done', ended_at = ?, token = NULL WHERE id = ? AND token = ? AND state = 'claimed'`,
    ),
    release: database.prepare(
      `UPDATE task SET state = 'queued', run = ?, not_before = ?, body = ?, token = NULL, owner = NULL, lease_until = NULL
       WHERE id = ? AND token = ? AND state = 'claimed'`,
    ),
    endLease: database.prepare('DELETE FROM lease WHERE name = ? AND owner = (SELECT owner FROM task WHERE id = ?)'),
    withdraw: database.prepare(`UPDATE task SET state = 'done', ended_at = ? WHERE id = ? AND state = 'queued'`),
    tidyTasks: database.prepare(`DELETE FROM task WHERE state = 'done' AND ended_at < ?`),
    tidySlots: database.prepare('DELETE FROM slot WHERE due < ?'),
  }
}
