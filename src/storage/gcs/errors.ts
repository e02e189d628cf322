import type { AppError, ErrorCode } from '../../base/errors.ts'
import { codeOfStatus, httpError, type HttpFailure } from '../http.ts'

/** The reasons of the JSON API, by what they mean to us. */
const REASONS: Record<string, ErrorCode> = {
  authError: 'storage.expired',
  required: 'storage.denied',
  forbidden: 'storage.denied',
  insufficientPermissions: 'storage.denied',
  accountDisabled: 'storage.denied',
  userProjectMissing: 'storage.denied',
  retentionPolicyNotMet: 'storage.locked',
  objectUnderActiveHold: 'storage.locked',
  conditionNotMet: 'storage.exists',
  rateLimitExceeded: 'storage.throttled',
  userRateLimitExceeded: 'storage.throttled',
  quotaExceeded: 'storage.throttled',
  backendError: 'storage.failed',
  internalError: 'storage.failed',
}

const HINTS: Record<string, string> = {
  userProjectMissing: 'The bucket lets the requester pay: set userProject of the gcs storage.',
  retentionPolicyNotMet: 'The retention policy of the bucket keeps the object until its time is over.',
  objectUnderActiveHold: 'The object is held: release the hold first.',
}

/** A 404 has the reason `notFound` for buckets and objects alike: "No such object: bucket/name" is the other one. */
const NO_BUCKET =
  /^(?:the )?specified bucket does not exist\b|^no such bucket\b|^bucket \S+ (?:does not exist|not found)/i

export interface Said {
  code: ErrorCode
  why: string
  reason: string
}

/** `{ "error": { "code", "message", "errors": [{ "reason" }] } }`; servers like it leave out some of that. */
export function readFailure({ status, text }: HttpFailure): Said {
  const error = field(parsed(text), 'error')
  const told = field(error, 'message')
  const why = typeof told === 'string' ? told : text.slice(0, 200)
  const errors = field(error, 'errors')
  const first: unknown = Array.isArray(errors) ? errors[0] : undefined
  const word = field(first, 'reason')
  const reason = typeof word === 'string' ? word : ''
  if (status === 404 && NO_BUCKET.test(why)) return { code: 'storage.missing-bucket', why, reason }
  if (status === 401) return { code: 'storage.expired', why, reason }
  return { code: REASONS[reason] ?? codeOfStatus(status), why, reason }
}

export function gcsError(tried: string, failure: HttpFailure): AppError {
  const { code, why, reason } = readFailure(failure)
  return httpError(tried, failure, { code, why: [reason, why].filter(Boolean).join(': '), hint: HINTS[reason] })
}

export function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

export const field = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined
