/** Rows of tables back into them, by several sessions at once. */
import type { RestoredEntry } from '../../model/entry.ts'
import { contentOf } from '../restored.ts'
import type { Session } from './session.ts'

/** Held in memory, so that the next piece can come while this one is loaded; a larger one is passed through. */
const HELD = 24 * 1024 * 1024

export interface RowLoader {
  load(statement: string, entry: RestoredEntry, onBytes?: (bytes: number) => void): Promise<void>
  done(): Promise<void>
}

export function rowLoader(sessions: readonly Session[]): RowLoader {
  const idle = [...sessions]
  const running = new Set<Promise<void>>()
  let failure: unknown

  async function free(): Promise<Session> {
    while (idle.length === 0 && failure === undefined) await Promise.race(running)
    if (failure !== undefined) throw failure
    return idle.pop() as Session
  }

  async function* passed(entry: RestoredEntry, onBytes: (bytes: number) => void): AsyncGenerator<Uint8Array> {
    for await (const chunk of contentOf(entry)) {
      onBytes(chunk.length)
      // The memory is used again when the next chunk comes, and the pipe may take this one later.
      yield Buffer.from(chunk)
    }
  }

  return {
    async load(statement, entry, onBytes = () => {}) {
      if (entry.size > HELD) {
        const session = await free()
        await session.copyIn(statement, passed(entry, onBytes))
        idle.push(session)
        return
      }
      const blocks: Uint8Array[] = []
      for await (const chunk of passed(entry, onBytes)) blocks.push(chunk)
      if (blocks.length === 0) return
      const session = await free()
      const task = session
        .copyIn(statement, blocks)
        .then(() => void idle.push(session))
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
