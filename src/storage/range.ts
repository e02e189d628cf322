import { AppError } from '../base/errors.ts'
import type { GetOptions, StoredObject } from '../model/storage.ts'

type Range = GetOptions['range']

export function checkRange(range: Range): void {
  if (range === undefined) return
  const whole = Number.isSafeInteger(range.start) && Number.isSafeInteger(range.end)
  if (!whole || range.start < 0 || range.end < range.start)
    throw new AppError('storage.invalid', `cannot read the range ${range.start} to ${range.end}: it is not one`)
}

/** What was being read is no longer there to be read on. */
export function replaced(key: string, storage: string): AppError {
  return new AppError('storage.truncated', `cannot read on ${key} from ${storage}: it was replaced meanwhile`, {
    details: { permanent: true },
  })
}

/** A range that reaches past the end. Marked permanent: asking again would give the same. */
export function endsEarly(key: string, storage: string, range: { start: number; end: number }, size: number): AppError {
  const asked = `bytes ${range.start} to ${range.end} of ${key} in ${storage}`
  return new AppError('storage.truncated', `cannot read ${asked}: the object has ${size} bytes`, {
    details: { permanent: true, size },
  })
}

/** HTTP has no empty range: the object is looked at in its place. True: there is nothing to be read. */
export async function isEmptyRange(
  range: Range,
  { key, name, stat }: { key: string; name: string; stat: () => Promise<StoredObject | undefined> },
): Promise<boolean> {
  if (range === undefined || range.start !== range.end) return false
  const object = await stat()
  if (object === undefined) throw new AppError('storage.not-found', `cannot read ${key} from ${name}: no such object`)
  if (object.size < range.end) throw endsEarly(key, name, range, object.size)
  return true
}
