import { AppError } from '../../base/errors.ts'
import type { ByteReader } from '../../base/reader.ts'

const MAGIC = Buffer.from('PGDMP')

/** pg_dump's custom format begins with its name: a program that ends with 0 and wrote something else has not dumped. */
export function dumpOnly(reader: ByteReader, program: string): ByteReader {
  let head = Buffer.alloc(0)
  return {
    async read(into) {
      const count = await reader.read(into)
      if (head.length < MAGIC.length) head = Buffer.concat([head, into.subarray(0, Math.min(count, MAGIC.length))])
      if (count === 0 && !head.subarray(0, MAGIC.length).equals(MAGIC))
        throw new AppError('source.incomplete', `what ${program} wrote is not a PostgreSQL dump`)
      return count
    },
    close: () => reader.close(),
  }
}
