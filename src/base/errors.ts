/**
 * The one error class and the one table. A code says what went wrong; the table says what follows from it:
 * the exit code of the CLI, the status of the API, whether trying again can help, and what the user can do.
 * Messages are lower case and say what was tried, on what. Hints are full sentences.
 */
interface Consequence {
  exit: number
  http: number
  retry: boolean
  hint: string
}

const row = (exit: number, http: number, retry: boolean, hint: string): Consequence => ({ exit, http, retry, hint })

export const ERRORS = {
  'internal.bug': row(1, 500, false, 'This is a defect in Holdfast: please report it with the log of this run.'),
  'run.cancelled': row(130, 409, false, 'The run was cancelled; start it again when you want to.'),
  'run.interrupted': row(1, 409, true, 'The run was stopped from outside; it goes on by itself, or start it again.'),
  'run.failed': row(1, 500, false, 'See the errors above and the log of the run.'),
  'run.warnings': row(3, 200, false, 'The backup exists; look at the warnings to see which items are not in it.'),
  'run.locked': row(11, 409, true, 'Another run holds the lease: wait for it, or see `holdfast run list`.'),
  'run.skipped': row(5, 409, false, 'A policy skipped this run.'),
  'usage.invalid': row(2, 400, false, 'See `holdfast COMMAND --help`.'),
  'config.invalid': row(2, 400, false, 'Correct the configuration, then check it with `holdfast config validate`.'),
  'config.not-found': row(2, 404, false, 'Name a configuration file with --config, or work without one: --vault PATH.'),
  'config.secret': row(2, 400, false, 'Check that the secret reference exists and can be read by this user.'),
  'job.not-found': row(2, 404, false, 'See `holdfast job list` for the jobs that exist.'),
  'vault.not-found': row(10, 404, false, 'Check the vault name or path; `backup --to` or `init` creates a vault.'),
  'vault.exists': row(1, 409, false, 'A vault is there already: use `connect` to adopt it.'),
  'vault.wrong-password': row(
    12,
    403,
    false,
    'Check the password or key of this vault; the stored data itself is not damaged.',
  ),
  'vault.no-password': row(
    12,
    403,
    false,
    'Give the password by HOLDFAST_PASSWORD, --password-file or --password-command.',
  ),
  'vault.unsupported': row(
    1,
    422,
    false,
    'This vault needs a newer Holdfast, or a feature that its format does not have.',
  ),
  'vault.locked': row(
    11,
    409,
    true,
    'Another process works on this vault: wait for it to end; a dead one is noticed by itself.',
  ),
  'backup.not-found': row(10, 404, false, 'See `holdfast list` for the backups that exist.'),
  'backup.damaged': row(
    4,
    422,
    false,
    'Run `holdfast check --read-data` to see all that is damaged and what is still restorable.',
  ),
  'backup.chain-broken': row(
    4,
    422,
    false,
    'A backup that this one builds on is missing or damaged; restore what remains, or an earlier point.',
  ),
  'backup.last-one': row(1, 409, false, 'The newest restorable backup is never removed; make a new backup first.'),
  'backup.held': row(1, 409, false, 'A hold or a kept backup needs this one; remove the hold first.'),
  'restore.exists': row(1, 409, false, 'Choose an empty target, or say --overwrite if-changed or always.'),
  'restore.unsafe': row(
    1,
    422,
    false,
    'The archive tries to write outside its target: do not trust where it comes from.',
  ),
  'restore.failed': row(1, 500, false, 'See the errors above; what was restored has been verified, the rest is named.'),
  'restore.unreachable': row(10, 404, false, 'See `holdfast timeline JOB` for the moments that can be restored.'),
  'lane.gap': row(14, 409, false, 'The log has a gap: make a backup, from which points in time can be restored again.'),
  'verify.damaged': row(
    4,
    422,
    false,
    'The stored bytes differ from what was written: take a new full backup and look at the storage.',
  ),
  'storage.not-found': row(1, 404, false, 'The object is not in the storage; `holdfast check` tells what misses it.'),
  'storage.exists': row(1, 409, false, 'An object of that name exists already, and this write must not replace it.'),
  'storage.missing-bucket': row(13, 502, false, 'Create the bucket, or correct its name in the storage settings.'),
  'storage.wrong-region': row(13, 502, false, 'Set the region of the bucket in the storage settings.'),
  'storage.denied': row(13, 502, false, 'Check that these credentials may do this on that bucket or folder.'),
  'storage.locked': row(
    13,
    423,
    false,
    'The storage keeps the object until its time is over; a later prune removes it.',
  ),
  'storage.expired': row(13, 502, false, 'The credentials have expired: refresh them.'),
  'storage.no-credentials': row(
    13,
    502,
    false,
    'Set accessKeyId and secretAccessKey, or the environment that the SDK reads.',
  ),
  'storage.unreachable': row(13, 502, true, 'Check the endpoint, the network and the DNS name.'),
  'storage.throttled': row(13, 502, true, 'The storage asks to slow down; lower the concurrency or the bandwidth.'),
  'storage.full': row(13, 507, false, 'Free space in the storage, or prune old backups.'),
  'storage.truncated': row(
    13,
    502,
    true,
    'The storage gave fewer bytes than it promised; try again, then run `holdfast check`.',
  ),
  'storage.checksum': row(
    13,
    502,
    true,
    'The bytes were changed on the way; try again, then look at the network and the memory.',
  ),
  'storage.unsupported': row(1, 422, false, 'This storage cannot do that; choose another driver or setting.'),
  'storage.invalid': row(2, 400, false, 'Correct the storage settings or URL.'),
  'storage.failed': row(13, 502, true, 'The storage answered with an error; its text is in the message.'),
  'source.not-found': row(14, 404, false, 'Check the path or address of the source.'),
  'source.denied': row(14, 403, false, 'Run as a user who may read the source.'),
  'source.unreachable': row(14, 502, true, 'Check that the source is up and its address is right.'),
  'source.failed': row(14, 502, false, 'The source ended with an error; its text is in the message.'),
  'source.incomplete': row(
    14,
    502,
    false,
    'What was read is not whole, so no backup was made; the reason is in the message, all of it in the log of the run.',
  ),
  'source.no-program': row(14, 422, false, 'Install the client program, or add its folder to PATH.'),
  'source.unsupported': row(14, 422, false, 'This source cannot do that.'),
  'target.unreachable': row(14, 502, true, 'Check that the server of the restore is up and its address is right.'),
  'target.in-use': row(1, 409, false, 'Stop the programs that use the target, or restore to another place.'),
  'target.full': row(1, 507, false, 'Free space on the disk that the restore writes to.'),
  'target.denied': row(1, 403, false, 'Run as a user who may write to the target.'),
  'catalogue.failed': row(
    1,
    500,
    false,
    'The catalogue can be deleted and rebuilt from the vaults with `holdfast connect`.',
  ),
  'auth.required': row(12, 401, false, 'Sign in, or send a token as `Authorization: Bearer hf_…`.'),
  'auth.failed': row(
    12,
    401,
    false,
    'Check the name, the password and the code; forgotten ones: `holdfast user --help`.',
  ),
  'auth.code-needed': row(12, 401, false, 'Send the six digits of the authenticator, or a recovery code, as `code`.'),
  'auth.denied': row(12, 403, false, 'Ask an admin for a role or a token that may do this.'),
  'auth.origin': row(12, 403, false, 'This call came from another site, or without the header x-holdfast-csrf.'),
  'auth.throttled': row(12, 429, true, 'Too many failed attempts: wait for as long as Retry-After says.'),
  'request.invalid': row(2, 400, false, 'See /api/docs for what this call takes.'),
  'request.not-found': row(2, 404, false, 'See /api/docs for the addresses that there are.'),
  'request.method': row(2, 405, false, 'See /api/docs for what this address takes.'),
  'request.exists': row(2, 409, false, 'Choose another name, or change what is there.'),
  'request.managed': row(2, 409, false, 'It is defined in the configuration file: change it there.'),
  'request.in-use': row(2, 409, false, 'Change what uses it first.'),
  'request.changed': row(2, 412, false, 'Somebody changed it meanwhile: read it again, then repeat your change.'),
  'request.too-large': row(2, 413, false, 'Send less at once.'),
  'request.type': row(2, 415, false, 'Send JSON, with `content-type: application/json`.'),
  'request.key-reused': row(2, 422, false, 'An Idempotency-Key stands for one call: make a new one for another call.'),
  'request.no-version': row(2, 428, false, 'Send `If-Match` with the ETag that reading it gave.'),
  'request.too-many': row(1, 429, true, 'Wait for as long as Retry-After says.'),
  'notify.failed': row(1, 502, true, 'Check the notification settings with `holdfast notify test`.'),
  'hook.failed': row(1, 500, false, 'Look at the output of the hook in the log of the run.'),
} as const satisfies Record<string, Consequence>

export type ErrorCode = keyof typeof ERRORS

export interface ErrorOptions {
  cause?: unknown
  /** Replaces the table's hint where the place that fails knows better. */
  hint?: string
  /** Seconds after which the other side wants to be asked again. */
  retryAfter?: number
  details?: Record<string, unknown>
}

export class AppError extends Error {
  readonly code: ErrorCode
  readonly hint: string
  readonly retryAfter: number | undefined
  readonly details: Record<string, unknown>

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'AppError'
    this.code = code
    this.hint = options.hint ?? ERRORS[code].hint
    this.retryAfter = options.retryAfter
    this.details = options.details ?? {}
  }

  get exit(): number {
    return ERRORS[this.code].exit
  }

  get http(): number {
    return ERRORS[this.code].http
  }

  /** By the table, unless the place that failed knows that it stays so: `details: { permanent: true }`. */
  get retryable(): boolean {
    return ERRORS[this.code].retry && this.details['permanent'] !== true
  }
}

export function isAppError(error: unknown, ...codes: ErrorCode[]): error is AppError {
  return error instanceof AppError && (codes.length === 0 || codes.includes(error.code))
}

/** The errno name of a system error (`ENOENT`), or undefined. */
export function errno(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}

export function isAbort(error: unknown): boolean {
  return (
    error instanceof Error && (error.name === 'AbortError' || isAppError(error, 'run.cancelled', 'run.interrupted'))
  )
}

/** Any thrown thing as an AppError: unknown ones become `internal.bug`, aborted ones `run.cancelled`. */
export function toAppError(error: unknown, code: ErrorCode = 'internal.bug'): AppError {
  if (error instanceof AppError) return error
  if (isAbort(error)) return new AppError('run.cancelled', 'cancelled', { cause: error })
  return new AppError(code, error instanceof Error ? error.message : String(error), { cause: error })
}
