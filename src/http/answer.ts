/** Writing answers. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createHash } from 'node:crypto'
import { toAppError, type AppError } from '../base/errors.ts'
import { redact } from '../base/redact.ts'

/** On every answer; the page has a policy of its own. */
export const SECURITY_HEADERS: Record<string, string> = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'x-frame-options': 'DENY',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
}

export function sendText(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  text: string,
  headers: Record<string, string>,
): void {
  const body = Buffer.from(text)
  response.writeHead(status, {
    ...SECURITY_HEADERS,
    'cache-control': 'no-store',
    'content-length': body.length,
    ...headers,
  })
  response.end(request.method === 'HEAD' ? undefined : body)
}

export const JSON_TYPE = 'application/json; charset=utf-8'

export function sendJson(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  text: string,
  headers: Record<string, string> = {},
): void {
  sendText(request, response, status, text, { 'content-type': JSON_TYPE, ...headers })
}

/** An answer that streams has its head by now: then it is cut, so that nobody takes it for whole. */
export function sendProblem(request: IncomingMessage, response: ServerResponse, thrown: unknown): AppError {
  const error = toAppError(thrown)
  if (response.headersSent) {
    response.destroy()
    return error
  }
  const headers: Record<string, string> = {}
  if (error.retryAfter !== undefined) headers['retry-after'] = String(error.retryAfter)
  if (error.http === 401) headers['www-authenticate'] = 'Bearer realm="holdfast"'
  const { allow } = error.details
  if (typeof allow === 'string') headers['allow'] = allow
  sendJson(request, response, error.http, JSON.stringify(problemOf(error)), headers)
  // What was not read of the body must not be taken for the next call.
  if (!request.complete) response.once('finish', () => request.destroy())
  return error
}

export function problemOf({ code, message, hint, details }: AppError): unknown {
  const faults = Array.isArray(details['faults'])
    ? (details['faults'] as { key?: string; message: string }[])
    : undefined
  const run = details['run']
  return {
    error: {
      code,
      message: redact(message),
      hint,
      ...(faults && { faults: faults.map(({ key, message: text }) => ({ key, message: redact(text) })) }),
      ...(typeof run === 'string' && { run }),
    },
  }
}

export const etagOf = (text: string): string =>
  `"${createHash('sha256').update(text).digest('base64url').slice(0, 22)}"`
