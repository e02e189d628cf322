/**
 * PostgreSQL asked as SQLite is: the call returns when the answer is there. Another thread holds the connection; this
 * one waits for it, for as long as a bounded time (docs/decisions/0012).
 */
import { MessageChannel, receiveMessageOnPort, Worker, type MessagePort } from 'node:worker_threads'
import { AppError } from '../../base/errors.ts'
import type { Database, Named, Statement, Value } from '../database.ts'
import { storable } from '../storable.ts'
import { translate } from './dialect.ts'
import type { Answer, Question, ThreadData } from './thread.ts'

const THREAD = new URL(`./thread${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url)
/** As long as SQLite waits for its lock. */
const LIMIT_MS = 10_000
const CONNECT_MS = 3000
/** While nobody answers, so long nobody is asked: whatever else this process does goes on meanwhile. */
const REST_MS = 2000

interface Thread {
  worker: Worker
  port: MessagePort
  done: Int32Array
}

export function postgresDatabase(url: string, schema: string): Database {
  let thread: Thread | undefined
  let isOpen = true
  let isTransaction = false
  let restUntil = 0
  let lastProblem = ''

  function start(): Thread {
    const flag = new SharedArrayBuffer(4)
    const { port1, port2 } = new MessageChannel()
    const workerData: ThreadData & { port: MessagePort } = {
      url,
      schema,
      flag,
      limitMs: LIMIT_MS,
      connectMs: CONNECT_MS,
      port: port2,
    }
    const worker = new Worker(THREAD, { workerData, transferList: [port2] })
    worker.on('error', () => undefined)
    worker.unref()
    port1.unref()
    return { worker, port: port1, done: new Int32Array(flag) }
  }

  function ask(question: Question): { rows: unknown[]; changes: number } {
    if (!isOpen) throw failed('the catalogue is closed')
    if (performance.now() < restUntil && !isTransaction) throw failed(lastProblem)
    const { worker, port, done } = (thread ??= start())
    Atomics.store(done, 0, 0)
    port.postMessage(question)
    // Connecting, waiting for the lock, the statement, its end.
    const came = Atomics.wait(done, 0, 0, 3 * LIMIT_MS + CONNECT_MS)
    const answer = came === 'timed-out' ? undefined : (receiveMessageOnPort(port)?.message as Answer | undefined)
    if (answer === undefined) {
      // Whatever it still answers is of no use: the next question gets a thread of its own.
      void worker.terminate()
      thread = undefined
      return rest('it does not answer')
    }
    if (!('error' in answer)) return answer
    if (answer.down) return rest(answer.error)
    throw failed(answer.error)
  }

  function rest(problem: string): never {
    restUntil = performance.now() + REST_MS
    lastProblem = problem
    throw failed(problem)
  }

  function statement(sql: string): Statement {
    const { text, names, writes } = translate(sql)
    const query = (given: (Value | Named)[]): { rows: unknown[]; changes: number } =>
      ask({ kind: 'query', text, values: valuesOf(given, names), writes })
    return {
      get: (...given: (Value | Named)[]) => query(given).rows[0],
      all: (...given: (Value | Named)[]) => query(given).rows,
      iterate: (...given) => query(given).rows[Symbol.iterator](),
      run: (...given) => ({ changes: query(given).changes }),
    }
  }

  return {
    get isOpen() {
      return isOpen
    },
    get isTransaction() {
      return isTransaction
    },
    prepare: statement,
    exec(sql) {
      if (sql.startsWith('BEGIN')) {
        ask({ kind: 'begin' })
        isTransaction = true
      } else if (sql === 'COMMIT') {
        ask({ kind: 'commit' })
        isTransaction = false
      } else if (sql === 'ROLLBACK') {
        try {
          ask({ kind: 'rollback' })
        } finally {
          isTransaction = false
        }
      } else ask({ kind: 'script', text: sql })
    },
    close() {
      if (!isOpen) return
      try {
        if (thread !== undefined) ask({ kind: 'end' })
      } catch {
        // It is gone already.
      }
      isOpen = false
      void thread?.worker.terminate()
      thread?.port.close()
    },
  }
}

function valuesOf(given: (Value | Named)[], names: string[] | undefined): Value[] {
  const [first] = given
  const isNamed = names !== undefined && typeof first === 'object' && first !== null && !(first instanceof Uint8Array)
  const values = isNamed ? names.map((name) => first[name] ?? null) : (given as Value[])
  return values.map((value) => (typeof value === 'string' ? storable(value) : value))
}

const failed = (problem: string): AppError =>
  new AppError('catalogue.failed', `the catalogue in PostgreSQL: ${problem}`, {
    hint: 'Look at server.catalogue, and whether the server answers there. Backups go on without it, and are known again by `holdfast connect`.',
  })
