/** One text, or one path, over all backups: what versions there are. */
import { toAppError } from '../base/errors.ts'
import { pathFromWire, pathToWire } from '../base/paths.ts'
import type { Backup } from '../model/backup.ts'
import type { TreeIndex, TreeItem } from '../model/tree-index.ts'
import type { Served } from './contract/index.ts'
import type { Api } from './handler.ts'

type Answer = Served<'GET /api/v1/search'>['answer']
type Asked = Served<'GET /api/v1/search'>['query'] & { signal: AbortSignal }

/** Indexes that are not there yet are made for so long; then who asks asks again. */
const MAKE_MS = 5000
/** More versions of one path nobody looks at. */
const MOST_BACKUPS = 500

export async function search(api: Api, { q, path, job, limit, signal }: Asked): Promise<Answer> {
  const { app } = api
  const backups = distinct(
    app
      .history()
      .backupsPage({ ...(job !== undefined && { job }), limit: MOST_BACKUPS })
      .filter(({ broken }) => broken === undefined),
  )
  const found = new Map<string, Answer['items'][number]>()
  const begun = performance.now()
  let [searched, pending, unsearched] = [0, 0, 0]
  const problems = new Map<string, string>()
  for (const backup of backups) {
    signal.throwIfAborted()
    // A vault that cannot be read is not tried for each of its backups.
    if (problems.has(backup.vault) && !app.trees.has(backup.vault, backup.id)) {
      unsearched += 1
      continue
    }
    if (!app.trees.has(backup.vault, backup.id) && performance.now() - begun > MAKE_MS) {
      pending += 1
      continue
    }
    let index: TreeIndex
    try {
      index = await app.trees.get(await app.vault(backup.vault), backup.id)
    } catch (error) {
      if (signal.aborted) throw error
      unsearched += 1
      problems.set(backup.vault, `${backup.vault}: ${toAppError(error).message}`)
      continue
    }
    searched += 1
    const clean = path === undefined ? undefined : pathFromWire(path).replace(/^\/+|\/+$/g, '')
    const exact = clean === undefined ? undefined : index.item(clean)
    const items =
      clean !== undefined
        ? exact === undefined
          ? []
          : [exact]
        : ((await index.search(q ?? '', { under: '', limit, signal }))?.items ?? [])
    for (const item of items) add(found, item, backup, limit)
  }
  const items = [...found.values()].map((one) => ({ ...one, versions: marked(one.versions) }))
  return { items, searched, pending, unsearched, problems: [...problems.values()] }
}

/** A backup that lies in several vaults is one version. */
function distinct(backups: readonly Backup[]): Backup[] {
  const seen = new Set<string>()
  return backups.filter(({ job, id }) => {
    const key = `${job}\n${id}`
    if (seen.has(key)) return false
    seen.add(key)
    return true
  })
}

type Version = Answer['items'][number]['versions'][number] & { mark?: string }

function add(found: Map<string, Answer['items'][number]>, item: TreeItem, backup: Backup, limit: number): void {
  const key = `${backup.job}\n${item.path}`
  const known = found.get(key) ?? { path: pathToWire(item.path), job: backup.job, versions: [] }
  if (!found.has(key) && found.size >= limit) return
  found.set(key, known)
  const version: Version = {
    backup: backup.id,
    vault: backup.vault,
    time: backup.time,
    kind: item.kind === 'directory' ? 'dir' : item.kind,
    mtime: item.mtime,
    same: false,
    ...(item.kind === 'file' && { size: item.size }),
    mark: `${backup.vault} ${item.digest ?? `${item.size} ${item.mtime.getTime()}`}`,
  }
  known.versions.push(version)
}

/** Newest first: each is told beside the one before it in time. */
function marked(versions: Version[]): Answer['items'][number]['versions'] {
  return versions.map(({ mark, ...one }, index) => ({ ...one, same: mark === versions[index + 1]?.mark }))
}
