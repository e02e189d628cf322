/** Reading what a call sends, checked against its route. */
import type { IncomingMessage } from 'node:http'
import type * as z from 'zod'
import { AppError } from '../base/errors.ts'
import type { Route } from './contract/kit.ts'

const MAX_BODY = 256 * 1024

export interface Read {
  params: unknown
  query: unknown
  body: unknown
  /** The body as it came. */
  text: string
}

export async function readCall(
  request: IncomingMessage,
  route: Route,
  params: Record<string, string>,
  search: URLSearchParams,
): Promise<Read> {
  const text = route.body === undefined ? '' : await readText(request, route.maxBody ?? MAX_BODY)
  const faults: Fault[] = []
  const read = {
    params: route.params && check(route.params, params, 'the address', faults),
    query: route.query && check(route.query, multiple(search), 'query', faults),
    body: route.body && check(route.body, parsed(request, text), '', faults),
    text,
  }
  if (faults.length === 0) return read
  const [first] = faults
  throw new AppError('request.invalid', `${first?.key ? `${first.key}: ` : ''}${first?.message ?? ''}`, {
    details: { faults },
  })
}

interface Fault {
  key: string
  message: string
}

/** A name that comes several times is a list. */
function multiple(search: URLSearchParams): Record<string, string | string[]> {
  const values: Record<string, string | string[]> = Object.create(null) as Record<string, string | string[]>
  for (const name of new Set(search.keys())) {
    const all = search.getAll(name)
    values[name] = all.length > 1 ? all : (all[0] ?? '')
  }
  return { ...values }
}

function check(schema: z.ZodType, value: unknown, where: string, faults: Fault[]): unknown {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  for (const { path, message } of result.error.issues) {
    const key = [...(where === '' ? [] : [where]), ...path.map(String)].join('.')
    faults.push({ key, message: message.replace(/^Invalid input: /, '') })
  }
  return undefined
}

function parsed(request: IncomingMessage, text: string): unknown {
  const type = request.headers['content-type'] ?? ''
  // A form cannot say so, which is part of what keeps other sites out.
  if (text !== '' && !/^application\/json\b/i.test(type))
    throw new AppError('request.type', `a body of ${type || 'no type'} is not taken`)
  if (text === '') return undefined
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new AppError('request.invalid', `the body is no JSON: ${error instanceof Error ? error.message : ''}`)
  }
}

async function readText(request: IncomingMessage, most: number): Promise<string> {
  const tooLarge = (): AppError => new AppError('request.too-large', `the body is larger than ${most} bytes`)
  if (Number(request.headers['content-length'] ?? 0) > most) throw tooLarge()
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > most) throw tooLarge()
    chunks.push(chunk)
  }
  const bytes = Buffer.concat(chunks)
  const text = bytes.toString('utf8')
  if (!bytes.equals(Buffer.from(text, 'utf8'))) throw new AppError('request.invalid', 'the body is no UTF-8')
  return text
}
