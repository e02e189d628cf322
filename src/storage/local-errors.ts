import { AppError, errno, isAbort, toAppError, type ErrorCode } from '../base/errors.ts'

const CODES: Record<string, ErrorCode> = {
  ENOSPC: 'storage.full',
  EDQUOT: 'storage.full',
  EACCES: 'storage.denied',
  EPERM: 'storage.denied',
  EROFS: 'storage.denied',
  ENOENT: 'storage.not-found',
  ENOTDIR: 'storage.invalid',
  EISDIR: 'storage.invalid',
  ENAMETOOLONG: 'storage.invalid',
  ELOOP: 'storage.invalid',
  EFBIG: 'storage.unsupported',
  ESTALE: 'storage.unreachable',
  ENOTCONN: 'storage.unreachable',
  ENODEV: 'storage.unreachable',
  EHOSTDOWN: 'storage.unreachable',
  ETIMEDOUT: 'storage.unreachable',
}

const HINTS: Record<string, string> = {
  EROFS: 'The file system is mounted read-only: mount it for writing.',
  ENOTDIR: 'A file is where a folder is needed: choose another path or move it away.',
  EISDIR: 'A folder is where a file is needed: choose another path or move it away.',
  EFBIG: 'The file system (or a limit of this user) does not allow files of that size.',
}

/** A failure of the file system, with what was tried: `store data/ab in file:/srv/backups`. */
export function localError(error: unknown, tried: string): AppError {
  if (error instanceof AppError) return error
  if (isAbort(error)) return toAppError(error)
  const name = errno(error) ?? ''
  const reason = name === '' ? String(error) : `${name}: ${(error as Error).message.replace(/^E\w+: |, .*$/g, '')}`
  // What is missing is clear only with the call: the file, its folder, or a temporary file that somebody took away.
  const call = name === 'ENOENT' ? ` (${(error as NodeJS.ErrnoException).syscall ?? 'unknown call'})` : ''
  return new AppError(CODES[name] ?? 'storage.failed', `cannot ${tried}: ${reason}${call}`, {
    cause: error,
    ...(HINTS[name] === undefined ? {} : { hint: HINTS[name] }),
  })
}

/** Runs work of the file system; its errors come out as AppErrors. */
export async function guarded<T>(tried: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw localError(error, tried)
  }
}
