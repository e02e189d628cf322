import type { Command } from 'commander'
import { AppError } from '../../base/errors.ts'
import type { Context } from '../context.ts'

export function register(program: Command, context: Context): void {
  const notify = program.command('notify').description('messages about runs')
  notify
    .command('test')
    .description('send a message through a notifier')
    .argument('[name...]', 'notifiers; all if none is named')
    .action(async (names: string[]) => {
      const app = await context.app()
      const wanted = names.length > 0 ? names : Object.keys(app.settings.notify)
      if (wanted.length === 0) throw new AppError('usage.invalid', 'no notifier is configured')
      for (const name of wanted) await app.testNotifier(name, { signal: context.signal })
      context.out.result({ sent: wanted }, () => `sent: ${wanted.join(', ')}`)
    })
}
