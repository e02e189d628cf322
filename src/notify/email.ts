import { readFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { AppError, errno } from '../base/errors.ts'
import { redact } from '../base/redact.ts'
import type { Notification, Notifier } from '../model/notify.ts'
import type { EmailSettings } from '../model/settings.ts'

const TIMEOUT_MS = 30_000

/**
 * Mail by SMTP. Certificates are checked, and mail to another machine is sent over TLS or not at all, unless the
 * settings say otherwise. Nothing is opened before `send`.
 */
export function email(settings: EmailSettings): Notifier {
  return {
    name: settings.name,
    on: settings.on,
    send: (notification, { signal } = {}) => send(settings, notification, signal),
  }
}

async function send(settings: EmailSettings, notification: Notification, signal?: AbortSignal): Promise<void> {
  const { smtp, from, to } = settings
  const place = `${smtp.host}:${smtp.port}`
  const [options, { createTransport }] = await Promise.all([connection(settings), import('nodemailer')])
  const transport = createTransport(options)
  const stop = () => transport.close()
  signal?.addEventListener('abort', stop, { once: true })
  try {
    const sending = transport.sendMail({
      from,
      to,
      subject: notification.title,
      text: notification.text,
      html: notification.html,
      date: notification.time,
      headers: { 'Auto-Submitted': 'auto-generated', 'X-Holdfast-Event': notification.event },
      attachments: notification.attachments?.map(({ name, type, text }) => ({
        filename: name,
        contentType: type,
        content: text,
      })),
      // Bodies are ours and must never be read from a file or an address that a text happens to name.
      disableFileAccess: true,
      disableUrlAccess: true,
    })
    const { rejected } = await withinTime(sending, 4 * (smtp.timeoutMs ?? TIMEOUT_MS), signal)
    const refused = rejected.map(String)
    if (refused.length > 0) {
      throw new AppError(
        'notify.failed',
        `${place} refused some recipients: ${refused.join(', ')}; the others got the mail`,
        {
          details: { permanent: true },
        },
      )
    }
  } catch (error) {
    throw failure(error, place, smtp.requireTls !== false)
  } finally {
    signal?.removeEventListener('abort', stop)
    transport.close()
  }
}

async function connection({ smtp }: EmailSettings) {
  const timeout = smtp.timeoutMs ?? TIMEOUT_MS
  const secure = smtp.secure ?? smtp.port === 465
  const password = await smtp.password?.read()
  return {
    host: smtp.host,
    port: smtp.port,
    secure,
    requireTLS: !secure && (smtp.requireTls ?? !isThisMachine(smtp.host)),
    ...(smtp.user === undefined ? {} : { auth: { user: smtp.user, pass: password ?? '' } }),
    connectionTimeout: timeout,
    greetingTimeout: timeout,
    socketTimeout: timeout,
    tls: {
      minVersion: 'TLSv1.2' as const,
      rejectUnauthorized: smtp.rejectUnauthorized ?? true,
      ...(smtp.ca === undefined ? {} : { ca: await readAuthority(smtp.ca) }),
      ...(isIP(smtp.host) === 0 ? { servername: smtp.host } : {}),
    },
  }
}

const isThisMachine = (host: string): boolean => host === 'localhost' || host === '::1' || host.startsWith('127.')

async function readAuthority(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw new AppError('notify.failed', `cannot read the certificate authority ${path}: ${errno(error) ?? 'failed'}`, {
      cause: error,
      details: { permanent: true },
    })
  }
}

/** A server that answers a byte now and then never trips the socket's timeout: the whole is bounded too. */
async function withinTime<T>(work: Promise<T>, ms: number, signal?: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new Error(`no end after ${ms / 1000} s`)), ms)
  const abort = () => reject(new AppError('run.cancelled', 'cancelled while sending mail'))
  signal?.addEventListener('abort', abort, { once: true })
  if (signal?.aborted === true) abort()
  work.catch(() => {}) // when the time is over first, nobody else listens
  try {
    return await Promise.race([work, promise])
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', abort)
  }
}

/** What the server said, without what we said to it. */
function failure(error: unknown, place: string, tls: boolean): AppError {
  if (error instanceof AppError) return error
  const { response, responseCode, code, message } = error as Partial<
    Record<'response' | 'code' | 'message', string> & { responseCode: number }
  >
  const answer = redact(response ?? message ?? 'failed')
  const certificate = /certificate|self[- ]signed|altname/i.test(message ?? '')
  const noTls = tls && (code === 'ETLS' || /STARTTLS/i.test(answer))
  const hint = certificate
    ? 'Give the authority that signed the certificate of the mail server as smtp.ca.'
    : noTls
      ? 'The server offers no TLS; smtp.requireTls: false sends without it.'
      : code === 'EAUTH'
        ? 'Check smtp.user and smtp.password.'
        : undefined
  const permanent = certificate || noTls || code === 'EAUTH' || (responseCode !== undefined && responseCode >= 500)
  return new AppError('notify.failed', `cannot send mail by ${place}: ${answer}`, {
    hint,
    details: permanent ? { permanent } : {},
    cause: error,
  })
}
