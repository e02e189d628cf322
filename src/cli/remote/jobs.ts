import { readFileSync } from 'node:fs'
import type { Command } from 'commander'
import { AppError } from '../../base/errors.ts'
import type { Call } from '../../http/contract/index.ts'
import { readParts } from '../parts-file.ts'
import { whole } from '../numbers.ts'
import { table } from '../output.ts'
import type { Remote } from './index.ts'

const PAGE = 500

export function registerJobs(program: Command, remote: Remote): void {
  const { context, client } = remote
  const { out } = context
  const job = program.command('job').description('the jobs of the server')
  job
    .command('list')
    .description('all jobs, with their last run')
    .action(async () => {
      const items: Call<'GET /api/v1/jobs'>['answer']['items'] = []
      let cursor: string | undefined
      do {
        const { data } = await client.call('GET /api/v1/jobs', {
          query: { limit: PAGE, ...(cursor !== undefined && { cursor }) },
        })
        items.push(...data.items)
        cursor = data.next
      } while (cursor !== undefined)
      out.result(items, () =>
        table(
          ['JOB', 'STATE', 'SOURCE', 'VAULTS', 'LAST RUN', 'STATUS', 'PROOF', 'NEXT', ''],
          items.map(({ name, enabled, state, source, vaults, lastRun, proof, next, why }) => [
            enabled ? name : `${name} (off)`,
            state,
            source.type,
            vaults.join(','),
            lastRun?.at.slice(0, 19) ?? '–',
            lastRun?.status ?? 'never',
            proof?.level ?? '–',
            next?.slice(0, 16) ?? '–',
            why ?? '',
          ]),
        ),
      )
    })
  job
    .command('show')
    .description('one job')
    .argument('<name>')
    .action(async (name: string) => {
      const { data } = await client.call('GET /api/v1/jobs/{name}', { params: { name } })
      out.result(data, () => data.yaml.trimEnd())
    })
  job
    .command('export')
    .description('all jobs, vaults and notifiers, without secrets')
    .option('--format <format>', 'yaml or json', 'yaml')
    .action(async ({ format }: { format: string }) => {
      if (format !== 'yaml' && format !== 'json')
        throw new AppError('usage.invalid', `--format ${format} is neither yaml nor json`)
      const response = await client.stream('GET /api/v1/export', { query: { format } })
      process.stdout.write(await response.text())
    })
  job
    .command('apply')
    .description('make the vaults, notifiers and jobs of a file be as they are in it')
    .argument('<file>', 'YAML, JSON or TOML, as a configuration file; - for stdin')
    .action(async (file: string) => {
      const parts = await readParts(file, file === '-' ? readFileSync(0, 'utf8') : undefined)
      const done: { kind: string; name: string; change: string }[] = []
      for (const [kind, route, bodies] of [
        ['vault', 'vaults', parts.vaults],
        ['notifier', 'notifications', parts.notify],
        ['job', 'jobs', parts.jobs],
      ] as const)
        for (const [name, definition] of Object.entries(bodies)) {
          const change = await apply(remote, route, name, definition)
          done.push({ kind, name, change })
          out.note(`${kind} ${name}: ${change}`)
        }
      out.result(done, () => `${done.length} applied`)
    })
  const schedule = program.command('schedule').description('when jobs run by themselves')
  schedule
    .command('list')
    .description('all that recurs, with the next time of each')
    .action(async () => {
      const { items } = (await client.call('GET /api/v1/schedules')).data
      out.result(items, () =>
        table(
          ['NAME', 'SCHEDULE', 'ZONE', 'NEXT (UTC)', ''],
          items.map(({ name, spec, timezone = '', next, paused, pauseReason }) => [
            name,
            spec,
            timezone,
            next?.slice(0, 19) ?? 'never',
            !paused ? '' : `paused${pauseReason === undefined ? '' : `: ${pauseReason}`}`,
          ]),
        ),
      )
    })
  schedule
    .command('pause')
    .description('no runs of a job until a time, or until it is resumed')
    .argument('<job>')
    .option('--until <time>', 'such as 2027-01-31T06:00:00Z')
    .option('--reason <text>', 'shown with it')
    .action(async (name: string, { until, reason }: { until?: string; reason?: string }) => {
      const time = until === undefined ? undefined : new Date(until)
      if (time !== undefined && Number.isNaN(time.getTime()))
        throw new AppError('usage.invalid', `cannot read ${until} as a time`)
      const body = { ...(time && { until: time.toISOString() }), ...(reason !== undefined && { reason }) }
      await client.call('POST /api/v1/jobs/{name}/pause', { params: { name }, body })
      out.result({ job: name, paused: true }, () => `${name} is paused`)
    })
  schedule
    .command('resume')
    .description('end a pause')
    .argument('<job>')
    .action(async (name: string) => {
      await client.call('POST /api/v1/jobs/{name}/resume', { params: { name } })
      out.result({ job: name, paused: false }, () => `${name} goes on`)
    })
  const run = program.command('run').description('what was done: runs of all kinds')
  run
    .command('list')
    .description('runs, newest first')
    .option('--job <name>', 'only of this job')
    .option('--status <status>', 'only with this status')
    .option('--limit <n>', 'at most so many', whole('--limit'), 20)
    .action(async ({ job: of, status, limit }: { job?: string; status?: string; limit: number }) => {
      const query = { limit, ...(of !== undefined && { job: of }), ...(status !== undefined && { status }) }
      const { items } = (await client.call('GET /api/v1/runs', { query })).data
      out.result(items, () =>
        table(
          ['ID', 'KIND', 'JOB', 'VAULT', 'STARTED (UTC)', 'STATUS', ''],
          items.map(({ id, kind, job: name, vault = '', createdAt, status: state, error }) => [
            id.slice(0, 8),
            kind,
            name,
            vault,
            createdAt.slice(0, 19),
            state,
            error?.message ?? '',
          ]),
        ),
      )
    })
  run
    .command('show')
    .description('one run, with its stages and warnings')
    .argument('<id>', 'id or its beginning')
    .action(async (id: string) => {
      const { data } = await client.call('GET /api/v1/runs/{id}', { params: { id: await runNamed(remote, id) } })
      out.result(data, () => JSON.stringify(data, undefined, 2))
    })
  run
    .command('logs')
    .description('the log of a run')
    .argument('<id>', 'id or its beginning')
    .option('-f, --follow', 'go on until the run ends')
    .action(async (id: string, { follow }: { follow?: boolean }) => {
      const query = follow === true ? { follow: 'true' as const } : {}
      const response = await client.stream('GET /api/v1/runs/{id}/log', {
        params: { id: await runNamed(remote, id) },
        query,
      })
      for await (const chunk of response.body ?? []) process.stdout.write(chunk)
    })
  run
    .command('cancel')
    .description('ask a run to stop')
    .argument('<id>', 'id or its beginning')
    .action(async (id: string) => {
      const { data } = await client.call('POST /api/v1/runs/{id}/cancel', {
        params: { id: await runNamed(remote, id) },
      })
      out.result(data, () => `${data.kind} of ${data.job}: ${data.status}`)
    })
}

async function runNamed({ client }: Remote, id: string): Promise<string> {
  if (id.length >= 36) return id
  const { items } = (await client.call('GET /api/v1/runs', { query: { limit: PAGE } })).data
  const found = items.filter((one) => one.id.startsWith(id))
  if (found.length === 1) return found[0]?.id ?? id
  throw new AppError(
    'usage.invalid',
    found.length === 0 ? `there is no run ${id}` : `${found.length} runs begin with ${id}`,
  )
}

type Route = 'vaults' | 'notifications' | 'jobs'

async function apply(
  { client, context }: Remote,
  route: Route,
  name: string,
  definition: Record<string, unknown>,
): Promise<string> {
  const get = `GET /api/v1/${route}/{name}` as const
  const known = await client.call(get, { params: { name } }).catch((error: unknown) => {
    if (error instanceof AppError && error.http === 404) return undefined
    throw error
  })
  if (known === undefined) {
    if (context.options.dryRun !== true) await client.call(`POST /api/v1/${route}`, { body: { name, definition } })
    return 'made'
  }
  if (JSON.stringify(known.data.definition) === JSON.stringify(definition)) return 'unchanged'
  if (context.options.dryRun !== true)
    await client.call(`PUT /api/v1/${route}/{name}`, {
      params: { name },
      body: { definition },
      ifMatch: known.etag ?? '*',
    })
  return 'changed'
}
