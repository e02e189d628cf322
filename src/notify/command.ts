/** A program of the user's that gets the event as JSON on its input. */
import { spawn } from 'node:child_process'
import { AppError, toAppError } from '../base/errors.ts'
import { endGroup } from '../base/process-group.ts'
import { redact } from '../base/redact.ts'
import type { Notifier } from '../model/notify.ts'
import type { ServiceNotifySettings } from '../model/settings.ts'
import { plainForm } from './services.ts'

const LIMIT_MS = 60_000

export function command(settings: Extract<ServiceNotifySettings, { type: 'command' }>): Notifier {
  const [program = '', ...args] =
    typeof settings.command === 'string' ? ['/bin/sh', '-c', settings.command] : settings.command
  return {
    name: settings.name,
    on: settings.on,
    async send(notification, { signal } = {}) {
      const { event, title } = notification
      const env = { ...process.env, HOLDFAST_EVENT: event, HOLDFAST_TITLE: title }
      const child = spawn(program, args, { env, stdio: ['pipe', 'ignore', 'pipe'], detached: true })
      let said = ''
      child.stderr.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(-500)))
      // It need not read what it is told.
      child.stdin.on('error', () => undefined)
      child.stdin.end(JSON.stringify(plainForm(notification)))
      let late = false
      const end = (): void => endGroup(child, 'SIGKILL')
      const limit = setTimeout(() => {
        late = true
        end()
      }, LIMIT_MS)
      signal?.addEventListener('abort', end, { once: true })
      try {
        const how = await new Promise<string | undefined>((resolve, reject) => {
          child.on('error', reject)
          child.on('close', (code, by) =>
            resolve(code === 0 ? undefined : by === null ? `exit code ${code}` : `signal ${by}`),
          )
        })
        if (signal?.aborted === true) throw toAppError(signal.reason, 'run.cancelled')
        if (how === undefined) return
        const why = late ? `no end after ${LIMIT_MS / 1000} s` : how
        throw new AppError(
          'notify.failed',
          `${program} ended with ${why}${said === '' ? '' : `: ${redact(said.trim())}`}`,
        )
      } catch (error) {
        throw toAppError(error, 'notify.failed')
      } finally {
        clearTimeout(limit)
        signal?.removeEventListener('abort', end)
      }
    },
  }
}
