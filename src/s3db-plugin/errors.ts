/** Errors as callers of s3db's own plugin know them: messages, `statusCode`, `suggestion`; with our codes besides. */
import { AppError, toAppError, type ErrorCode } from '../base/errors.ts'

export interface BackupErrorDetails {
  operation: string
  backupId?: string
  driver?: string
  /** As HTTP means it; by the code where absent. */
  statusCode?: number
  cause?: unknown
  hint?: string
  details?: Record<string, unknown>
}

export class BackupError extends AppError {
  readonly statusCode: number
  readonly operation: string
  readonly backupId: string | undefined
  readonly driver: string | undefined

  constructor(code: ErrorCode, message: string, known: BackupErrorDetails) {
    const { operation, backupId, driver, statusCode, ...rest } = known
    super(code, message, rest)
    this.name = 'BackupError'
    this.operation = operation
    this.backupId = backupId
    this.driver = driver
    this.statusCode = statusCode ?? this.http
  }

  get suggestion(): string {
    return this.hint
  }
}

/** Any failure of an operation, with what was being done. */
export function backupError(thrown: unknown, known: BackupErrorDetails): BackupError {
  if (thrown instanceof BackupError) return thrown
  const { code, message, hint, details } = toAppError(thrown)
  return new BackupError(code, message, { ...known, hint, details: { ...details, ...known.details }, cause: thrown })
}

/** Wrong options, where the constructor or a call finds them. */
export const optionError = (message: string, hint?: string): BackupError =>
  new BackupError('config.invalid', message, { operation: 'configure', ...(hint !== undefined && { hint }) })
