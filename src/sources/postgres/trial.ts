import { chmodSync } from 'node:fs'
import { isAppError } from '../../base/errors.ts'
import type { Entry } from '../../model/entry.ts'
import type { OpenEntries, Trial, TrialCheck, TrialOptions } from '../../model/source.ts'
import { bytesOf, folderOf, nameOf, roundsOf, wanted } from '../restored.ts'
import { assertionsCheck, untried } from '../tried.ts'
import { parseShape, SHAPE, shapeFault, shapeOf, type Shape } from '../shape.ts'
import { serverOf, sql } from './connect.ts'
import { hashOf, parseThings, serverWord, TEXTS, THINGS } from './content.ts'
import { ABOUT, GLOBALS, parseAbout, parseTotals, TOTALS, type AboutPostgres, type Totals } from './layout.ts'
import { openSession, type Session } from './session.ts'
import { exactly } from './tables.ts'
import { startScratchCluster } from './scratch-server.ts'
import { postgresTarget } from './target.ts'

/** Restores each database to a cluster of our own; the target itself compares rows. */
export const postgresTrial: Trial = { run }

async function run(open: OpenEntries, options: TrialOptions): Promise<TrialCheck[]> {
  const { scratchDir, level, assertions, signal } = options
  const cancel = signal ? { signal } : {}
  const abouts: AboutPostgres[] = []
  const figures = new Map<string, Figures>()
  let roles = false
  const described = (entry: Entry): boolean =>
    entry.kind === 'file' && ([ABOUT, SHAPE, TOTALS].includes(nameOf(entry)) || entry.path === GLOBALS)
  const folders: string[] = []
  for await (const entry of wanted(open, described)) {
    if (entry.path === GLOBALS) {
      roles = true
      continue
    }
    const bytes = await bytesOf(entry)
    const folder = folderOf(entry)
    const its = figures.get(folder) ?? {}
    figures.set(folder, its)
    if (nameOf(entry) === SHAPE) its.shape = parseShape(bytes, entry.path)
    else if (nameOf(entry) === TOTALS) its.totals = parseTotals(bytes, entry.path)
    else {
      abouts.push(parseAbout(bytes, entry.path))
      folders.push(folder)
    }
  }
  const version = Math.max(0, ...abouts.map(({ serverVersion }) => serverVersion))
  // The server runs as another user, who has to come through.
  chmodSync(scratchDir, 0o711)
  await using cluster = await startScratchCluster(scratchDir, version, cancel)
  if (cluster === undefined)
    return untried(`no PostgreSQL server of version ${Math.floor(version / 10_000)} or newer is installed here`).checks
  const { programs } = cluster
  const server = { host: cluster.host, user: cluster.user, tls: false, programs: cluster.programs }
  let tables = 0
  for (const [index, { database, tables: each }] of abouts.entries()) {
    const target = postgresTarget({
      type: 'postgres',
      server,
      from: database,
      // The cluster has a database of this name from the beginning.
      database: database === 'postgres' ? 'postgres_of_the_backup' : database,
      // Owners and policies need the roles.
      ownership: roles,
      globals: roles && index === 0,
    })
    try {
      await target.write(roundsOf(target, open), { onWarning: () => {}, ...cancel })
    } catch (error) {
      if (!isAppError(error) || signal?.aborted === true) throw error
      const here =
        ['target.full', 'target.unreachable'].includes(error.code) ||
        /is not available|could not open extension/.test(error.message)
      return [{ level: 'V3', ok: false, detail: `${database}: ${error.message}`, untried: here }]
    }
    tables += each.length
  }
  const checks: TrialCheck[] = [
    {
      level: 'V3',
      ok: true,
      detail: `${abouts.length} databases restored to a cluster of their own, and removed with it`,
    },
  ]
  if (level === 'V3') return checks
  const more: string[] = []
  for (const [index, { database }] of abouts.entries()) {
    const its = figures.get(folders[index] ?? '') ?? {}
    await using session = openSession({
      psql: `${cluster.programs}/psql`,
      server: await serverOf(server),
      database: database === 'postgres' ? 'postgres_of_the_backup' : database,
      ...cancel,
    })
    const fault = await compare(session, its, roles, more)
    if (fault !== undefined) return [...checks, { level: 'V4', ok: false, detail: `${database}: ${fault}` }]
  }
  const same = more.length === 0 ? '' : `; ${more.join(', ')}`
  checks.push({ level: 'V4', ok: true, detail: `${tables} tables have the rows that they had in the snapshot${same}` })
  if (level === 'V4') return checks
  checks.push(await assertionsCheck(assertions, broken))
  return checks

  async function broken(): Promise<string[]> {
    const found: string[] = []
    for (const { database } of abouts)
      for (const assertion of assertions)
        try {
          const [value] = await sql(`${assertion.replace(/;\s*$/, '')};`, {
            psql: `${programs}/psql`,
            server: await serverOf(server),
            database: database === 'postgres' ? 'postgres_of_the_backup' : database,
            ...cancel,
          })
          if (value === undefined || ['f', '0', ''].includes(value)) found.push(`${database}: ${assertion}`)
        } catch (error) {
          if (!isAppError(error) || signal?.aborted === true) throw error
          found.push(`${database}: ${assertion}: ${error.message}`)
        }
    return found
  }
}

/** Of one database, by the folder that it has in the backup. */
interface Figures {
  shape?: Shape
  totals?: Totals
}

/** What is not as it was in the snapshot. `same` is told what is. */
async function compare(
  session: Session,
  { shape, totals }: Figures,
  roles: boolean,
  same: string[],
): Promise<string | undefined> {
  await session.ask(TEXTS(false))
  const hashed = (totals?.tables ?? []).filter(({ hash }) => hash !== undefined)
  for (const table of hashed) {
    const [hash] = await session.ask(hashOf(table))
    if (hash !== table.hash) return `${exactly(table)} holds other values than in the snapshot`
  }
  if (hashed.length > 0) same.push(`${hashed.length} of them the same values, by their hashes`)
  if (shape === undefined) return undefined
  const [version = '', line = ''] = await session.ask(`show server_version_num; ${THINGS}`)
  const fault = shapeFault(shape, shapeOf(serverWord(Number(version)), parseThings(line)), roles ? [] : ['privilege'])
  if (fault !== undefined) return `the schema is not what it was: ${fault}`
  same.push(`${shape.things.length} parts of their schema are what they were`)
  return undefined
}
