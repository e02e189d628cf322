/**
 * The bytes of a segment: docs/formats/lanes.md.
 *
 *   0  4  magic "HFL1"
 *   4  4  length n of the header, u32 LE
 *   8  n  header, JSON
 *  8+n    payload, as the engine has it
 */
import { createHash } from 'node:crypto'
import * as z from 'zod'
import { concat } from '../base/bytes.ts'
import { AppError } from '../base/errors.ts'
import type { ReadableBytes } from '../base/held-bytes.ts'
import type { Segment, SegmentFacts } from '../model/lane.ts'

const MAGIC = Buffer.from('HFL1', 'latin1')

const time = z.iso.datetime().transform((text) => new Date(text))
const header = z.object({
  version: z.literal(1),
  engine: z.string(),
  system: z.string(),
  lineage: z.string(),
  from: z.string(),
  to: z.string(),
  fromTime: time,
  toTime: time,
  base: z.boolean(),
  events: z.array(
    z.object({
      id: z.string(),
      kind: z.enum(['drop', 'truncate', 'delete']),
      what: z.string(),
      rows: z.number().int().optional(),
      time,
    }),
  ),
  extra: z.record(z.string(), z.string()),
  sha256: z.string(),
})

/** What stands before the payload. */
export async function encodeHead({ facts, payload }: Segment): Promise<Uint8Array> {
  const { hasEvents: _, ...rest } = facts
  const json = Buffer.from(JSON.stringify({ version: 1, ...rest, sha256: await sha256(payload) }))
  const length = Buffer.alloc(4)
  length.writeUInt32LE(json.length)
  return concat([MAGIC, length, json])
}

export interface SegmentHead {
  facts: SegmentFacts
  sha256: string
  /** Where the payload begins. */
  end: number
}

/** Undefined: there is more of it than these bytes. */
export function decodeHead(bytes: Uint8Array, what: string): SegmentHead | undefined {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (buffer.length < 8 || !buffer.subarray(0, 4).equals(MAGIC)) throw damaged(what, 'it has no head')
  const end = 8 + buffer.readUInt32LE(4)
  if (end > buffer.length) return undefined
  let value: unknown
  try {
    value = JSON.parse(buffer.subarray(8, end).toString('utf8'))
  } catch {
    throw damaged(what, 'its head cannot be read')
  }
  const parsed = header.safeParse(value)
  if (!parsed.success) throw damaged(what, 'its head is of another version')
  const { version: _, sha256: wanted, events, ...facts } = parsed.data
  return {
    facts: {
      ...facts,
      hasEvents: events.length > 0,
      events: events.map(({ rows, ...event }) => ({ ...event, ...(rows !== undefined && { rows }) })),
    },
    sha256: wanted,
    end,
  }
}

/** The segment, once its bytes are those that were written. */
export async function checked(head: SegmentHead | undefined, payload: ReadableBytes, what: string): Promise<Segment> {
  if (head === undefined) throw damaged(what, 'its head cannot be read')
  if ((await sha256(payload)) !== head.sha256) throw damaged(what, 'its bytes are not those that were written')
  return { facts: head.facts, payload }
}

const HASHED = 4 * 1024 * 1024

/** Others get their turn between. */
async function sha256(bytes: ReadableBytes): Promise<string> {
  const hash = createHash('sha256')
  for (let at = 0; at < bytes.length; at += HASHED) {
    if (at > 0) await new Promise((resolve) => setImmediate(resolve))
    hash.update(bytes.subarray(at, Math.min(bytes.length, at + HASHED)))
  }
  return hash.digest('hex')
}

const damaged = (what: string, why: string): AppError => new AppError('backup.damaged', `${what}: ${why}`)
