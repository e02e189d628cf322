import type { Command } from 'commander'
import { AppError } from '../../base/errors.ts'
import { formatSize, parseDuration } from '../../base/units.ts'
import { whole } from '../numbers.ts'
import { table } from '../output.ts'
import { collect } from '../vault-options.ts'
import type { Remote } from './index.ts'

const SCOPES = ['read', 'operate', 'restore', 'admin'] as const

export function registerServer(program: Command, remote: Remote): void {
  const { client, context } = remote
  const { out } = context
  const alert = program.command('alert').description('what is wrong')
  alert
    .command('list')
    .description('what is open, or was')
    .option('--all', 'also what is over')
    .action(async ({ all }: { all?: boolean }) => {
      const { items } = (await client.call('GET /api/v1/alerts', { query: all === true ? {} : { open: 'true' } })).data
      out.result(items, () =>
        items.length === 0
          ? 'nothing is wrong'
          : table(
              ['ID', 'KIND', 'JOB', 'VAULT', 'SINCE (UTC)', ''],
              items.map(({ id, kind, job, vault = '', openedAt, message }) => [
                id.slice(0, 8),
                kind,
                job,
                vault,
                openedAt.slice(0, 16),
                message,
              ]),
            ),
      )
    })
  alert
    .command('ack')
    .description('it is known: no more reminders')
    .argument('<id>')
    .action(async (id: string) => {
      const { data } = await client.call('POST /api/v1/alerts/{id}/acknowledge', { params: { id } })
      out.result(data, () => `${data.kind} of ${data.job} is acknowledged`)
    })
  alert
    .command('snooze')
    .description('remind of it later')
    .argument('<id>')
    .requiredOption('--for <duration>', 'such as 8h')
    .action(async (id: string, options: { for: string }) => {
      const until = new Date(Date.now() + parseDuration(options.for)).toISOString()
      const { data } = await client.call('POST /api/v1/alerts/{id}/snooze', { params: { id }, body: { until } })
      out.result(data, () => `${data.kind} of ${data.job} is put off until ${data.snoozedUntil}`)
    })
  program
    .command('stats')
    .description('storage use and growth')
    .action(async () => {
      const { data } = await client.call('GET /api/v1/stats')
      out.result(data, () =>
        table(
          ['VAULT', 'BACKUPS', 'SIZE', 'GROWTH/DAY', 'FULL IN'],
          data.vaults.map(({ vault, backups, bytes, growthPerDay, daysToFull }) => [
            vault,
            String(backups),
            formatSize(bytes),
            growthPerDay === undefined ? '–' : formatSize(growthPerDay),
            daysToFull === undefined ? '–' : `${daysToFull} days`,
          ]),
          [1, 2, 3],
        ),
      )
    })
  const audit = program.command('audit').description('who did what, when')
  audit
    .command('list')
    .description('entries, newest first')
    .option('--actor <name>', 'only of this account')
    .option('--action <word>', 'only what begins so')
    .option('--limit <n>', 'at most so many', whole('--limit'), 50)
    .action(async (query: { actor?: string; action?: string; limit: number }) => {
      const { items } = (await client.call('GET /api/v1/audit', { query })).data
      out.result(items, () =>
        table(
          ['TIME (UTC)', 'WHO', 'WHAT', 'ON', 'FROM'],
          items.map(({ at, actor, action, object, address = '' }) => [at.slice(0, 19), actor, action, object, address]),
        ),
      )
    })
  audit
    .command('check')
    .description('whether the chain of hashes is whole')
    .action(async () => {
      const { data } = await client.call('GET /api/v1/audit/check')
      out.result(data, () =>
        data.ok ? `${data.entries} entries, the chain is whole` : `the chain is broken at entry ${data.brokenAt}`,
      )
      if (!data.ok) context.exitCode = 4
    })
  program
    .command('user')
    .description('accounts of the server')
    .command('list')
    .description('all accounts')
    .action(async () => {
      const { items } = (await client.call('GET /api/v1/users')).data
      out.result(items, () =>
        table(
          ['NAME', 'ROLE', '2FA', 'SEEN (UTC)'],
          items.map(({ name, role, totp, lastSeenAt }) => [
            name,
            role,
            totp ? 'yes' : 'no',
            lastSeenAt?.slice(0, 16) ?? 'never',
          ]),
        ),
      )
    })
  const token = program.command('token').description('own API tokens')
  token
    .command('list')
    .description('without their text')
    .action(async () => {
      const { items } = (await client.call('GET /api/v1/tokens')).data
      out.result(items, () =>
        table(
          ['ID', 'NAME', 'USER', 'SCOPES', 'ENDS IN', 'EXPIRES'],
          items.map(({ id, name, user, scopes, ending, expiresAt }) => [
            id.slice(0, 8),
            name,
            user,
            scopes.join(' '),
            ending,
            expiresAt?.slice(0, 10) ?? 'never',
          ]),
        ),
      )
    })
  token
    .command('create')
    .description('make a token; its text is shown this once')
    .argument('<name>')
    .option('--scope <scope>', `${SCOPES.join(', ')} (repeatable; default: read)`, collect)
    .option('--expires <duration>', 'such as 90d')
    .action(async (name: string, { scope = ['read'], expires }: { scope?: string[]; expires?: string }) => {
      const scopes = scope.map((text) => {
        const known = SCOPES.find((one) => one === text)
        if (known === undefined) throw new AppError('usage.invalid', `--scope ${text} is none of ${SCOPES.join(', ')}`)
        return known
      })
      const expiresAt = expires === undefined ? undefined : new Date(Date.now() + parseDuration(expires)).toISOString()
      const { data } = await client.call('POST /api/v1/tokens', {
        body: { name, scopes, ...(expiresAt !== undefined && { expiresAt }) },
      })
      out.result(data, () => data.token)
    })
}
