import { AppError, isAbort, toAppError, type ErrorCode } from '../../base/errors.ts'
import { redact } from '../../base/redact.ts'
import { networkCode, secondsOf } from '../network-errors.ts'

/** The error codes of the service, by what they mean to us. */
const CODES: Record<string, ErrorCode> = {
  ContainerNotFound: 'storage.missing-bucket',
  ContainerBeingDeleted: 'storage.missing-bucket',
  ContainerDisabled: 'storage.missing-bucket',
  ResourceNotFound: 'storage.missing-bucket',
  BlobNotFound: 'storage.not-found',
  BlobAlreadyExists: 'storage.exists',
  ConditionNotMet: 'storage.exists',
  TargetConditionNotMet: 'storage.exists',
  AuthenticationFailed: 'storage.denied',
  AuthorizationFailure: 'storage.denied',
  AuthorizationPermissionMismatch: 'storage.denied',
  AuthorizationProtocolMismatch: 'storage.denied',
  AuthorizationResourceTypeMismatch: 'storage.denied',
  AuthorizationServiceMismatch: 'storage.denied',
  AuthorizationSourceIPMismatch: 'storage.denied',
  InsufficientAccountPermissions: 'storage.denied',
  AccountIsDisabled: 'storage.denied',
  NoAuthenticationInformation: 'storage.denied',
  InvalidAuthenticationInfo: 'storage.expired',
  PublicAccessNotPermitted: 'storage.denied',
  BlobImmutableDueToPolicy: 'storage.locked',
  BlobImmutableDueToLegalHold: 'storage.locked',
  ImmutabilityPolicyDeleteOnLockedPolicy: 'storage.denied',
  LeaseIdMissing: 'storage.denied',
  Md5Mismatch: 'storage.checksum',
  Crc64Mismatch: 'storage.checksum',
  InvalidRange: 'storage.truncated',
  ServerBusy: 'storage.throttled',
  OperationTimedOut: 'storage.throttled',
  AccountBeingCreated: 'storage.throttled',
  InternalError: 'storage.failed',
  BlobArchived: 'storage.unsupported',
  BlobBeingRehydrated: 'storage.unsupported',
  InvalidBlockList: 'storage.failed',
  UnsupportedHeader: 'storage.unsupported',
  InvalidResourceName: 'storage.invalid',
  RequestBodyTooLarge: 'storage.unsupported',
}

const HINTS: Record<string, string> = {
  AuthenticationFailed:
    'Check account, accountKey or sasToken, whether the token has expired, and the clock of this machine.',
  BlobArchived: 'The blob lies in the archive tier: `holdfast thaw BACKUP` asks for all that the backup needs.',
  BlobBeingRehydrated: 'The blob is on its way out of the archive tier: try again in some hours.',
  BlobImmutableDueToPolicy: 'The container keeps what it holds until its immutability policy lets it go.',
}

const STATUSES: Record<number, ErrorCode> = {
  401: 'storage.denied',
  403: 'storage.denied',
  404: 'storage.not-found',
  409: 'storage.failed',
  412: 'storage.exists',
  416: 'storage.truncated',
  429: 'storage.throttled',
  503: 'storage.throttled',
}

export const statusOf = (error: unknown): number | undefined => numberOf(error, 'statusCode')

export function codeOf(error: unknown): string | undefined {
  const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined
  return typeof code === 'string' ? code : undefined
}

/** Without the raw error as the cause: it holds the request, whose address may end in a SAS token. */
export function azureError(thrown: unknown, tried: string): AppError {
  if (thrown instanceof AppError) return thrown
  if (isAbort(thrown)) return toAppError(thrown)
  const error = thrown instanceof Error ? thrown : new Error(String(thrown))
  const status = statusOf(error)
  const name = codeOf(error) ?? ''
  const expired = /(?:signature|token).{0,40}expired|se=.{0,80}expired|expired.{0,20}token/is.test(error.message)
  const code =
    (expired ? 'storage.expired' : CODES[name]) ??
    networkCode(name) ??
    (name === 'REQUEST_SEND_ERROR' ? 'storage.unreachable' : undefined) ??
    (status === undefined
      ? 'storage.failed'
      : (STATUSES[status] ?? (status >= 400 && status < 500 ? 'storage.unsupported' : 'storage.failed')))
  const [line = ''] = redact(error.message).split('\n')
  const known = name === '' || line.includes(name) ? line : `${name}: ${line}`
  const hint = HINTS[name]
  const retryAfter = secondsOf(headerOf(error, 'retry-after'))
  return new AppError(
    code,
    `cannot ${tried}: ${known || 'refused'}${status === undefined ? '' : ` (HTTP ${status})`}`,
    {
      cause: new Error(known),
      ...(hint === undefined ? {} : { hint }),
      ...(retryAfter === undefined ? {} : { retryAfter }),
      details: { ...(name === '' ? {} : { name }), ...(status === undefined ? {} : { status }) },
    },
  )
}

function numberOf(error: unknown, key: string): number | undefined {
  const value: unknown = error instanceof Error ? Reflect.get(error, key) : undefined
  return typeof value === 'number' ? value : undefined
}

function headerOf(error: Error, name: string): string | undefined {
  const response: unknown = Reflect.get(error, 'response')
  const headers: unknown =
    typeof response === 'object' && response !== null ? Reflect.get(response, 'headers') : undefined
  if (typeof headers !== 'object' || headers === null) return undefined
  const get: unknown = Reflect.get(headers, 'get')
  const value: unknown = typeof get === 'function' ? get.call(headers, name) : undefined
  return typeof value === 'string' ? value : undefined
}
