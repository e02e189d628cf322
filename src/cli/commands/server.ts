import type { Command } from 'commander'
import type { App } from '../../app.ts'
import { AppError } from '../../base/errors.ts'
import type { Context } from '../context.ts'

interface Parts {
  http: boolean
  scheduler: boolean
  worker: boolean
}

/** `server` is everything in one process; `scheduler` and `worker` are parts of it, for more processes. */
export function register(program: Command, context: Context): void {
  listening(program.command('server').description('schedules, workers, and health endpoints in one process')).action(
    async ({ listen }: ListenOptions) =>
      serve(context, 'server', { http: true, scheduler: true, worker: true }, listen),
  )
  listening(
    program.command('scheduler').description('queues what is due; of several one works and the others stand by'),
  ).action(async ({ listen }: ListenOptions) =>
    serve(context, 'scheduler', { http: listen !== undefined, scheduler: true, worker: false }, listen),
  )
  listening(program.command('worker').description('runs what is queued')).action(async ({ listen }: ListenOptions) =>
    serve(context, 'worker', { http: listen !== undefined, scheduler: false, worker: true }, listen),
  )
}

interface ListenOptions {
  listen?: string
}

const listening = (command: Command): Command =>
  command.option('--listen <host:port>', 'address of the health endpoints (of the server also server.listen)')

async function serve(context: Context, name: string, parts: Parts, listen: string | undefined): Promise<void> {
  const app = await context.app()
  const { out, signal } = context
  refuseShared(app)
  const { runService } = await import('../../service.ts')
  const { startServer } = await import('../../http/server.ts')
  const server = parts.http ? await startServer(app, listen === undefined ? {} : { listen }) : undefined
  const where = server === undefined ? '' : ` ${server.url} `
  out.note(`holdfast ${name}:${where} (data in ${app.settings.server.dataDir}; stop with Ctrl-C)`)
  try {
    await runService(app, { ...parts, signal, onNote: (text) => out.note(`${new Date().toISOString()} ${text}`) })
    if (!parts.scheduler && !parts.worker) await untilAborted(signal)
  } finally {
    await server?.close()
  }
  out.note(`holdfast ${name}: stopped`)
}

async function untilAborted(signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

function refuseShared({ settings }: App): void {
  if (settings.server.catalogue !== 'sqlite' && settings.server.catalogue !== 'memory')
    throw new AppError('config.invalid', 'a catalogue in PostgreSQL does not work yet in this version', {
      hint: 'Set server.catalogue to sqlite: several processes on one machine may share it.',
    })
}
