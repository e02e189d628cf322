/**
 * An object of s3db as the content of an entry: one line of JSON with all that is not the body, a newline, the body as it
 * is. docs/formats/s3db.md
 */
import { AppError } from '../../base/errors.ts'
import type { FetchedObject } from './object-client.ts'

export interface ObjectHead {
  /** Values as the client decodes them; s3db tells null and undefined from text. */
  metadata: Record<string, string | null | undefined>
  contentType?: string
  contentEncoding?: string
}

/** More than S3 lets metadata be. */
const MAX_HEAD = 1024 * 1024
const NEWLINE = 0x0a

export function headOf({ Metadata, ContentType, ContentEncoding }: FetchedObject): ObjectHead {
  const metadata: ObjectHead['metadata'] = {}
  // Sorted, so that the same object has the same bytes whatever order a server tells.
  for (const name of Object.keys(Metadata ?? {}).sort()) {
    const value = Metadata?.[name]
    if (value === null || value === undefined) metadata[name] = value
    else metadata[name] = typeof value === 'string' ? value : JSON.stringify(value)
  }
  return {
    metadata,
    ...(ContentType !== undefined && { contentType: ContentType }),
    ...(ContentEncoding !== undefined && { contentEncoding: ContentEncoding }),
  }
}

export function encodeHead({ metadata, contentType, contentEncoding }: ObjectHead): string {
  let missing: string[] | undefined
  for (const name in metadata) if (metadata[name] === undefined) (missing ??= []).push(name)
  // JSON leaves undefined values out: their names are told apart.
  return `${JSON.stringify({ s3db: 1, metadata, undefined: missing, contentType, contentEncoding })}\n`
}

export function encodeObject(head: ObjectHead, body: Uint8Array): Buffer {
  const text = encodeHead(head)
  if (body.length === 0) return Buffer.from(text, 'utf8')
  const size = Buffer.byteLength(text)
  const bytes = Buffer.allocUnsafe(size + body.length)
  bytes.write(text, 0, 'utf8')
  bytes.set(body, size)
  return bytes
}

/** The whole of an entry's content, parsed; `backup.damaged` when it is not what `encodeObject` makes. */
export function decodeObject(bytes: Buffer, key: string): { head: ObjectHead; body: Buffer } {
  const end = bytes.subarray(0, MAX_HEAD).indexOf(NEWLINE)
  const bad = (cause?: unknown): AppError =>
    new AppError('backup.damaged', `${key} is no object of an s3db database`, { cause })
  if (end === -1) throw bad()
  let value: unknown
  try {
    value = JSON.parse(bytes.toString('utf8', 0, end))
  } catch (error) {
    throw bad(error)
  }
  if (!isRecord(value) || value['s3db'] !== 1 || !isRecord(value['metadata'])) throw bad()
  const metadata: ObjectHead['metadata'] = {}
  for (const [name, held] of Object.entries(value['metadata'])) {
    if (typeof held !== 'string' && held !== null) throw bad()
    metadata[name] = held
  }
  const { undefined: missing = [], contentType, contentEncoding } = value
  if (!Array.isArray(missing)) throw bad()
  for (const name of missing) metadata[String(name)] = undefined
  return {
    head: {
      metadata,
      ...(typeof contentType === 'string' && { contentType }),
      ...(typeof contentEncoding === 'string' && { contentEncoding }),
    },
    body: bytes.subarray(end + 1),
  }
}

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
