import { chmodSync } from 'node:fs'
import { isAppError } from '../../base/errors.ts'
import type { Entry } from '../../model/entry.ts'
import type { OpenEntries, Trial, TrialCheck, TrialOptions } from '../../model/source.ts'
import { bytesOf, nameOf, roundsOf, wanted } from '../restored.ts'
import { serverOf, sql } from './connect.ts'
import { ABOUT, GLOBALS, parseAbout, type AboutPostgres } from './layout.ts'
import { startScratchCluster } from './scratch-server.ts'
import { postgresTarget } from './target.ts'

/** Restores each database to a cluster of our own; the target itself compares rows. */
export const postgresTrial: Trial = { run }

const untried = (detail: string): TrialCheck[] => [{ level: 'V3', ok: false, untried: true, detail }]

async function run(open: OpenEntries, options: TrialOptions): Promise<TrialCheck[]> {
  const { scratchDir, level, assertions, signal } = options
  const cancel = signal ? { signal } : {}
  const abouts: AboutPostgres[] = []
  let roles = false
  const described = (entry: Entry): boolean =>
    entry.kind === 'file' && (nameOf(entry) === ABOUT || entry.path === GLOBALS)
  for await (const entry of wanted(open, described)) {
    if (entry.path === GLOBALS) roles = true
    else abouts.push(parseAbout(await bytesOf(entry), entry.path))
  }
  const version = Math.max(0, ...abouts.map(({ serverVersion }) => serverVersion))
  // The server runs as another user, who has to come through.
  chmodSync(scratchDir, 0o711)
  await using cluster = await startScratchCluster(scratchDir, version, cancel)
  if (cluster === undefined)
    return untried(`no PostgreSQL server of version ${Math.floor(version / 10_000)} or newer is installed here`)
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
  checks.push({ level: 'V4', ok: true, detail: `${tables} tables have the rows that they had in the snapshot` })
  if (level === 'V4') return checks
  if (assertions.length === 0)
    return [...checks, { level: 'V5', ok: false, detail: 'no assertion was given', untried: true }]
  const broken: string[] = []
  for (const { database } of abouts)
    for (const assertion of assertions)
      try {
        const [value] = await sql(`${assertion.replace(/;\s*$/, '')};`, {
          psql: `${cluster.programs}/psql`,
          server: await serverOf(server),
          database: database === 'postgres' ? 'postgres_of_the_backup' : database,
          ...cancel,
        })
        if (value === undefined || ['f', '0', ''].includes(value)) broken.push(`${database}: ${assertion}`)
      } catch (error) {
        if (!isAppError(error) || signal?.aborted === true) throw error
        broken.push(`${database}: ${assertion}: ${error.message}`)
      }
  checks.push({
    level: 'V5',
    ok: broken.length === 0,
    detail: broken.length === 0 ? `${assertions.length} assertions hold` : `does not hold: ${broken[0]}`,
  })
  return checks
}
