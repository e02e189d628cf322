import type { Command } from 'commander'
import type { Context } from '../context.ts'
import { whole } from '../numbers.ts'
import { table } from '../output.ts'

/** Who did what through the API and with accounts: a chain of entries in which nothing can be changed unnoticed. */
export function register(program: Command, context: Context): void {
  const audit = program.command('audit').description('who did what, when')
  audit
    .command('list')
    .description('entries, newest first')
    .option('--actor <name>', 'only of this account')
    .option('--action <word>', 'only what begins so, such as job.')
    .option('--limit <n>', 'at most so many', whole('--limit'), 50)
    .action(async (options: { actor?: string; action?: string; limit: number }) => {
      const entries = (await context.app()).history().server.audit.list(options)
      context.out.result(entries, () =>
        entries.length === 0
          ? 'nothing yet'
          : table(
              ['TIME (UTC)', 'WHO', 'WHAT', 'ON', 'FROM', ''],
              entries.map(({ at, actor, action, object, address = '', detail }) => [
                at.toISOString().slice(0, 19).replace('T', ' '),
                actor,
                action,
                object,
                address,
                Object.keys(detail).length === 0 ? '' : JSON.stringify(detail),
              ]),
            ),
      )
    })
  audit
    .command('check')
    .description('whether the chain of hashes is whole')
    .action(async () => {
      const found = (await context.app()).history().server.audit.check()
      context.out.result(found, () =>
        found.ok ? `${found.entries} entries, the chain is whole` : `the chain is broken at entry ${found.brokenAt}`,
      )
      if (!found.ok) context.exitCode = 4
    })
}
