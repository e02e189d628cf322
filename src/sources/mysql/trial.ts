import { chmodSync } from 'node:fs'
import { isAppError } from '../../base/errors.ts'
import type { PointTrial, PointTrialFrom, Reached } from '../../model/lane.ts'
import type { Entry } from '../../model/entry.ts'
import type { OpenEntries, Trial, TrialCheck, TrialOptions } from '../../model/source.ts'
import { bytesOf, folderOf, nameOf, roundsOf, wanted } from '../restored.ts'
import { assertionsCheck, pointTrialOf, trialOf, untried, type Tried } from '../tried.ts'
import { parseShape, SHAPE, shapeFault, shapeOf, type Shape } from '../shape.ts'
import { readHash, readThings, serverWord } from './content.ts'
import { ABOUT, parseAbout, parseTotals, TOTALS, type AboutMysql, type Totals } from './layout.ts'
import type { Connection } from './connection.ts'
import { mariadbReplay } from './replay.ts'
import { startScratchServer } from './scratch-server.ts'
import { connect, serverOf } from './server.ts'
import { prepare } from './snapshot.ts'
import { identifier, literal } from './sql-text.ts'
import { describeTables } from './tables.ts'
import { mysqlTarget } from './target.ts'

const isFigure = (entry: Entry): boolean => entry.kind === 'file' && [ABOUT, SHAPE, TOTALS].includes(nameOf(entry))

/** Restores each database to a server of our own; the target itself compares rows. */
export const mysqlTrial: Trial = trialOf(run)
export const mysqlPointTrial: PointTrial = pointTrialOf(run)

async function run(open: OpenEntries, options: TrialOptions, forward?: PointTrialFrom): Promise<Tried> {
  const { scratchDir, level, assertions, signal } = options
  const cancel = signal ? { signal } : {}
  const abouts: AboutMysql[] = []
  const figures: Figures[] = []
  const byFolder = new Map<string, Figures>()
  for await (const entry of wanted(open, isFigure)) {
    const bytes = await bytesOf(entry)
    const its = byFolder.get(folderOf(entry)) ?? {}
    byFolder.set(folderOf(entry), its)
    if (nameOf(entry) === SHAPE) its.shape = parseShape(bytes, entry.path)
    else if (nameOf(entry) === TOTALS) its.totals = parseTotals(bytes, entry.path)
    else {
      abouts.push(parseAbout(bytes, entry.path))
      figures.push(its)
    }
  }
  if (abouts.some(({ flavour }) => flavour === 'mysql'))
    return untried('the backup is of MySQL, and a scratch server can only be one of MariaDB')
  // The server runs as another user, who has to come through.
  chmodSync(scratchDir, 0o711)
  await using server = await startScratchServer(scratchDir, cancel)
  if (server === undefined) return untried('no MariaDB server is installed here (the package mariadb-server)')
  const settings = { host: server.socket, user: 'root', tls: false }
  let tables = 0
  let reached: Reached | undefined
  for (const { database, tables: each } of abouts) {
    const target = mysqlTarget({ type: 'mysql', server: settings, from: database, database, ownership: false })
    try {
      await target.write(roundsOf(target, open), { onWarning: () => {}, ...cancel })
      if (forward !== undefined) {
        const replay = mariadbReplay({ target: { type: 'mysql', server: settings }, from: database, to: database })
        reached = await replay.run(forward.segments(), forward.how)
      }
    } catch (error) {
      if (!isAppError(error) || signal?.aborted === true || error.code === 'restore.unreachable') throw error
      const no = isAppError(error, 'target.full', 'target.unreachable', 'source.no-program')
      return { checks: [{ level: 'V3', ok: false, detail: `${database}: ${error.message}`, untried: no }] }
    }
    tables += each.length
  }
  const checks: TrialCheck[] = [
    {
      level: 'V3',
      ok: true,
      detail: `${abouts.length} databases restored to a server of their own${reached === undefined ? '' : `, brought forward to ${reached.position} by ${reached.transactions} transactions`}, and removed with it`,
    },
  ]
  const tried = { checks, ...(reached && { reached }) }
  if (level === 'V3') return tried
  await using connection = await connect(await serverOf(settings), signal)
  const rows = `${tables} tables have the rows that they had in the snapshot`
  if (reached === undefined) {
    const more: string[] = []
    for (const [index, { database }] of abouts.entries()) {
      const fault = await compare(connection, database, figures[index] ?? {}, more)
      if (fault === undefined) continue
      checks.push({ level: 'V4', ok: false, detail: `${database}: ${fault}` })
      return tried
    }
    checks.push({ level: 'V4', ok: true, detail: [rows, ...more].join('; ') })
  } else {
    const { fault, count } = await checkTables(connection, abouts)
    checks.push({
      level: 'V4',
      ok: fault === undefined,
      detail: fault ?? `before the log: ${rows}; after it ${count} tables are sound (CHECK TABLE)`,
    })
    if (fault !== undefined) return tried
  }
  if (level === 'V4') return tried
  checks.push(await assertionsCheck(assertions, async () => brokenIn(connection, abouts, assertions)))
  return tried
}

async function brokenIn(
  connection: Connection,
  abouts: readonly AboutMysql[],
  assertions: readonly string[],
): Promise<string[]> {
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
  return broken
}

/** Of one database. */
interface Figures {
  shape?: Shape
  totals?: Totals
}

/** What is not as it was in the snapshot. `same` is told what is. */
async function compare(
  connection: Connection,
  database: string,
  { shape, totals }: Figures,
  same: string[],
): Promise<string | undefined> {
  const hashed = (totals?.tables ?? []).flatMap(({ name, hash }) => (hash === undefined ? [] : [{ name, hash }]))
  await prepare(connection)
  const tables = await describeTables(
    connection,
    database,
    hashed.map(({ name }) => name),
  )
  for (const { name, hash } of hashed) {
    const table = tables.find((one) => one.name === name)
    if (table === undefined || (await readHash(connection, database, table)) !== hash)
      return `${name} holds other values than in the snapshot`
  }
  if (hashed.length > 0) same.push(`${hashed.length} of them the same values, by their hashes`)
  if (shape === undefined) return undefined
  const fault = shapeFault(shape, shapeOf(serverWord(connection), await readThings(connection, database)))
  if (fault !== undefined) return `the schema is not what it was: ${fault}`
  same.push(`${shape.things.length} parts of their schema are what they were`)
  return undefined
}

/** The log may have made and dropped tables: those that are there. */
async function checkTables(
  connection: Connection,
  abouts: readonly AboutMysql[],
): Promise<{ count: number; fault?: string }> {
  let count = 0
  for (const { database } of abouts) {
    const names = await connection.query(
      `SELECT table_name FROM information_schema.tables WHERE table_schema = ${literal(database)} AND table_type = 'BASE TABLE'`,
    )
    for (const [name = ''] of names) {
      const said = await connection.query(`CHECK TABLE ${identifier(database)}.${identifier(name ?? '')}`)
      const [, , kind = '', word = ''] = said.at(-1) ?? []
      if (kind !== 'status' || word !== 'OK') return { count, fault: `${database}.${name}: ${word}` }
      count += 1
    }
  }
  return { count }
}
