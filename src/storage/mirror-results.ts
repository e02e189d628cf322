import { AppError } from '../base/errors.ts'
import type { Storage, StoredObject } from '../model/storage.ts'

/** What one member of a mirror made of a call; `index` is its place in the settings. */
export type MemberResult =
  | { member: string; index: number; ok: true; object?: StoredObject }
  | { member: string; index: number; ok: false; error: AppError }

/** A member with its place. */
export interface Member {
  index: number
  storage: Storage
}

export interface MemberFailure {
  member: string
  operation: 'put' | 'get' | 'stat' | 'list' | 'remove' | 'sweep'
  key?: string
  error: AppError
}

export interface MirrorEvents {
  /** Told of each member that failed while the call as a whole went on without it. */
  onMemberFailure?: (failure: MemberFailure) => void
  /** Told of what each member made of a put that succeeded as a whole. */
  onMemberResults?: (key: string, results: MemberResult[]) => void
}

export const failuresOf = (results: MemberResult[]): Extract<MemberResult, { ok: false }>[] =>
  results.filter((result) => !result.ok)

/**
 * One error for a call that failed on some members. It has the code of the failure that started it: the members that
 * were only given up because of that come last.
 */
export function membersError(tried: string, results: MemberResult[]): AppError {
  const failures = failuresOf(results)
  const first = failures.find(({ error }) => error.code !== 'run.cancelled') ?? failures[0]
  const told = results.map((result) => `${result.member}: ${result.ok ? 'ok' : result.error.message}`).join('; ')
  return new AppError(first?.error.code ?? 'storage.failed', `cannot ${tried}: ${told}`, {
    cause: first?.error,
    ...(first && { hint: first.error.hint }),
    ...(first?.error.retryAfter === undefined ? {} : { retryAfter: first.error.retryAfter }),
    details: {
      ...(first?.error.retryable === false ? { permanent: true } : {}),
      members: results.map((result) =>
        result.ok ? { member: result.member, ok: true } : { member: result.member, ok: false, code: result.error.code },
      ),
    },
  })
}
