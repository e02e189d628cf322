/** A session of psql that is asked one thing after the other: answers, and tables as COPY gives and takes them. */
import { randomBytes } from 'node:crypto'
import { AppError, isAppError, type ErrorCode } from '../../base/errors.ts'
import { feed, startProgram } from '../../base/program.ts'
import { BLOCK, type Outlet } from '../pieces.ts'
import { asConnectionError, type SqlOptions } from './connect.ts'

export interface Session extends AsyncDisposable {
  /** What statements give, one line a row. */
  ask(statements: string): Promise<string[]>
  /** The rows of `COPY … TO STDOUT` to an outlet; gives their number. */
  copyOut(statement: string, outlet: Outlet): Promise<number>
  /** `COPY … FROM STDIN` with these rows. */
  copyIn(statement: string, rows: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<void>
}

export function openSession(
  { psql, server, database, signal, idleMs }: SqlOptions,
  failure: ErrorCode = 'source.incomplete',
): Session {
  const running = startProgram({
    program: psql,
    args: ['-X', '-A', '-t', '-q', '-w', '-v', 'ON_ERROR_STOP=1'],
    env: { ...server.env, PGDATABASE: database },
    failure,
    ...(signal && { signal }),
    // While we make it wait, it cannot say anything: only answers are waited for.
    ...(idleMs !== undefined && failure === 'source.incomplete' && { idleMs }),
  })
  // Nothing that a database holds can be taken for the end of an answer.
  const done = `holdfast-${randomBytes(16).toString('hex')}`
  const mark = Buffer.from(`${done}\n`)

  async function answer({ write, ready, block: fresh }: Outlet): Promise<void> {
    let block = fresh()
    let filled = 0
    for (;;) {
      if (filled === block.length) {
        // The mark may lie on the border of two blocks.
        const kept = block.subarray(filled - mark.length)
        write(block.subarray(0, filled - mark.length))
        block = fresh()
        filled = kept.copy(block)
        await ready()
      }
      const count = await running.stdout.read(block.subarray(filled))
      if (count === 0) throw new AppError(failure, `the session with ${server.name}/${database} ended`)
      filled += count
      if (filled >= mark.length && block.subarray(filled - mark.length, filled).equals(mark)) {
        if (filled > mark.length) write(block.subarray(0, filled - mark.length))
        return
      }
    }
  }

  async function guarded<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      throw isAppError(error) ? asConnectionError(error, server, database) : error
    }
  }

  return {
    ask: async (statements) =>
      guarded(async () => {
        await feed(running, `${statements}\n\\echo ${done}\n`)
        const parts: Buffer[] = []
        await answer(inMemory((bytes) => parts.push(Buffer.from(bytes))))
        return Buffer.concat(parts).toString().split('\n').slice(0, -1)
      }),
    copyOut: async (statement, outlet) =>
      guarded(async () => {
        await feed(running, `${statement};\n\\echo ${done}\n`)
        let rows = 0
        await answer({
          ...outlet,
          write(bytes) {
            for (let at = bytes.indexOf(10); at !== -1; at = bytes.indexOf(10, at + 1)) rows += 1
            outlet.write(bytes)
          },
        })
        return rows
      }),
    copyIn: async (statement, rows) =>
      guarded(async () => {
        await feed(running, `${statement};\n`)
        for await (const bytes of rows) await feed(running, bytes)
        await feed(running, `\\.\n\\echo ${done}\n`)
        await answer(inMemory(() => {}))
      }),
    async [Symbol.asyncDispose]() {
      running.stdin.end()
      await running.stop()
    },
  }
}

const inMemory = (write: (bytes: Uint8Array) => void): Outlet => ({
  block: () => Buffer.allocUnsafeSlow(BLOCK),
  write,
  ready: () => undefined,
})
