import { AppError, isAbort, toAppError, type ErrorCode } from '../../base/errors.ts'
import { isCertificateError, networkCode, secondsOf } from '../network-errors.ts'

/** The error names of S3 and of servers like it, by what they mean to us. */
const NAMES: Record<string, ErrorCode> = {
  NoSuchBucket: 'storage.missing-bucket',
  PermanentRedirect: 'storage.wrong-region',
  TemporaryRedirect: 'storage.wrong-region',
  AuthorizationHeaderMalformed: 'storage.wrong-region',
  IllegalLocationConstraintException: 'storage.wrong-region',
  AccessDenied: 'storage.denied',
  AllAccessDisabled: 'storage.denied',
  AccountProblem: 'storage.denied',
  Forbidden: 'storage.denied',
  InvalidAccessKeyId: 'storage.denied',
  InvalidSecurity: 'storage.denied',
  InvalidToken: 'storage.denied',
  NotSignedUp: 'storage.denied',
  RequestTimeTooSkewed: 'storage.denied',
  SignatureDoesNotMatch: 'storage.denied',
  ExpiredToken: 'storage.expired',
  ExpiredTokenException: 'storage.expired',
  XAdminUserNotFound: 'storage.denied',
  TokenRefreshRequired: 'storage.expired',
  CredentialsProviderError: 'storage.no-credentials',
  TokenProviderError: 'storage.no-credentials',
  SlowDown: 'storage.throttled',
  SlowDownRead: 'storage.throttled',
  SlowDownWrite: 'storage.throttled',
  ServiceUnavailable: 'storage.throttled',
  TooManyRequests: 'storage.throttled',
  TooManyRequestsException: 'storage.throttled',
  Throttling: 'storage.throttled',
  ThrottlingException: 'storage.throttled',
  RequestLimitExceeded: 'storage.throttled',
  BandwidthLimitExceeded: 'storage.throttled',
  NoSuchKey: 'storage.not-found',
  NoSuchUpload: 'storage.not-found',
  PreconditionFailed: 'storage.exists',
  BadDigest: 'storage.checksum',
  InvalidDigest: 'storage.checksum',
  XAmzContentSHA256Mismatch: 'storage.checksum',
  XAmzContentChecksumMismatch: 'storage.checksum',
  QuotaExceeded: 'storage.full',
  XMinioStorageFull: 'storage.full',
  InvalidBucketName: 'storage.invalid',
  InvalidStorageClass: 'storage.invalid',
  InvalidObjectState: 'storage.unsupported',
  InvalidRange: 'storage.truncated',
  EntityTooLarge: 'storage.unsupported',
  NotImplemented: 'storage.unsupported',
  TimeoutError: 'storage.unreachable',
  RequestTimeout: 'storage.unreachable',
}

const HINTS: Record<string, string> = {
  RequestTimeTooSkewed: 'Set the clock of this machine: it differs too much from that of the storage.',
  InvalidObjectState:
    'The object lies in a cold storage class: `holdfast thaw BACKUP` asks for all that the backup needs.',
  SignatureDoesNotMatch: 'Check secretAccessKey: the storage does not accept signatures made with it.',
  InvalidAccessKeyId: 'Check accessKeyId: the storage does not know it.',
  XAdminUserNotFound: 'Check accessKeyId: the storage does not know it.',
}

/** Not 404: only an answer that names the object says that it is missing; a wrong endpoint says 404 too. */
const STATUSES: Record<number, ErrorCode> = {
  301: 'storage.wrong-region',
  307: 'storage.wrong-region',
  401: 'storage.denied',
  403: 'storage.denied',
  408: 'storage.unreachable',
  409: 'storage.failed',
  412: 'storage.exists',
  416: 'storage.truncated',
  429: 'storage.throttled',
  503: 'storage.throttled',
  507: 'storage.full',
}

/** What the SDK puts on its errors, as far as we read it. */
interface SdkError extends Error {
  code?: string
  Region?: string
  $metadata?: { httpStatusCode?: number; requestId?: string }
  $response?: { statusCode?: number; headers?: Record<string, string> }
}

/**
 * An error of the SDK as ours. The raw error is not kept as the cause: answers to a bad signature or an expired token
 * quote the token.
 */
export function s3Error(thrown: unknown, tried: string, secrets: Iterable<string> = []): AppError {
  if (thrown instanceof AppError) return thrown
  if (isAbort(thrown)) return toAppError(thrown)
  if (!(thrown instanceof Error)) return new AppError('storage.failed', `cannot ${tried}: ${String(thrown)}`)
  const error = thrown as SdkError
  const status = error.$response?.statusCode ?? error.$metadata?.httpStatusCode
  const headers = error.$response?.headers ?? {}
  const code = codeOf(error, status)
  const region = error.Region ?? headers['x-amz-bucket-region'] ?? /expecting '([\w-]+)'/.exec(error.message)?.[1]
  const message = redacted(reasonOf(error, status), secrets)
  const hint = hintOf(error, code, region, status)
  const retryAfter = secondsOf(headers['retry-after'])
  const cause = new Error(`${error.name}: ${message}`)
  const permanent = isCertificateError(error.code ?? '')
  return new AppError(code, `cannot ${tried}: ${message}`, {
    cause,
    ...(hint === undefined ? {} : { hint }),
    ...(retryAfter === undefined ? {} : { retryAfter }),
    details: {
      name: error.name,
      ...(status === undefined ? {} : { status }),
      ...(region === undefined ? {} : { region }),
      ...(error.$metadata?.requestId === undefined ? {} : { requestId: error.$metadata.requestId }),
      ...(permanent ? { permanent } : {}),
    },
  })
}

function codeOf(error: SdkError, status: number | undefined): ErrorCode {
  const known = NAMES[error.name] ?? NAMES[error.code ?? '']
  if (known !== undefined) return known
  const network = error.code ?? ''
  const broken = networkCode(network)
  if (broken !== undefined) return broken
  if (/region is missing/i.test(error.message)) return 'storage.invalid'
  if (/could not load credentials|credential is missing/i.test(error.message)) return 'storage.no-credentials'
  if (status === undefined) return 'storage.failed'
  // What the other side refuses otherwise, it refuses again.
  return (
    STATUSES[status] ?? (status === 501 || (status >= 400 && status < 500) ? 'storage.unsupported' : 'storage.failed')
  )
}

function reasonOf(error: SdkError, status: number | undefined): string {
  const name = ['Error', 'UnknownError', 'SyntaxError', 'Unknown', 'AggregateError', 'TimeoutError'].includes(
    error.name,
  )
    ? ''
    : error.name
  const text = /^(UnknownError|Unknown|)$/.test(error.message) ? (error.code ?? '') : error.message
  const parts = [name, text.includes('Deserialization error') ? 'the answer is not one of S3' : text]
  const reason = parts.filter(Boolean).join(': ')
  return status === undefined || status < 300 ? reason : `${reason || 'refused'} (HTTP ${status})`
}

function hintOf(
  error: SdkError,
  code: ErrorCode,
  region: string | undefined,
  status: number | undefined,
): string | undefined {
  if (code === 'storage.wrong-region' && region !== undefined)
    return `Set region: ${region} in the storage settings; the bucket lies there.`
  if (code === 'storage.invalid' && /region/i.test(error.message)) return 'Set region in the storage settings.'
  if (isCertificateError(error.code ?? ''))
    return 'The certificate of the endpoint is not trusted: name its authority by NODE_EXTRA_CA_CERTS.'
  if (status === 404 && code === 'storage.unsupported') return 'Check the endpoint: what answers there is not S3.'
  return HINTS[error.name]
}

function redacted(text: string, secrets: Iterable<string>): string {
  let out = text
  for (const secret of secrets) if (secret.length >= 8) out = out.replaceAll(secret, '[secret]')
  return out
}
