/** What tables a database has, and how each is read. */
import type { Connection } from './connection.ts'
import type { ValueKind } from './insert-writer.ts'
import { identifier, literal } from './sql-text.ts'

export interface Table {
  name: string
  engine: string
  transactional: boolean
  /** A guess of the server. */
  bytes: number
  /** With old versions of rows, which are not in the backup. */
  versioned: boolean
  columns: { name: string; kind: ValueKind; expression: string }[]
  /** Columns of the primary key, where there is one. */
  key: string[]
  /** The first column of the primary key is an integer: ranges of it can be read apart. */
  ranges: boolean
}

const NUMBERS = /^(tinyint|smallint|mediumint|int|bigint|decimal|float|double|year)$/
const PLAIN = /^(date|time|datetime|timestamp|uuid|inet4|inet6)$/
const BINARY =
  /^((tiny|medium|long)?blob|(var)?binary|vector|geometry|point|linestring|polygon|multipoint|multilinestring|multipolygon|geom(etry)?collection)$/

function kindOf(type: string): ValueKind {
  if (NUMBERS.test(type)) return 'number'
  if (PLAIN.test(type)) return 'plain'
  if (BINARY.test(type)) return 'binary'
  return type === 'bit' ? 'bits' : 'text'
}

/** The text of a FLOAT has six digits; that of the same number as DOUBLE gives every bit back. */
const expressionOf = (name: string, type: string): string =>
  type === 'float' ? `CAST(${identifier(name)} AS DOUBLE)` : identifier(name)

/** The details of these tables of a database, in the order of their names. */
export async function describeTables(
  connection: Connection,
  database: string,
  names: readonly string[],
): Promise<Table[]> {
  const where = `WHERE TABLE_SCHEMA = ${literal(database)}`
  const engines = new Map(
    (
      await connection.query('SELECT ENGINE, TRANSACTIONS FROM information_schema.ENGINES WHERE ENGINE IS NOT NULL')
    ).map(([engine = '', transactions]) => [engine.toLowerCase(), transactions === 'YES']),
  )
  const tables = new Map<string, Table>()
  const wanted = new Set(names)
  for (const [name = '', engine = '', bytes = '0', type] of await connection.query(
    `SELECT TABLE_NAME, ENGINE, COALESCE(DATA_LENGTH, 0), TABLE_TYPE FROM information_schema.TABLES ${where} AND TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED')`,
  )) {
    if (!wanted.has(name)) continue
    tables.set(name, {
      name,
      engine,
      transactional: engines.get(engine.toLowerCase()) ?? false,
      bytes: Number(bytes),
      versioned: type === 'SYSTEM VERSIONED',
      columns: [],
      key: [],
      ranges: false,
    })
  }
  for (const [table = '', name = '', type = '', generated, extra = ''] of await connection.query(
    `SELECT TABLE_NAME, COLUMN_NAME, LOWER(DATA_TYPE), GENERATION_EXPRESSION, EXTRA FROM information_schema.COLUMNS ${where} ORDER BY TABLE_NAME, ORDINAL_POSITION`,
  )) {
    const found = tables.get(table)
    if (found === undefined) continue
    const computed = (generated ?? '') !== '' || /\b(VIRTUAL|STORED|PERSISTENT)\b/i.test(extra)
    if (!computed && !/INVISIBLE.*GENERATED ALWAYS AS ROW|ROW (START|END)/i.test(extra))
      found.columns.push({ name, kind: kindOf(type), expression: expressionOf(name, type) })
  }
  for (const [table = '', column = '', type = ''] of await connection.query(
    `SELECT s.TABLE_NAME, s.COLUMN_NAME, LOWER(c.DATA_TYPE) FROM information_schema.STATISTICS s JOIN information_schema.COLUMNS c
     ON c.TABLE_SCHEMA = s.TABLE_SCHEMA AND c.TABLE_NAME = s.TABLE_NAME AND c.COLUMN_NAME = s.COLUMN_NAME
     WHERE s.TABLE_SCHEMA = ${literal(database)} AND s.INDEX_NAME = 'PRIMARY' ORDER BY s.TABLE_NAME, s.SEQ_IN_INDEX`,
  )) {
    const found = tables.get(table)
    if (found === undefined) continue
    if (found.key.length === 0) found.ranges = /^(tinyint|smallint|mediumint|int|bigint)$/.test(type)
    found.key.push(column)
  }
  return names.flatMap((name) => tables.get(name) ?? [])
}

/** One piece of a table: all of it, or the rows whose key lies in a range, its end not included. */
export interface Range {
  from?: bigint
  below?: bigint
}

/** About so many bytes of the table in one piece. */
const PIECE = 6 * 1024 * 1024
const MAX_PIECES = 4096n

/**
 * Ranges whose bounds are multiples of a power of two: the same ones in the next backup, so that a piece without a change
 * has the same bytes.
 */
export async function rangesOf(connection: Connection, database: string, table: Table): Promise<Range[]> {
  if (!table.ranges || table.bytes < PIECE * 1.5) return [{}]
  const key = identifier(table.key[0] as string)
  const [bounds] = await connection.query(
    `SELECT MIN(${key}), MAX(${key}) FROM ${identifier(database)}.${identifier(table.name)}`,
  )
  const [low, high] = bounds ?? []
  if (low === undefined || high === undefined) return [{}]
  return rangesBetween(BigInt(low), BigInt(high), table.bytes)
}

export function rangesBetween(low: bigint, high: bigint, bytes: number): Range[] {
  const wanted = BigInt(Math.max(1, Math.round(bytes / PIECE)))
  const count = wanted > MAX_PIECES ? MAX_PIECES : wanted
  let step = 1n
  while (step * count < high - low + 1n) step *= 2n
  const floor = (value: bigint): bigint => value - (((value % step) + step) % step)
  const ranges: Range[] = []
  for (let from = floor(low) + step; from <= high; from += step)
    ranges.push(ranges.length === 0 ? { below: from } : { from: from - step, below: from })
  const last = floor(high)
  // The ends are open: what the bounds did not see must not be lost.
  ranges.push(ranges.length === 0 ? {} : { from: last })
  return ranges
}

export function selectOf(database: string, { name, columns, key }: Table, { from, below }: Range): string {
  const first = key[0] === undefined ? '' : identifier(key[0])
  const where = [
    ...(from === undefined ? [] : [`${first} >= ${from}`]),
    ...(below === undefined ? [] : [`${first} < ${below}`]),
  ]
  return [
    `SELECT /*!40001 SQL_NO_CACHE */ ${columns.map(({ expression }) => expression).join(', ')}`,
    `FROM ${identifier(database)}.${identifier(name)}`,
    ...(where.length > 0 ? [`WHERE ${where.join(' AND ')}`] : []),
    ...(key.length > 0 ? [`ORDER BY ${key.map(identifier).join(', ')}`] : []),
  ].join(' ')
}
