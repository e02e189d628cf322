import { AppError } from '../../base/errors.ts'
import { feed, startProgram } from '../../base/program.ts'
import type { ByteReader } from '../../base/reader.ts'

const MAGIC = Buffer.from('PGDMP')

/**
 * A dump counts only if pg_restore reads it to its end while it is stored: a pg_dump that stops early and ends with exit
 * code 0, or writes something else, has not dumped.
 */
export function readableDump(reader: ByteReader, pgRestore: string, signal: AbortSignal | undefined): ByteReader {
  let head = Buffer.alloc(0)
  const checking = startProgram({
    program: pgRestore,
    args: ['--format=custom', '--file=/dev/null'],
    ...(signal && { signal }),
  })
  return {
    async read(into) {
      const count = await reader.read(into)
      if (head.length < MAGIC.length)
        head = Buffer.concat([head, into.subarray(0, Math.min(count, MAGIC.length - head.length))])
      if (count > 0) {
        // The memory is used again while the pipe still holds it.
        await feed(checking, Buffer.from(into.subarray(0, count)))
        return count
      }
      if (!head.equals(MAGIC)) throw new AppError('source.incomplete', 'what pg_dump wrote is not a PostgreSQL dump')
      checking.stdin.end()
      while ((await checking.stdout.read(Buffer.alloc(4096))) > 0);
      return 0
    },
    async close() {
      await reader.close()
      await checking.stop()
    },
  }
}
