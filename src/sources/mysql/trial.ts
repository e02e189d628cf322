import { chmodSync } from 'node:fs'
import { isAppError } from '../../base/errors.ts'
import type { Entry } from '../../model/entry.ts'
import type { OpenEntries, Trial, TrialCheck, TrialOptions } from '../../model/source.ts'
import { bytesOf, nameOf, roundsOf, wanted } from '../restored.ts'
import { ABOUT, parseAbout, type AboutMysql } from './layout.ts'
import { startScratchServer } from './scratch-server.ts'
import { connect, serverOf } from './server.ts'
import { identifier } from './sql-text.ts'
import { mysqlTarget } from './target.ts'

const isAbout = (entry: Entry): boolean => entry.kind === 'file' && nameOf(entry) === ABOUT

/** Restores each database to a server of our own; the target itself compares rows. */
export const mysqlTrial: Trial = { run }

const untried = (detail: string): TrialCheck[] => [{ level: 'V3', ok: false, untried: true, detail }]

async function run(open: OpenEntries, options: TrialOptions): Promise<TrialCheck[]> {
  const { scratchDir, level, assertions, signal } = options
  const cancel = signal ? { signal } : {}
  const abouts: AboutMysql[] = []
  for await (const entry of wanted(open, isAbout)) abouts.push(parseAbout(await bytesOf(entry), entry.path))
  if (abouts.some(({ flavour }) => flavour === 'mysql'))
    return untried('the backup is of MySQL, and a scratch server can only be one of MariaDB')
  // The server runs as another user, who has to come through.
  chmodSync(scratchDir, 0o711)
  await using server = await startScratchServer(scratchDir, cancel)
  if (server === undefined) return untried('no MariaDB server is installed here (the package mariadb-server)')
  const settings = { host: server.socket, user: 'root', tls: false }
  let tables = 0
  for (const { database, tables: each } of abouts) {
    const target = mysqlTarget({ type: 'mysql', server: settings, from: database, database, ownership: false })
    try {
      await target.write(roundsOf(target, open), { onWarning: () => {}, ...cancel })
    } catch (error) {
      if (!isAppError(error) || signal?.aborted === true) throw error
      return [
        {
          level: 'V3',
          ok: false,
          detail: `${database}: ${error.message}`,
          untried: isAppError(error, 'target.full', 'target.unreachable'),
        },
      ]
    }
    tables += each.length
  }
  const checks: TrialCheck[] = [
    {
      level: 'V3',
      ok: true,
      detail: `${abouts.length} databases restored to a server of their own, and removed with it`,
    },
  ]
  if (level === 'V3') return checks
  checks.push({ level: 'V4', ok: true, detail: `${tables} tables have the rows that they had in the snapshot` })
  if (level === 'V4') return checks
  if (assertions.length === 0)
    return [...checks, { level: 'V5', ok: false, detail: 'no assertion was given', untried: true }]
  await using connection = await connect(await serverOf(settings), signal)
  const broken: string[] = []
  for (const { database } of abouts) {
    await connection.run(`USE ${identifier(database)}`)
    for (const assertion of assertions) {
      const [[value] = []] = await connection.query(assertion).catch((error: unknown) => {
        broken.push(`${assertion}: ${error instanceof Error ? error.message : String(error)}`)
        return [['1']]
      })
      if (value === undefined || value === '0' || value === '') broken.push(`${database}: ${assertion}`)
    }
  }
  checks.push({
    level: 'V5',
    ok: broken.length === 0,
    detail: broken.length === 0 ? `${assertions.length} assertions hold` : `does not hold: ${broken[0]}`,
  })
  return checks
}
