/** The tables of a database: which are wanted, how they are named to pg_dump, and how their rows are read. */
import * as z from 'zod'
import { AppError } from '../../base/errors.ts'
import type { TableChoice } from '../../model/databases.ts'
import { matchesAny } from '../names.ts'
import { identifier } from './connect.ts'
import type { TableName } from './layout.ts'

export interface Relation extends TableName {
  /** As in pg_class: r table, p partitioned, v view, m materialized view, f foreign, S sequence. */
  kind: string
  pages: number
  columns: string[]
  oid: string
  /** Of a partition: the table that it is one of. */
  parent?: string
}

/** What users made; what extensions brought comes back with them. Columns without those that are computed. */
export const RELATIONS = `select coalesce(jsonb_agg(jsonb_build_array(n.nspname, c.relname, c.relkind::text, pg_relation_size(c.oid) / 8192,
    coalesce((select jsonb_agg(a.attname order by a.attnum) from pg_attribute a
      where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''), '[]'),
    c.oid::text, (select i.inhparent::text from pg_inherits i where i.inhrelid = c.oid and c.relispartition))), '[]')
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') and c.relpersistence <> 't' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
  and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')`

const rows = z.array(
  z.tuple([z.string(), z.string(), z.string(), z.number(), z.array(z.string()), z.string(), z.string().nullable()]),
)

export const parseRelations = (text: string): Relation[] =>
  rows.parse(JSON.parse(text)).map(([schema, name, kind, pages, columns, oid, parent]) => ({
    schema,
    name,
    kind,
    pages: Math.ceil(pages),
    columns,
    oid,
    ...(parent !== null && { parent }),
  }))

export interface Choice extends TableChoice {
  schemas?: string[]
  excludeSchemas?: string[]
}

/** `orders`, `public.orders`, `log_*`: of any schema where none is named. */
const hits = (patterns: readonly string[], { schema, name }: TableName): boolean =>
  matchesAny(patterns, name) || matchesAny(patterns, `${schema}.${name}`)

export interface Chosen {
  relations: Relation[]
  /** For pg_dump: exact names. */
  args: string[]
}

export function choose(all: readonly Relation[], choice: Choice, database: string): Chosen {
  const { tables, excludeTables = [], schemas, excludeSchemas = [] } = choice
  const byOid = new Map(all.map((relation) => [relation.oid, relation]))
  // Partitions follow the table that they are of: its rows are theirs.
  const asked = (relation: Relation | undefined): boolean =>
    relation !== undefined &&
    (tables === undefined || hits(tables, relation) || asked(byOid.get(relation.parent ?? '')))
  const wanted = (relation: Relation): boolean =>
    asked(relation) &&
    (schemas === undefined || matchesAny(schemas, relation.schema)) &&
    !hits(excludeTables, relation) &&
    !matchesAny(excludeSchemas, relation.schema)
  for (const pattern of tables ?? [])
    if (!all.some((relation) => hits([pattern], relation)))
      throw new AppError('source.not-found', `no matching tables for ${pattern} in ${database}`)
  const relations = all.filter(wanted)
  if (tables === undefined && schemas === undefined) {
    const out = [...new Set(all.map(({ schema }) => schema))].filter((schema) => matchesAny(excludeSchemas, schema))
    return {
      relations,
      args: [
        ...out.map((schema) => `--exclude-schema=${identifier(schema)}`),
        ...all.filter((one) => !wanted(one)).map((one) => `--exclude-table=${exactly(one)}`),
      ],
    }
  }
  if (tables === undefined) {
    const named = [...new Set(relations.map(({ schema }) => schema))]
    if (named.length === 0)
      throw new AppError('source.not-found', `no schema of ${database} is called ${(schemas ?? []).join(' or ')}`)
    const out = all.filter((one) => named.includes(one.schema) && !wanted(one))
    return {
      relations,
      args: [
        ...named.map((schema) => `--schema=${identifier(schema)}`),
        ...out.map((one) => `--exclude-table=${exactly(one)}`),
      ],
    }
  }
  return { relations, args: relations.map((one) => `--table=${exactly(one)}`) }
}

/** A quoted name is no pattern to pg_dump. */
export const exactly = ({ schema, name }: TableName): string => `${identifier(schema)}.${identifier(name)}`

/** Pages of 8 KiB of one piece; a table that was not written to has the same pieces in the next backup. */
const PIECE_PAGES = 1024
/** Older servers read the whole table for any range of it. */
const RANGES_SINCE = 140_000

export function rangesOf({ pages }: Relation, version: number): { from?: number; below?: number }[] {
  const count = version < RANGES_SINCE ? 1 : Math.max(1, Math.ceil(pages / PIECE_PAGES - 0.5))
  return Array.from({ length: count }, (_, index) => ({
    ...(index > 0 && { from: index * PIECE_PAGES }),
    // The end is open: the table may have grown since its size was taken.
    ...(index < count - 1 && { below: (index + 1) * PIECE_PAGES }),
  }))
}

export function copyOf(table: Relation, { from, below }: { from?: number; below?: number }): string {
  const columns = table.columns.map(identifier).join(', ')
  if (from === undefined && below === undefined) return `COPY ${withColumns(table)} TO STDOUT`
  const where = [
    ...(from === undefined ? [] : [`ctid >= '(${from},0)'`]),
    ...(below === undefined ? [] : [`ctid < '(${below},0)'`]),
  ]
  return `COPY (SELECT ${columns} FROM ONLY ${exactly(table)} WHERE ${where.join(' AND ')}) TO STDOUT`
}

/** For COPY, which takes no empty list: a table may have no columns, or computed ones only. */
export const withColumns = (table: TableName & { columns: readonly string[] }): string =>
  table.columns.length === 0 ? exactly(table) : `${exactly(table)} (${table.columns.map(identifier).join(', ')})`

export const countOf = (table: TableName): string => `select count(*) from only ${exactly(table)};`
