import { AppError, isAbort, toAppError, type ErrorCode } from '../../base/errors.ts'

/** Status codes of the SFTP protocol, version 3. */
export const STATUS = { noSuchFile: 2, denied: 3, failure: 4, noConnection: 6, connectionLost: 7, unsupported: 8 }

const STATUSES: Record<number, ErrorCode> = {
  [STATUS.noSuchFile]: 'storage.not-found',
  [STATUS.denied]: 'storage.denied',
  [STATUS.noConnection]: 'storage.unreachable',
  [STATUS.connectionLost]: 'storage.unreachable',
  [STATUS.unsupported]: 'storage.unsupported',
}

/** What ssh2 says of the phase in which a connection failed. */
const LEVELS: Record<string, ErrorCode> = {
  'client-authentication': 'storage.denied',
  'client-timeout': 'storage.unreachable',
  'client-socket': 'storage.unreachable',
  'client-dns': 'storage.unreachable',
  protocol: 'storage.unreachable',
  handshake: 'storage.unreachable',
  agent: 'storage.denied',
}

export const statusOf = (error: unknown): number | undefined => {
  const code = error instanceof Error ? Reflect.get(error, 'code') : undefined
  return typeof code === 'number' ? code : undefined
}

export const isMissing = (error: unknown): boolean => statusOf(error) === STATUS.noSuchFile

export function sftpError(thrown: unknown, tried: string): AppError {
  if (thrown instanceof AppError) return thrown
  if (isAbort(thrown)) return toAppError(thrown)
  const error = thrown instanceof Error ? thrown : new Error(String(thrown))
  const status = statusOf(error)
  const level: unknown = Reflect.get(error, 'level')
  const code =
    (status === undefined ? undefined : STATUSES[status]) ??
    (typeof level === 'string' ? LEVELS[level] : undefined) ??
    (/does not support this extended request/.test(error.message) ? 'storage.unsupported' : undefined) ??
    (/no response from server|not connected|channel/i.test(error.message) ? 'storage.unreachable' : 'storage.failed')
  const unsupported = /no matching|all configured authentication methods failed/i.test(error.message)
  return new AppError(code, `cannot ${tried}: ${error.message}`, {
    cause: error,
    ...(code === 'storage.denied' && status === undefined && { hint: LOGIN_HINT }),
    // A failure that the server does not explain: a folder where a file should be, a quota, a full disk.
    details: {
      ...(status === undefined ? {} : { status }),
      ...(unsupported || status === STATUS.failure ? { permanent: true } : {}),
    },
  })
}

const LOGIN_HINT =
  'Check the user, and that the server accepts the key, agent or password of the settings: try `ssh -v USER@HOST`.'
