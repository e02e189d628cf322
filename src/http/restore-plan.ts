/** What a restore would do, by doing all of it but the writing. */
import { statfsSync } from 'node:fs'
import { dirname } from 'node:path'
import { isAppError } from '../base/errors.ts'
import { displayPath } from '../base/paths.ts'
import type { Backup } from '../model/backup.ts'
import { newRun } from '../model/run.ts'
import type { RestoreOrder } from '../model/service.ts'
import type { Vault } from '../model/vault.ts'
import { askedOf } from '../operations/point-order.ts'
import { planPoint } from '../operations/restore-point.ts'
import { restoreByOrder } from '../operations/restore-order.ts'
import type { Served } from './contract/index.ts'
import type { Api } from './handler.ts'

type Answer = Served<'POST /api/v1/restores/plan'>['answer']

const SHOWN = 100

interface Plan {
  vault: Vault
  backup: Backup
  order: RestoreOrder
  signal: AbortSignal
}

export async function planOf({ app }: Api, { vault, backup, order, signal }: Plan): Promise<Answer> {
  const problems: string[] = []
  const replaced: string[] = []
  const run = newRun({ id: 'plan', kind: 'restore', job: backup.job, status: 'running', createdAt: app.clock.now() })
  const handle = {
    run,
    signal,
    stage: () => undefined,
    onProgress: () => undefined,
    log: () => undefined,
    onWarning: ({ code, message, path }: { code: string; message: string; path?: string }) => {
      if (code !== 'note' && problems.length < SHOWN)
        problems.push(path === undefined ? message : `${displayPath(path)}: ${message}`)
    },
  }
  const free = freeAt(order)
  const rest = {
    target: targetText(order, backup),
    ...(free !== undefined && { free }),
    command: commandOf(order, backup),
  }
  try {
    const result = await restoreByOrder(
      app.deps,
      app.openers(),
      { vault, backup, order, dryRun: true },
      handle,
      (entry, effect) => {
        if ((effect === 'replace' || effect === 'delete') && replaced.length < SHOWN)
          replaced.push(displayPath(entry.path))
      },
    )
    const bytes = result.bytes > 0 || order.paths.length > 0 ? result.bytes : (backup.sourceBytes ?? 0)
    if (free !== undefined && bytes > free) problems.push(`there is room for ${free} bytes, ${bytes} are needed`)
    return {
      ok: problems.length === 0,
      ...rest,
      files: result.files,
      bytes,
      effects: result.effects,
      replaced,
      problems,
    }
  } catch (error) {
    if (signal.aborted || !isAppError(error)) throw error
    problems.unshift(`${error.message}. ${error.hint}`)
    return { ok: false, ...rest, files: 0, bytes: 0, effects: {}, replaced, problems }
  }
}

/** Whether the moment can be reached, and by what; the target is looked at when the restore begins. */
export async function pointPlanOf({
  vault,
  job,
  order,
  signal,
}: {
  vault: Vault
  job: string
  order: RestoreOrder
  signal: AbortSignal
}): Promise<Answer> {
  const free = freeAt(order)
  const { point, to } = order
  if (point === undefined) throw new Error('a plan of a point without one')
  const words = ['holdfast', 'restore', '--job', job, '--vault', vault.name]
  words.push(...('at' in point ? ['--at', point.at] : ['--before', point.before]))
  if (to.type === 'folder') words.push('--to', to.path)
  else if (to.type === 'database') {
    if (to.host !== undefined) words.push('--host', to.host)
    if (to.file !== undefined) words.push('--to', `sqlite:${to.file}`)
    else if (to.database !== undefined) words.push('--database', to.database)
  }
  const rest = {
    target:
      to.type === 'folder'
        ? to.path
        : to.type === 'database'
          ? (to.file ?? to.database ?? 'the server of the job')
          : 'the server of the job',
    ...(free !== undefined && { free }),
    effects: {},
    replaced: [],
    command: words.map(quoted).join(' '),
  }
  try {
    const plan = await planPoint(vault, job, askedOf(point), { signal })
    const bytes = (plan.backup?.sourceBytes ?? 0) + plan.segments.reduce((sum, { size }) => sum + size, 0)
    return { ok: true, ...rest, files: plan.backup?.files ?? 0, bytes, problems: [] }
  } catch (error) {
    if (signal.aborted || !isAppError(error)) throw error
    return { ok: false, ...rest, files: 0, bytes: 0, problems: [`${error.message}. ${error.hint}`] }
  }
}

/** For a shell. */
const quoted = (word: string): string => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`)

function freeAt({ to }: RestoreOrder): number | undefined {
  if (to.type !== 'folder') return undefined
  for (let path = to.path; ; path = dirname(path)) {
    try {
      const { bavail, bsize } = statfsSync(path)
      return bavail * bsize
    } catch {
      if (path === dirname(path)) return undefined
    }
  }
}

function targetText({ to }: RestoreOrder, { paths, source }: Backup): string {
  if (to.type === 'folder') return to.path
  if (to.type === 'original') return source === 'files' ? paths.join(', ') : `the ${source} server of the job`
  return [to.host ?? (to.file === undefined ? 'the server of the job' : undefined), to.database ?? to.file]
    .filter(Boolean)
    .join('/')
}

/** What a person would type; quoted for a shell. */
export function commandOf(
  { to, paths, overwrite, delete: remove }: RestoreOrder,
  { id, vault, source }: Backup,
): string {
  const words = ['holdfast', 'restore', id, '--vault', vault]
  if (to.type === 'folder') words.push('--to', to.path)
  else if (to.type === 'original' && source === 'files') words.push('--in-place')
  else {
    words.push('--db', source)
    if (to.type === 'database') {
      if (to.host !== undefined) words.push('--host', to.host)
      if (to.port !== undefined) words.push('--port', String(to.port))
      if (to.user !== undefined) words.push('--user', to.user)
      const name = to.database ?? to.file
      if (name !== undefined) words.push('--database', name)
    }
  }
  for (const path of paths) words.push('--only', displayPath(path))
  if (overwrite !== undefined) words.push('--overwrite', overwrite)
  if (remove) words.push('--delete')
  return words.map(quoted).join(' ')
}
