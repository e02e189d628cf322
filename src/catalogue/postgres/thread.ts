/**
 * The thread that talks to PostgreSQL, while the one that asks waits: one connection, one question at a time. A
 * connection that breaks is made anew with the next question; a transaction that was open then is lost as a whole.
 */
import { createHash } from 'node:crypto'
import { workerData, type MessagePort } from 'node:worker_threads'
import type { Client, ClientConfig, QueryResult } from 'pg'
import type { Value } from '../database.ts'

export type Question =
  | { kind: 'query'; text: string; values: Value[]; writes: boolean }
  | { kind: 'script'; text: string }
  | { kind: 'begin' }
  | { kind: 'commit' }
  | { kind: 'rollback' }
  | { kind: 'end' }

/** `down`: there is no connection to be had. */
export type Answer = { rows: unknown[]; changes: number } | { error: string; down: boolean }

export interface ThreadData {
  url: string
  schema: string
  /** Set to 1 when the answer is there. */
  flag: SharedArrayBuffer
  /** For who holds a lock, or a statement that takes too long. */
  limitMs: number
  connectMs: number
}

/**
 * One writer at a time, as in SQLite: what is read in a transaction is still so when it ends. Single statements take the
 * same lock by the trigger `one_writer`. "hold" as a number.
 */
const WRITER = 0x686f6c64
/** One that hangs within a transaction must not hold the others up. */
const IDLE_MS = 30_000
/** As node-postgres names them. */
const INT8 = 20
const NUMERIC = 1700

const { url, schema, flag, limitMs, connectMs, port } = workerData as ThreadData & { port: MessagePort }
const done = new Int32Array(flag)
let client: Client | undefined
let inTransaction = false
/** The connection broke within a transaction: what still comes of it must not be stored alone. */
let lost = false

class NoConnection extends Error {
  constructor(cause: unknown) {
    const { message = '', code = '' } = (cause ?? {}) as { message?: string; code?: string }
    super(message || code, { cause })
  }
}

async function connect(): Promise<Client> {
  if (client !== undefined) return client
  const { default: pg } = await import('pg').catch(() => {
    throw new Error('a catalogue in PostgreSQL needs the packages pg and pg-boss: npm install pg@8 pg-boss@12')
  })
  const config: ClientConfig = {
    connectionString: url,
    connectionTimeoutMillis: connectMs,
    keepAlive: true,
    application_name: 'holdfast',
    statement_timeout: limitMs,
    lock_timeout: limitMs,
    idle_in_transaction_session_timeout: IDLE_MS,
    types: {
      getTypeParser: (oid: number, format?: 'text' | 'binary') =>
        oid === INT8 || oid === NUMERIC
          ? Number
          : (pg.types.getTypeParser(oid, format ?? 'text') as (text: string) => unknown),
    },
  }
  const made = new pg.Client(config)
  made.on('error', () => forget(made))
  made.on('end', () => forget(made))
  try {
    await made.connect()
    await made.query(`SET search_path = "${schema}", pg_catalog`)
  } catch (error) {
    await made.end().catch(() => undefined)
    throw new NoConnection(error)
  }
  client = made
  return made
}

function forget(one: Client): void {
  if (client !== one) return
  client = undefined
  lost = inTransaction
}

/** Prepared once for each connection. */
const nameOf = (text: string): string => createHash('sha1').update(text).digest('hex')

async function answer(question: Question): Promise<Answer> {
  if (question.kind === 'end') {
    await client?.end().catch(() => undefined)
    return { rows: [], changes: 0 }
  }
  if (question.kind === 'rollback') {
    const open = inTransaction && !lost ? client : undefined
    inTransaction = lost = false
    await open?.query('ROLLBACK')
    return { rows: [], changes: 0 }
  }
  if (lost) throw new Error('the connection was lost within a transaction')
  const connection = await connect()
  if (question.kind === 'begin') {
    await connection.query(`BEGIN; SELECT pg_advisory_xact_lock(${WRITER})`).catch(async (error: unknown) => {
      await connection.query('ROLLBACK').catch(() => undefined)
      throw error
    })
    inTransaction = true
    return { rows: [], changes: 0 }
  }
  if (question.kind === 'commit') {
    await connection.query('COMMIT')
    inTransaction = false
    return { rows: [], changes: 0 }
  }
  if (question.kind === 'script') {
    await connection.query(question.text)
    return { rows: [], changes: 0 }
  }
  const { text, values, writes } = question
  const asked = {
    name: nameOf(text),
    text,
    values: values.map((value) => (value instanceof Uint8Array ? Buffer.from(value) : value)),
  }
  // What only looks is asked again by a new connection.
  const result: QueryResult = await connection.query(asked).catch(async (error: unknown) => {
    if (writes || inTransaction || client === connection) throw error
    return (await connect()).query(asked)
  })
  return { rows: result.rows as unknown[], changes: result.rowCount ?? 0 }
}

port.on('message', (question: Question) => {
  void answer(question)
    .catch((error: unknown): Answer => {
      const message = error instanceof Error ? error.message : String(error)
      return { error: message, down: error instanceof NoConnection }
    })
    .then((told) => {
      port.postMessage(told)
      Atomics.store(done, 0, 1)
      Atomics.notify(done, 0)
      if (question.kind === 'end') port.close()
    })
})
