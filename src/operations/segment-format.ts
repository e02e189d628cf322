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

export function encodeSegment({ facts, payload }: Segment): Uint8Array {
  const { hasEvents: _, ...rest } = facts
  const json = Buffer.from(JSON.stringify({ version: 1, ...rest, sha256: sha256(payload) }))
  const length = Buffer.alloc(4)
  length.writeUInt32LE(json.length)
  return concat([MAGIC, length, json, payload])
}

export function decodeSegment(bytes: Uint8Array, what: string): Segment {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (buffer.length < 8 || !buffer.subarray(0, 4).equals(MAGIC)) throw damaged(what, 'it has no head')
  const end = 8 + buffer.readUInt32LE(4)
  let value: unknown
  try {
    value = JSON.parse(buffer.subarray(8, end).toString('utf8'))
  } catch {
    throw damaged(what, 'its head cannot be read')
  }
  const parsed = header.safeParse(value)
  if (!parsed.success) throw damaged(what, 'its head is of another version')
  const { version: _, sha256: wanted, events, ...facts } = parsed.data
  const payload = buffer.subarray(end)
  if (sha256(payload) !== wanted) throw damaged(what, 'its bytes are not those that were written')
  return {
    facts: {
      ...facts,
      hasEvents: events.length > 0,
      events: events.map(({ rows, ...event }) => ({ ...event, ...(rows !== undefined && { rows }) })),
    } satisfies SegmentFacts,
    payload,
  }
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')
const damaged = (what: string, why: string): AppError => new AppError('backup.damaged', `${what}: ${why}`)
