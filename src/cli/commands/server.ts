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
  listening(program.command('server').description('web page, API, schedules and workers in one process'))
    .option('--only <part>', 'http: no schedules and workers in this process')
    .action(async ({ listen, only }: ListenOptions & { only?: string }) => {
      if (only !== undefined && only !== 'http') throw new AppError('usage.invalid', `--only ${only} is not http`)
      const rest = only === undefined
      await serve(context, 'server', { http: true, scheduler: rest, worker: rest }, listen)
    })
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
  command.option(
    '--listen <host:port>',
    'address to listen on (of the server also server.listen); of the others: for health and metrics',
  )

async function serve(context: Context, name: string, parts: Parts, listen: string | undefined): Promise<void> {
  const app = await context.app()
  const { out, signal } = context
  if (parts.worker && context.env['HOLDFAST_MODE']) await provePlaces(context, app)
  const { runService } = await import('../../service/service.ts')
  const { startServer } = await import('../../http/server.ts')
  const how = { ...(listen !== undefined && { listen }), loaded: await context.config(), healthOnly: name !== 'server' }
  const server = parts.http ? await startServer(app, how) : undefined
  const where = server === undefined ? '' : ` ${server.url} `
  out.note(`holdfast ${name}:${where} (data in ${app.settings.server.dataDir}; stop with Ctrl-C)`)
  if (server?.setupUrl !== undefined)
    out.note(
      `Make the first account here; the link works until that is done, or the server starts again:\n  ${server.setupUrl}`,
    )
  try {
    await runService(app, { ...parts, signal, onNote: (text) => out.note(`${new Date().toISOString()} ${text}`) })
    if (!parts.scheduler && !parts.worker) await untilAborted(signal)
  } finally {
    await server?.close()
  }
  out.note(`holdfast ${name}: stopped`)
}

/** Databases that start beside this container may need a while. */
const START_WAITS_MS = [2000, 4000, 8000, 16_000]

/**
 * A container that is set up wrongly says so at once, not at three in the morning: each source is reached, each vault
 * opened. All faults come in one message.
 */
async function provePlaces({ out, signal }: Context, app: App): Promise<void> {
  const { checkSource, checkVault } = await import('../../operations/doctor.ts')
  const jobs = Object.values(app.settings.jobs).filter(({ enabled }) => enabled)
  const openers = app.openers()
  for (let tries = 0; ; tries += 1) {
    const checks = [
      ...(await Promise.all(jobs.map(async (job) => checkSource(job.name, async () => openers.source(job), signal)))),
      ...(await Promise.all(
        jobs.flatMap((job) =>
          job.vaults.map(async (name) =>
            checkVault(name, async () => openers.vault(name, job), { write: false, signal }),
          ),
        ),
      )),
    ].flat()
    const faults = checks.filter(({ ok }) => !ok).map(({ area, name, detail }) => `${area}: ${name}: ${detail}`)
    if (faults.length === 0) {
      out.note(
        `checked: ${jobs.map(({ name }) => name).join(', ')} and ${Object.keys(app.settings.vaults).join(', ')} can be reached`,
      )
      return
    }
    const wait = START_WAITS_MS[tries]
    if (wait === undefined || signal.aborted)
      throw new AppError('source.unreachable', `not everything can be reached:\n  ${faults.join('\n  ')}`, {
        hint: 'Correct the variables named above, or start what they name.',
      })
    out.note(`not reached yet, again in ${wait / 1000} s: ${faults.join('; ')}`)
    await app.clock.sleep(wait, signal)
  }
}

async function untilAborted(signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
