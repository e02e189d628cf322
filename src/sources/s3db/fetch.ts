/** One object of a client as bytes, and what its failures mean. */
import { AppError, isAppError, toAppError } from '../../base/errors.ts'
import { redact } from '../../base/redact.ts'
import { collect } from '../../base/streams.ts'
import { kindOf, type FetchedObject, type ObjectClient } from './object-client.ts'
import { encodeHead, encodeObject, headOf, isRecord } from './object-format.ts'

const EMPTY = Buffer.alloc(0)
const MAX_BODY = 5 * 1024 ** 3

/** Undefined when there is no such object (any more). */
export async function fetchObject(client: ObjectClient, key: string): Promise<FetchedObject | undefined> {
  try {
    return await client.getObject(key)
  } catch (error) {
    if (isMissing(error)) return undefined
    throw sourceError(error, `read ${key}`)
  }
}

/**
 * The same for what may well be missing: a database of s3db asks a server for a missing object again and again, for seconds,
 * so a listing asks first.
 */
export async function findObject(client: ObjectClient, key: string): Promise<FetchedObject | undefined> {
  if (kindOf(client) !== 'network') return fetchObject(client, key)
  const { Contents = [] } = await client.listObjects({ prefix: key, maxKeys: 1 }).catch((error: unknown) => {
    throw sourceError(error, `look for ${key}`)
  })
  const [first] = Contents
  return first?.Key === key || first?.Key?.endsWith(`/${key}`) === true ? fetchObject(client, key) : undefined
}

/** As the content of an entry. */
export async function fetchContent(client: ObjectClient, key: string): Promise<Buffer | undefined> {
  const object = await fetchObject(client, key)
  return object && encodeObject(headOf(object), await bodyOf(object, key))
}

/** The same in pieces, for objects that are not to be in memory whole. */
export async function* streamContent(client: ObjectClient, key: string): AsyncGenerator<Uint8Array> {
  const object = await fetchObject(client, key)
  if (object === undefined) throw new AppError('source.not-found', `${key} is not there any more`)
  yield Buffer.from(encodeHead(headOf(object)), 'utf8')
  if (!isByteStream(object.Body)) yield await bodyOf(object, key)
  else
    try {
      yield* object.Body
    } catch (error) {
      throw sourceError(error, `read ${key}`)
    }
}

export async function bodyOf({ Body, ContentLength }: FetchedObject, key: string): Promise<Buffer> {
  if (Body === undefined || Body === null) return EMPTY
  if (ContentLength === 0) {
    // Most records have none. A connection is free again only when its answer was read to the end.
    if (isRecord(Body) && 'socket' in Body && typeof Body['resume'] === 'function') Body['resume']()
    return EMPTY
  }
  if (Body instanceof Uint8Array) return Buffer.from(Body.buffer, Body.byteOffset, Body.byteLength)
  if (typeof Body === 'string') return Buffer.from(Body, 'utf8')
  try {
    if (isByteStream(Body)) return asBuffer(await collect(Body, MAX_BODY))
    if (hasBytes(Body)) return asBuffer(await Body.transformToByteArray())
  } catch (error) {
    throw sourceError(error, `read ${key}`)
  }
  throw new AppError('source.unsupported', `the client gives ${key} in a form that is not known`)
}

/** An error of a client: what it says, without secrets. */
export function sourceError(error: unknown, tried: string): AppError {
  if (isAppError(error)) return error
  const known = toAppError(error, 'source.unreachable')
  if (known.code === 'run.cancelled') return known
  const { original } = isRecord(error) ? error : {}
  const why = original instanceof Error ? `${known.message}: ${original.message}` : known.message
  return new AppError('source.unreachable', redact(`could not ${tried}: ${why.split('\n')[0] ?? ''}`), { cause: error })
}

/** s3db's own classes, and those of the SDK, tell it in different ways. */
function isMissing(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false
  const { name, code, statusCode } = error as Record<string, unknown>
  return [name, code].some((value) => value === 'NoSuchKey' || value === 'NotFound') || statusCode === 404
}

const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)

const isByteStream = (value: unknown): value is AsyncIterable<Uint8Array> =>
  typeof value === 'object' && value !== null && Symbol.asyncIterator in value

const hasBytes = (value: unknown): value is { transformToByteArray(): Promise<Uint8Array> } =>
  typeof value === 'object' && value !== null && 'transformToByteArray' in value
