/** The command line through the API of a server: `--server URL --token TOKEN`. What it cannot do there it says. */
import type { Command } from 'commander'
import { AppError, ERRORS, type ErrorCode } from '../../base/errors.ts'
import { ApiError, createClient, type Client } from '../../http/client.ts'
import type { RouteKey } from '../../http/contract/index.ts'
import type { Context } from '../context.ts'
import { registerBackups } from './backups.ts'
import { registerJobs } from './jobs.ts'
import { registerServer } from './server.ts'

export interface Remote {
  client: Client
  context: Context
}

export const REMOTE = [
  'alert',
  'audit',
  'backup',
  'check',
  'diff',
  'dump',
  'find',
  'job',
  'list',
  'ls',
  'restore',
  'run',
  'schedule',
  'stats',
  'tag',
  'token',
  'user',
  'verify',
]

export function registerRemote(program: Command, context: Context): void {
  const { server, token = context.env['HOLDFAST_TOKEN'] } = context.options
  if (server === undefined || !/^https?:\/\//.test(server))
    throw new AppError('usage.invalid', '--server wants the address of a server, such as http://127.0.0.1:3000')
  if (token === undefined || token === '')
    throw new AppError('usage.invalid', '--server needs a token', {
      hint: 'Make one with `holdfast token create` on the server or on its page, and give it by HOLDFAST_TOKEN or --token.',
    })
  const remote: Remote = {
    client: telling(createClient({ base: server, token }), server, context.options.dryRun === true),
    context,
  }
  registerBackups(program, remote)
  registerJobs(program, remote)
  registerServer(program, remote)
}

/** Calls that change nothing although they are no GET. */
const LOOKING: ReadonlySet<string> = new Set<RouteKey>(['POST /api/v1/restores/plan'])

/** What the server says went wrong is our error too: same code, same exit. */
function telling(client: Client, server: string, dryRun: boolean): Client {
  const tell = (error: unknown): never => {
    if (error instanceof ApiError) {
      const known = Object.hasOwn(ERRORS, error.code)
      const code: ErrorCode = known ? (error.code as ErrorCode) : 'run.failed'
      const faults = error.faults.map(({ key = '', message }) => `\n  ${key}: ${message}`).join('')
      throw new AppError(code, `${error.message}${error.faults.length > 1 ? faults : ''}`, {
        hint: error.hint,
        details: { ...(error.run !== undefined && { run: error.run }), faults: error.faults },
      })
    }
    if (error instanceof TypeError)
      throw new AppError('source.unreachable', `the server ${server} does not answer`, {
        cause: error,
        hint: 'Check the address, and that `holdfast server` runs there.',
      })
    throw error
  }
  return {
    ...client,
    call: (async (...args: Parameters<Client['call']>) => {
      const [key] = args
      if (dryRun && !key.startsWith('GET ') && !LOOKING.has(key))
        throw new AppError('usage.invalid', 'this cannot be tried with --dry-run through a server', {
          hint: 'Nothing was done. `restore` and `job apply` can be tried so.',
        })
      return client.call(...args).catch(tell)
    }) as Client['call'],
    stream: async (...args: Parameters<Client['stream']>) => client.stream(...args).catch(tell),
  }
}
