/**
 * Statements run by several connections: any that is free takes the next one. Each is a transaction of its own: the first
 * rows of an empty table lock all of it until they are committed.
 */
import { AppError } from '../../base/errors.ts'
import { formatSize } from '../../base/units.ts'
import type { Connection } from './connection.ts'
import { errorNumber } from './packets.ts'

export interface Loader {
  /** The statement belongs to the loader. Resolves when the next one may come. */
  run(statement: Uint8Array): Promise<void>
  /** Resolves when all are done. */
  done(): Promise<void>
}

/** Of two that wait for each other one goes on: rows of all that load a table at once lie between each other's in its indexes. */
const TRIES = 100

/** The server took all of the statement back. */
const isDeadlock = (error: unknown): boolean => errorNumber(error) === 1213

export async function loader(connections: readonly Connection[]): Promise<Loader> {
  const idle = [...connections]
  const running = new Set<Promise<void>>()
  let failure: unknown
  const [[limit = '0'] = []] = await (connections[0] as Connection).query('SELECT @@max_allowed_packet')

  async function work(connection: Connection, statement: Uint8Array): Promise<void> {
    for (let left = TRIES; ; left -= 1) {
      try {
        await connection.run(statement)
        break
      } catch (error) {
        if (!isDeadlock(error) || left === 0) throw error
      }
    }
    idle.push(connection)
  }

  return {
    async run(statement) {
      if (statement.length >= Number(limit))
        throw new AppError(
          'restore.failed',
          `a row of ${formatSize(statement.length)} is more than the server takes (${formatSize(Number(limit))})`,
          { hint: 'SET GLOBAL max_allowed_packet = 1073741824; on the server, for the time of the restore.' },
        )
      while (idle.length === 0 && failure === undefined) await Promise.race(running)
      if (failure !== undefined) throw failure
      const task = work(idle.pop() as Connection, statement)
        .catch((error: unknown) => {
          failure ??= error
        })
        .finally(() => running.delete(task))
      running.add(task)
    },
    async done() {
      await Promise.all(running)
      if (failure !== undefined) throw failure
    },
  }
}

/** Statements of INSERT out of a file of rows: a newline stands only where a line ends, and `;` before it ends a statement. */
export async function* insertStatements(content: AsyncIterable<Uint8Array>, what: string): AsyncGenerator<Uint8Array> {
  let parts: Buffer[] = []
  let afterSemicolon = false
  for await (const chunk of content) {
    let from = 0
    if (afterSemicolon && chunk[0] === 10) {
      parts.push(Buffer.from([10]))
      yield Buffer.concat(parts)
      parts = []
      from = 1
    }
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length)
    for (;;) {
      const end = bytes.indexOf(';\n', from)
      if (end === -1) break
      parts.push(bytes.subarray(from, end + 2))
      yield Buffer.concat(parts)
      parts = []
      from = end + 2
    }
    // The memory of the chunk is used again.
    if (from < bytes.length) parts.push(Buffer.from(bytes.subarray(from)))
    afterSemicolon = from < bytes.length && bytes.at(-1) === 59
  }
  if (parts.length > 0) throw new AppError('backup.damaged', `${what} ends within a statement`)
}
