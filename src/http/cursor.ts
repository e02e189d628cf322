/** Where a page of a list begins, as a text that only we read. */
import { AppError } from '../base/errors.ts'
import type { After } from '../model/catalogue.ts'

export const cursorOf = ({ at, id }: After): string =>
  Buffer.from(JSON.stringify([at.getTime(), id])).toString('base64url')

export function afterOf(cursor: string | undefined): After | undefined {
  if (cursor === undefined) return undefined
  try {
    const value: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'))
    if (Array.isArray(value) && typeof value[0] === 'number' && typeof value[1] === 'string') {
      const at = new Date(value[0])
      if (!Number.isNaN(at.getTime())) return { at, id: value[1] }
    }
  } catch {
    // Told below.
  }
  throw new AppError('request.invalid', 'cursor: is none of ours')
}

/** A page of what is in memory: the cursor is the number of what came before. */
export function pageOf<T>(
  all: readonly T[],
  { cursor, limit }: { cursor?: string | undefined; limit: number },
): { items: T[]; next?: string } {
  const from = cursor === undefined ? 0 : Number(cursor)
  if (!Number.isSafeInteger(from) || from < 0) throw new AppError('request.invalid', 'cursor: is none of ours')
  const items = all.slice(from, from + limit)
  return { items, ...(from + limit < all.length && { next: String(from + limit) }) }
}
