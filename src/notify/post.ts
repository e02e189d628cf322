/** One HTTP request of a notifier: bounded in time, tried again where that may help, and silent about secrets. */
import { systemClock, type Clock } from '../base/clock.ts'
import { AppError, isAbort, toAppError } from '../base/errors.ts'
import { REDACTED, redact } from '../base/redact.ts'
import { retry } from '../base/retry.ts'

export interface Post {
  url: string
  method?: 'POST' | 'PUT'
  headers?: Record<string, string>
  body: string
  /** What a good answer says of what was not taken all the same. */
  faultIn?: (answer: string) => string | undefined
}

export interface PostOptions {
  signal?: AbortSignal | undefined
  clock?: Clock
}

const TIMEOUT_MS = 10_000
const ATTEMPTS = 3
const SHOWN_ANSWER = 200
const LIKE_A_SECRET = 8
/** A service that asks for more patience than this is not waited for. */
const MOST_PATIENCE_S = 30

/** Resolves with the headers of the answer. `what` names the service; the address may be a secret and is not shown. */
export async function post(
  what: string,
  request: Post,
  { signal, clock = systemClock }: PostOptions = {},
): Promise<Headers> {
  const address = addressOf(what, request.url)
  const { host } = address
  return retry(
    async () => {
      const limit = AbortSignal.timeout(TIMEOUT_MS)
      let response: Response
      try {
        response = await fetch(request.url, {
          method: request.method ?? 'POST',
          headers: { 'user-agent': 'holdfast', ...request.headers },
          body: request.body,
          redirect: 'manual',
          signal: signal === undefined ? limit : AbortSignal.any([signal, limit]),
        })
        const answer = await response.text()
        const fault = response.ok ? request.faultIn?.(answer) : undefined
        if (response.ok && fault === undefined) return response.headers
        if (fault !== undefined)
          throw new AppError('notify.failed', `${what} at ${host} did not take all: ${shown(fault, address)}`, {
            details: { permanent: true },
          })
        throw refused(what, address, response, answer)
      } catch (error) {
        if (error instanceof AppError) throw error
        if (signal?.aborted === true) throw toAppError(signal.reason, 'run.cancelled')
        throw new AppError('notify.failed', `cannot reach ${what} at ${host}: ${reasonOf(error, limit)}`, {
          cause: error,
        })
      }
    },
    { attempts: ATTEMPTS, baseMs: 500, maxMs: 5000, clock, signal },
  )
}

function addressOf(what: string, url: string): URL {
  const address = URL.canParse(url) ? new URL(url) : undefined
  if (address !== undefined && ['http:', 'https:'].includes(address.protocol)) return address
  throw new AppError('notify.failed', `the address of ${what} is none`, {
    hint: 'It begins with https://.',
    details: { permanent: true },
  })
}

function refused(what: string, address: URL, { status, headers }: Response, answer: string): AppError {
  const { host } = address
  const after = Number(headers.get('retry-after') ?? 'NaN')
  const passing = (status === 429 || status >= 500) && !(after > MOST_PATIENCE_S)
  const moved = status >= 300 && status < 400 ? '; redirects are not followed' : ''
  const said = shown(answer, address)
  return new AppError(
    'notify.failed',
    `${what} at ${host} answered ${status}${moved}${said === '' ? '' : `: ${said}`}`,
    {
      details: { status, ...(!passing && { permanent: true }) },
      ...(passing && Number.isFinite(after) && { retryAfter: after }),
    },
  )
}

const shown = (answer: string, address: URL): string =>
  withoutPath(redact(answer), address).replaceAll(/\s+/g, ' ').trim().slice(0, SHOWN_ANSWER)

function reasonOf(error: unknown, limit: AbortSignal): string {
  if (limit.aborted) return `no answer within ${TIMEOUT_MS / 1000} s`
  if (isAbort(error) || !(error instanceof Error)) return 'cancelled'
  const { cause } = error
  return cause instanceof Error ? cause.message : error.message
}

/** Services put their secrets into the path, and some say it again in their answer. */
function withoutPath(text: string, { pathname, searchParams }: URL): string {
  const parts = [...pathname.split('/'), ...searchParams.values()].filter((part) => part.length >= LIKE_A_SECRET)
  return parts.reduce((rest, part) => rest.replaceAll(part, REDACTED), text)
}
