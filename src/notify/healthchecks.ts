/** Pings as healthchecks.io and its likes take them: start, success, failure, each with the run's id and the end of its log. */
import { open } from 'node:fs/promises'
import { ERRORS } from '../base/errors.ts'
import { redact } from '../base/redact.ts'
import type { Notification, Notifier } from '../model/notify.ts'
import type { ServiceNotifySettings } from '../model/settings.ts'
import { post } from './post.ts'

const BODY_LIMIT = 100_000

export function healthchecks(settings: Extract<ServiceNotifySettings, { type: 'healthchecks' }>): Notifier {
  /** As the server told with its last answer. */
  let limit = BODY_LIMIT
  return {
    name: settings.name,
    on: settings.on,
    everyRun: true,
    async send(notification, { signal } = {}) {
      const { runs, text } = notification
      const base = (await settings.url.read()).replace(/\/+$/, '')
      const rid = runs[0]?.id
      const url = `${base}${endingOf(notification, settings.exitStatus === true)}${rid === undefined ? '' : `?rid=${rid}`}`
      const log =
        notification.event === 'start'
          ? ''
          : await tailOf(
              runs.flatMap((run) => run.log ?? []),
              limit,
            )
      const body = lastBytes(log === '' ? text : `${text}\n${log}`, limit)
      const headers = await post('healthchecks', { url, body }, { signal })
      const told = Number(headers.get('ping-body-limit') ?? 'NaN')
      if (Number.isSafeInteger(told) && told >= 0) limit = told
    },
  }
}

function endingOf({ event, runs }: Notification, exitStatus: boolean): string {
  if (event === 'start') return '/start'
  if (event === 'test') return '/log'
  if (event !== 'failure' && event !== 'overdue') return ''
  if (!exitStatus) return '/fail'
  const code = runs.find(({ error }) => error !== undefined)?.error?.code
  return `/${Object.entries(ERRORS).find(([name]) => name === code)?.[1].exit ?? 1}`
}

/** The ends of the logs, together no longer than the limit. */
async function tailOf(files: readonly string[], limit: number): Promise<string> {
  const share = Math.floor(limit / Math.max(1, files.length))
  const tails = files.map(async (file) => {
    try {
      await using handle = await open(file)
      const { size } = await handle.stat()
      const length = Math.min(size, share)
      const { buffer } = await handle.read(Buffer.alloc(length), 0, length, size - length)
      return redact(buffer.toString())
    } catch {
      return ''
    }
  })
  return (await Promise.all(tails)).join('')
}

function lastBytes(text: string, limit: number): string {
  const bytes = Buffer.from(text)
  return bytes.length <= limit ? text : bytes.subarray(bytes.length - limit).toString()
}
