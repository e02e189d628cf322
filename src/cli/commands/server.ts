import type { Command } from 'commander'
import type { Context } from '../context.ts'

export function register(program: Command, context: Context): void {
  program
    .command('server')
    .description('health and readiness endpoints over the catalogue; schedules, API and page come with later versions')
    .option('--listen <host:port>', 'address to listen on (also server.listen)')
    .action(async ({ listen }: { listen?: string }) => {
      const app = await context.app()
      const { startServer } = await import('../../http/server.ts')
      const server = await startServer(app, listen === undefined ? {} : { listen })
      context.out.note(`holdfast server: ${server.url}  (data in ${app.settings.server.dataDir}; stop with Ctrl-C)`)
      const scheduled = Object.values(app.settings.jobs).filter(({ schedule }) => schedule !== undefined)
      if (scheduled.length > 0)
        context.out.note(
          `warning: this version does not run schedules; run \`holdfast backup\` from cron for ${scheduled.map(({ name }) => name).join(', ')}`,
        )
      await new Promise<void>((resolve) => {
        if (context.signal.aborted) resolve()
        context.signal.addEventListener('abort', () => resolve(), { once: true })
      })
      await server.close()
      context.out.note('holdfast server: stopped')
    })
}
