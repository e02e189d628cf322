import { Readable } from 'node:stream'
import type { Command } from 'commander'
import { AppError, isAppError } from '../../base/errors.ts'
import { formatSize } from '../../base/units.ts'
import type { Call } from '../../http/contract/index.ts'
import { timeOf } from '../commands/list.ts'
import { whole } from '../numbers.ts'
import { table } from '../output.ts'
import { collect } from '../vault-options.ts'
import { writeOut } from '../write-out.ts'
import { finish, follow } from './follow.ts'
import { shareRead, type CheckFlags } from '../check-flags.ts'
import type { Remote } from './index.ts'

type Backup = Call<'GET /api/v1/backups'>['answer']['items'][number]
type Level = NonNullable<Call<'POST /api/v1/backups/{id}/verify'>['body']['level']>

interface Filter {
  job?: string
  vault?: string
  tag?: string
  since?: string
  until?: string
  limit?: number
}

const LEVELS: readonly Level[] = ['V0', 'V1', 'V2', 'V3', 'V4', 'V5']
const PAGE = 500

export function registerBackups(program: Command, remote: Remote): void {
  const { context, client } = remote
  filtered(program.command('list').aliases(['snapshots', 'list-backups']).description('list backups, newest last'))
    .option('--since <time>', 'not older than this time or age (7d)')
    .option('--until <time>', 'not newer')
    .option('--limit <n>', 'only the newest N', whole('--limit'))
    .action(async (options: Filter) => {
      const found = await allBackups(remote, options)
      context.out.result(found, () => backupTable(found))
    })
  program
    .command('backup')
    .description('run jobs of the server now, and wait for them')
    .argument('<jobs...>')
    .option('--no-wait', 'only start them')
    .action(async (jobs: string[], { wait }: { wait: boolean }) => {
      for (const name of jobs) {
        const { data } = await client.call('POST /api/v1/jobs/{name}/runs', { params: { name }, body: {} })
        if (wait) finish(remote, await follow(remote, data.id))
        else context.out.result({ job: name, run_id: data.id }, () => `${name}: ${data.id}`)
      }
    })
  program
    .command('verify')
    .description('show how far a backup, or the newest of a job, restores')
    .argument('<backup>', 'id, its beginning, or a job')
    .option('--level <level>', LEVELS.join(', '), 'V3')
    .action(async (reference: string, options: { level: string }) => {
      const level = LEVELS.find((one) => one === options.level)
      if (level === undefined)
        throw new AppError('usage.invalid', `--level ${options.level} is none of ${LEVELS.join(', ')}`)
      const found = await oneBackup(remote, reference, {}).catch((error: unknown) => {
        if (isAppError(error, 'backup.not-found')) return undefined
        throw error
      })
      const { data } =
        found === undefined
          ? await client.call('POST /api/v1/jobs/{name}/runs', {
              params: { name: reference },
              body: { kind: 'verify', level },
            })
          : await client.call('POST /api/v1/backups/{id}/verify', {
              params: { id: found.id },
              query: { vault: found.vault },
              body: { level },
            })
      finish(remote, await follow(remote, data.id))
    })
  program
    .command('check')
    .description('look for damage in a vault of the server')
    .requiredOption('--vault <name>')
    .option('--read-data', 'read and hash every stored byte')
    .option('--read-data-subset <percent>', 'read this share of the objects, chosen at random: 10%')
    .action(async ({ vault, ...flags }: CheckFlags & { vault: string }) => {
      const body = { readData: shareRead(flags) }
      const { data } = await client.call('POST /api/v1/vaults/{name}/check', { params: { name: vault }, body })
      finish(remote, await follow(remote, data.id))
    })
  filtered(program.command('restore').description('bring a backup back, on the machine of the server'))
    .argument('[backup]', 'id, its beginning, or latest', 'latest')
    .option('--to <folder>', 'below this folder of the server')
    .option('--in-place', 'to where it came from')
    .option('--at <point>', 'of --job: to this time, position or name')
    .option('--before <event>', 'of --job: to just before an event of the timeline')
    .option('--database <name>', 'to a database of this name, on the server of the job')
    .option('--only <path>', 'only this file, folder or table (repeatable)', collect)
    .option('--overwrite <mode>', 'never, if-newer, if-changed, always')
    .option('--delete', 'remove from restored folders what the backup does not have')
    .action(async (reference: string, options: Filter & RestoreOptions) => restore(remote, reference, options))
  program
    .command('ls')
    .description('what is in a folder of a backup')
    .argument('<backup>')
    .argument('[path]', 'a folder', '')
    .action(async (reference: string, path: string) => {
      const { id, vault } = await oneBackup(remote, reference, {})
      const items: Call<'GET /api/v1/backups/{id}/tree'>['answer']['items'] = []
      let cursor: string | undefined
      do {
        const query = { vault, path, limit: PAGE, ...(cursor !== undefined && { cursor }) }
        const { data } = await client.call('GET /api/v1/backups/{id}/tree', { params: { id }, query })
        items.push(...data.items)
        cursor = data.next
      } while (cursor !== undefined)
      context.out.result(items, () =>
        items
          .map(
            ({ kind, size, mtime = '', name }) =>
              `${kind.padEnd(8)} ${formatSize(size).padStart(10)}  ${mtime.slice(0, 19)}  ${name}`,
          )
          .join('\n'),
      )
    })
  program
    .command('find')
    .description('paths that hold a text, over all backups')
    .argument('<text>')
    .option('--job <name>', 'only of this job')
    .action(async (q: string, { job }: { job?: string }) => {
      const query = { q, limit: PAGE, ...(job !== undefined && { job }) }
      let found = (await client.call('GET /api/v1/search', { query })).data
      while (found.pending > 0) found = (await client.call('GET /api/v1/search', { query })).data
      for (const problem of found.problems) context.out.note(`warning: not searched: ${problem}`)
      if (found.unsearched > 0) context.exitCode = 3
      context.out.result(found.items, () =>
        found.items
          .map(({ path, versions }) => `/${path}  (${versions.length} versions, newest ${versions[0]?.time ?? ''})`)
          .join('\n'),
      )
    })
  program
    .command('diff')
    .description('what changed between two backups: + new, - gone, M changed')
    .argument('<from>')
    .argument('[to]', 'the later one', 'latest')
    .action(async (from: string, to: string) => {
      const [before, after] = [await oneBackup(remote, from, {}), await oneBackup(remote, to, {})]
      const signs = { added: '+', removed: '-', modified: 'M' }
      let cursor: string | undefined
      do {
        const query = { vault: after.vault, with: before.id, limit: PAGE, ...(cursor !== undefined && { cursor }) }
        const { data } = await client.call('GET /api/v1/backups/{id}/diff', { params: { id: after.id }, query })
        for (const { path, change } of data.items) {
          context.out.line({ message_type: 'change', path: `/${path}`, modifier: signs[change] })
          context.out.print(`${signs[change]}    /${path}`)
        }
        cursor = data.next
      } while (cursor !== undefined)
    })
  program
    .command('dump')
    .description('a file of a backup, or a folder as tar or zip, to stdout')
    .argument('<backup>')
    .argument('[path]')
    .option('--format <format>', 'of folders: tar or zip', 'tar')
    .option('--output <file>', 'write to this file')
    .action(
      async (reference: string, path: string | undefined, { format, output }: { format: string; output?: string }) => {
        if (format !== 'tar' && format !== 'zip')
          throw new AppError('usage.invalid', `--format ${format} is neither tar nor zip`)
        const { id, vault } = await oneBackup(remote, reference, {})
        const download = async (as: 'raw' | 'tar' | 'zip'): Promise<Response> =>
          client.stream('GET /api/v1/backups/{id}/download', {
            params: { id },
            query: { vault, ...(path !== undefined && { path }), format: as },
          })
        // Only the server knows whether it is one file.
        const response =
          path === undefined
            ? await download(format)
            : await download('raw').catch(async (error: unknown) => {
                if (isAppError(error, 'request.invalid')) return download(format)
                throw error
              })
        await writeOut(response.body ?? Readable.from([]), output, context.signal)
      },
    )
  program
    .command('tag')
    .description('add or remove tags of a backup, or hold it')
    .argument('<backup>')
    .option('--add <tag>', 'add this tag (repeatable)', collect)
    .option('--remove <tag>', 'remove this tag (repeatable)', collect)
    .option('--hold', 'never remove it')
    .option('--release', 'end a hold')
    .action(
      async (reference: string, options: { add?: string[]; remove?: string[]; hold?: boolean; release?: boolean }) => {
        const { id, vault } = await oneBackup(remote, reference, {})
        const { data } = await client.call('PATCH /api/v1/backups/{id}', {
          params: { id },
          query: { vault },
          body: {
            ...(options.add && { addTags: options.add }),
            ...(options.remove && { removeTags: options.remove }),
            ...(options.hold && { hold: true }),
            ...(options.release && { hold: false }),
          },
        })
        context.out.result(data, () => `${data.id}: ${data.tags.join(', ') || 'no tags'}${data.hold ? ' (hold)' : ''}`)
      },
    )
}

const filtered = (command: Command): Command =>
  command
    .option('--job <name>', 'only of this job')
    .option('--vault <name>', 'only of this vault')
    .option('--tag <tag>', 'only with this tag')

interface RestoreOptions {
  at?: string
  before?: string
  to?: string
  inPlace?: boolean
  database?: string
  only?: string[]
  overwrite?: string
  delete?: boolean
}

async function restore(remote: Remote, reference: string, options: Filter & RestoreOptions): Promise<void> {
  const { context, client } = remote
  const { to, inPlace, database, only = [], overwrite } = options
  if ([to, inPlace, database].filter((one) => one !== undefined).length !== 1)
    throw new AppError('usage.invalid', 'say where to restore: --to FOLDER, --in-place or --database NAME')
  const modes = ['never', 'if-newer', 'if-changed', 'always'] as const
  const mode = modes.find((one) => one === overwrite)
  if (overwrite !== undefined && mode === undefined)
    throw new AppError('usage.invalid', `--overwrite ${overwrite} is none of ${modes.join(', ')}`)
  const { at, before, job } = options
  const toFile = to?.startsWith('sqlite:') === true ? to.replace(/^sqlite:(\/\/)?/, '') : undefined
  const body = {
    ...(at === undefined && before === undefined
      ? await oneBackup(remote, reference, options).then(({ id, vault }) => ({ backup: id, vault }))
      : {
          ...(job !== undefined && { job }),
          ...(options.vault !== undefined && { vault: options.vault }),
          ...(at !== undefined && { at }),
          ...(before !== undefined && { before }),
        }),
    paths: only,
    to:
      toFile !== undefined
        ? ({ type: 'database', file: toFile } as const)
        : to !== undefined
          ? ({ type: 'folder', path: to } as const)
          : database !== undefined
            ? ({ type: 'database', database } as const)
            : ({ type: 'original' } as const),
    delete: options.delete === true,
    ...(mode && { overwrite: mode }),
  }
  if (context.options.dryRun === true) {
    const { data } = await client.call('POST /api/v1/restores/plan', { body })
    context.out.result(data, () =>
      [
        `${data.files} items, ${formatSize(data.bytes)}, to ${data.target}`,
        ...Object.entries(data.effects)
          .filter(([, count]) => count > 0)
          .map(([effect, count]) => `  ${count} ${effect}`),
        ...data.problems.map((problem) => `  problem: ${problem}`),
      ].join('\n'),
    )
    if (!data.ok) context.exitCode = 1
    return
  }
  const { data } = await client.call('POST /api/v1/restores', { body })
  finish(remote, await follow(remote, data.id))
}

/** Newest last, as the local command gives them. */
async function allBackups({ client }: Remote, { limit, since, until, ...filter }: Filter): Promise<Backup[]> {
  const found: Backup[] = []
  let cursor: string | undefined
  const now = new Date()
  do {
    const { data } = await client.call('GET /api/v1/backups', {
      query: {
        ...filter,
        limit: Math.min(PAGE, (limit ?? Infinity) - found.length),
        ...(since !== undefined && { since: timeOf(since, now).toISOString() }),
        ...(until !== undefined && { until: timeOf(until, now).toISOString() }),
        ...(cursor !== undefined && { cursor }),
      },
    })
    found.push(...data.items)
    cursor = data.next
  } while (cursor !== undefined && found.length < (limit ?? Infinity))
  return found.toReversed()
}

async function oneBackup(remote: Remote, reference: string, filter: Filter): Promise<Backup> {
  const { job, vault, tag } = filter
  const all = await allBackups(remote, {
    ...(job !== undefined && { job }),
    ...(vault !== undefined && { vault }),
    ...(tag !== undefined && { tag }),
  })
  const found =
    reference === 'latest'
      ? all.slice(-1)
      : all.filter(({ id }) => id === reference || id.startsWith(reference) || id.endsWith(`-${reference}`))
  const [first] = found
  if (first !== undefined && new Set(found.map(({ id }) => id)).size === 1) return first
  if (found.length > 1) throw new AppError('usage.invalid', `several backups match ${reference}`)
  throw new AppError('backup.not-found', `there is no backup ${reference}`)
}

function backupTable(backups: readonly Backup[]): string {
  if (backups.length === 0) return 'no backups'
  return table(
    ['ID', 'JOB', 'VAULT', 'TIME (UTC)', 'FILES', 'SIZE', 'STORED', 'PROOF', 'TAGS'],
    backups.map(({ id, job, vault, time, files, sourceBytes, storedBytes, broken, proof, tags, hold }) => [
      id,
      job,
      vault,
      time.slice(0, 19).replace('T', ' '),
      String(files ?? 'unknown'),
      formatSize(sourceBytes),
      formatSize(storedBytes),
      broken === undefined ? proof.level : 'broken',
      [...tags, ...(hold ? ['(hold)'] : [])].join(','),
    ]),
    [4, 5, 6],
  )
}
