/** Documents out of a file of raw BSON, and back into the driver without a changed byte. */
import type { Document } from 'mongodb'
import { AppError } from '../../base/errors.ts'
import type { Driver } from './connect.ts'

const MAX_DOCUMENT = 48 * 1024 * 1024
const MIN_DOCUMENT = 5

/** Each document as bytes of its own. */
export async function* documentsOf(content: AsyncIterable<Uint8Array>, what: string): AsyncGenerator<Buffer> {
  let rest: Buffer = Buffer.alloc(0)
  const parts: Buffer[] = []
  let have = 0
  let need = 4
  for await (const chunk of content) {
    // The memory of the chunk is used again.
    parts.push(Buffer.from(chunk))
    have += chunk.length
    if (have < need) continue
    rest = parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts)
    parts.length = 0
    let at = 0
    for (;;) {
      need = 4
      if (rest.length - at < need) break
      need = rest.readInt32LE(at)
      if (need < MIN_DOCUMENT || need > MAX_DOCUMENT)
        throw new AppError('backup.damaged', `${what} is not BSON: a document of ${need} bytes`)
      if (rest.length - at < need) break
      yield rest.subarray(at, at + need)
      at += need
    }
    parts.push(rest.subarray(at))
    have = rest.length - at
  }
  if (have > 0) throw new AppError('backup.damaged', `${what} ends within a document`)
}

/** What the driver has to be given so that it sends these very bytes. */
export function sendable({ BSON }: Driver, bytes: Buffer, what: string): Document {
  const plain = BSON.deserialize(bytes, EXACT)
  if (same(BSON.serialize(plain), bytes)) return plain
  // Keys such as `1` come first in every object; a Map keeps them where they were.
  const ordered = orderedOf(BSON, bytes, false)
  if (same(BSON.serialize(ordered), bytes)) return ordered
  throw new AppError(
    'restore.failed',
    `a document of ${what} cannot be sent unchanged: ${BSON.EJSON.stringify(plain).slice(0, 200)}`,
    {
      hint: 'Bring the files back with --to FOLDER and restore this collection with mongorestore.',
    },
  )
}

const EXACT = {
  promoteValues: false,
  promoteLongs: false,
  promoteBuffers: false,
  bsonRegExp: true,
  useBigInt64: false,
  validation: { utf8: false },
} as const

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0

const DOCUMENT = 3
const ARRAY = 4

/** Keys in their order: each element is taken apart by itself. */
function orderedOf(BSON: Driver['BSON'], bytes: Buffer, asArray: boolean): Map<string, unknown> | unknown[] {
  const found = new Map<string, unknown>()
  for (let at = 4; (bytes[at] ?? 0) !== 0;) {
    const type = bytes[at]
    const keyEnd = bytes.indexOf(0, at + 1)
    const key = bytes.toString('utf8', at + 1, keyEnd)
    const from = keyEnd + 1
    const size = sizeOf(bytes, type ?? 0, from)
    if (type === DOCUMENT || type === ARRAY)
      found.set(key, orderedOf(BSON, bytes.subarray(from, from + size), type === ARRAY))
    else {
      const alone = Buffer.alloc(4 + (from + size - at) + 1)
      alone.writeInt32LE(alone.length, 0)
      bytes.copy(alone, 4, at, from + size)
      found.set(key, BSON.deserialize(alone, EXACT)[key])
    }
    at = from + size
  }
  return asArray ? [...found.values()] : found
}

/** Bytes of a value, by its type: https://bsonspec.org/spec.html */
function sizeOf(bytes: Buffer, type: number, at: number): number {
  switch (type) {
    case 1:
    case 9:
    case 17:
    case 18:
      return 8
    case 2:
    case 13:
    case 14:
      return 4 + bytes.readInt32LE(at)
    case DOCUMENT:
    case ARRAY:
    case 15:
      return bytes.readInt32LE(at)
    case 5:
      return 5 + bytes.readInt32LE(at)
    case 6:
    case 10:
    case 0xff:
    case 0x7f:
      return 0
    case 7:
      return 12
    case 8:
      return 1
    case 11: {
      const second = bytes.indexOf(0, bytes.indexOf(0, at) + 1)
      return second + 1 - at
    }
    case 12:
      return 4 + bytes.readInt32LE(at) + 12
    case 16:
      return 4
    case 19:
      return 16
    default:
      throw new AppError('backup.damaged', `a value of the unknown BSON type ${type}`)
  }
}
