/** Shows that a physical backup starts: unpacked, compared with the server's manifest, started as another user. */
import { chmodSync, chownSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isAppError } from '../../base/errors.ts'
import type { PointTrial, PointTrialFrom } from '../../model/lane.ts'
import type { Trial, TrialCheck, TrialOptions, OpenEntries } from '../../model/source.ts'
import { bytesOf, roundsOf, wanted } from '../restored.ts'
import { assertionsCheck, pointTrialOf, trialOf, untried, type Tried } from '../tried.ts'
import { scratchUser } from '../scratch-user.ts'
import { clusterReplay } from './cluster-replay.ts'
import { clusterTarget } from './cluster-target.ts'
import { sql } from './connect.ts'
import { ABOUT_CLUSTER, parseAboutCluster } from './physical-layout.ts'
import { startCluster } from './scratch-server.ts'
import { openSession } from './session.ts'

export const clusterTrial: Trial = trialOf(run)
export const clusterPointTrial: PointTrial = pointTrialOf(run)

async function run(open: OpenEntries, options: TrialOptions, forward?: PointTrialFrom): Promise<Tried> {
  const { scratchDir, level, assertions, signal } = options
  const cancel = signal ? { signal } : {}
  let version = 0
  for await (const entry of wanted(open, ({ kind, path }) => kind === 'file' && path === ABOUT_CLUSTER))
    version = parseAboutCluster(await bytesOf(entry), entry.path).serverVersion
  chmodSync(scratchDir, 0o711)
  const owner = scratchUser()
  const parent = join(scratchDir, 'cluster')
  mkdirSync(parent, { mode: 0o700 })
  if (owner !== undefined) chownSync(parent, owner.uid, owner.gid)
  const folder = join(parent, 'data')
  const target = clusterTarget({ folder, ...(owner && { owner }) })
  try {
    await target.write(roundsOf(target, open), { onWarning: () => {}, ...cancel })
  } catch (error) {
    if (!isAppError(error) || signal?.aborted === true) throw error
    return {
      checks: [
        { level: 'V3', ok: false, detail: error.message, untried: isAppError(error, 'target.full', 'target.denied') },
      ],
    }
  }
  const own = (path: string, text: string): void => {
    writeFileSync(path, text, { mode: 0o600 })
    if (owner !== undefined) chownSync(path, owner.uid, owner.gid)
  }
  // Debian keeps them elsewhere; nothing of theirs is wanted here but what the log asks for.
  const config = join(parent, 'scratch.conf')
  const hba = join(parent, 'scratch_hba.conf')
  own(config, '')
  own(hba, 'local all all trust\n')
  if (existsSync(join(folder, 'recovery.signal'))) return untried('the backup is in the middle of a recovery')
  const { segmentSize } = target.about()
  const reached =
    forward === undefined
      ? undefined
      : await clusterReplay({ folder, segmentSize, ...(owner && { owner }) }).run(forward.segments(), forward.how)
  await using cluster = await startCluster(parent, folder, version, { config, hba, ...cancel })
  if (cluster === undefined)
    return untried(`no PostgreSQL server of version ${Math.floor(version / 10_000)} is installed here`)
  const checks: TrialCheck[] = [
    {
      level: 'V3',
      ok: true,
      detail:
        reached === undefined
          ? 'a server of its own started on it, became consistent, and was removed with it'
          : `a server of its own came forward to ${reached.position}, ${reached.transactions} transactions after the backup, and was removed with it`,
    },
  ]
  const tried = { checks, ...(reached && { reached }) }
  if (level === 'V3') return tried
  const asking = {
    psql: join(cluster.programs, 'psql'),
    server: { name: parent, env: { PGHOST: cluster.host, PGUSER: cluster.user, PGSSLMODE: 'disable' } },
    ...cancel,
  }
  const ask = async (database: string, statement: string): Promise<string[]> => sql(statement, { ...asking, database })
  let tables = 0
  let rows = 0
  const databases = await ask('template1', 'select datname from pg_database where datallowconn order by 1;')
  for (const database of databases) {
    // One session: a program for each of the many tables of the catalogue would take longer than all else.
    await using session = openSession({ ...asking, database })
    const names = await session.ask(
      `select quote_ident(n.nspname) || '.' || quote_ident(c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
       where c.relkind in ('r', 'm') and c.relpersistence = 'p' and (c.relkind = 'r' or c.relispopulated);`,
    )
    for (const name of names) {
      try {
        const [count] = await session.ask(`select count(*) from ${name};`)
        rows += Number(count)
        tables += 1
      } catch (error) {
        if (!isAppError(error) || signal?.aborted === true) throw error
        checks.push({ level: 'V4', ok: false, detail: `${database}: ${name}: ${error.message}` })
        return tried
      }
    }
  }
  checks.push({
    level: 'V4',
    ok: true,
    detail: `every file has the sum that the server gave; ${tables} tables of ${databases.length} databases can be read, ${rows} rows`,
  })
  if (level === 'V4') return tried
  checks.push(await assertionsCheck(assertions, broken))
  return tried

  async function broken(): Promise<string[]> {
    const user = databases.filter((name) => name !== 'template1')
    const found: string[] = []
    for (const assertion of assertions) {
      // The cluster has many databases, and the assertion is of one: it has to hold where it can be asked.
      const answers: string[] = []
      let reason = ''
      for (const database of user)
        try {
          const [value = ''] = await ask(database, `${assertion.replace(/;\s*$/, '')};`)
          answers.push(value)
        } catch (error) {
          if (!isAppError(error) || signal?.aborted === true) throw error
          reason = error.message
        }
      if (answers.length === 0) found.push(`${assertion}: ${reason}`)
      else if (answers.some((value) => ['f', '0', ''].includes(value))) found.push(assertion)
    }
    return found
  }
}
