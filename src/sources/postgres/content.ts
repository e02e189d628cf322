/** What a PostgreSQL database says of its schema and of the content of its tables: see ../shape.ts. */
import * as z from 'zod'
import { literal } from './connect.ts'
import type { TableName } from './layout.ts'
import type { Thing } from '../shape.ts'
import { exactly } from './tables.ts'

/** Values as text mean the same on every server. Within a transaction, or for the whole of a session. */
export const TEXTS = (local: boolean): string =>
  Object.entries({
    timezone: 'UTC',
    lc_monetary: 'C',
    datestyle: 'iso',
    intervalstyle: 'postgres',
    extra_float_digits: '3',
    bytea_output: 'hex',
    xmloption: 'content',
    search_path: 'pg_catalog',
    row_security: 'off',
  })
    .map(([name, value]) => `set ${local ? 'local ' : ''}${name} = ${literal(value)};`)
    .join(' ')

/** The sum of a hash of each row: no order of rows matters, and each row counts. */
export const hashOf = (table: TableName): string =>
  `select coalesce(sum(('x' || left(md5(row(holdfast_row.*)::text), 16))::bit(64)::bigint), 0)::text from only ${exactly(table)} holdfast_row;`

/** Users' own; what extensions brought is theirs. */
const own = (catalog: string, oid: string): string =>
  `not exists (select from pg_depend d where d.classid = '${catalog}'::regclass and d.objid = ${oid} and d.deptype = 'e')`
const NAMESPACE = `n.nspname !~ '^pg_' and n.nspname <> 'information_schema'`
const RELATION = `quote_ident(n.nspname) || '.' || quote_ident(c.relname)`
const OF_RELATION = `join pg_class c on c.oid = x.relation join pg_namespace n on n.oid = c.relnamespace
  where ${NAMESPACE} and c.relpersistence <> 't' and ${own('pg_class', 'c.oid')}`

/** Users' own objects have numbers from here on. */
const FIRST_OWN = 16_384
/** Who but the owner may do what, in words. An ACL that was never set is that of its kind. */
const granted = (acl: string, kind: string, owner: string): string =>
  `(select string_agg(concat(case g.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(g.grantee)) end, ' ', g.privilege_type, case when g.is_grantable then '*' end),
     ', ' order by pg_get_userbyid(g.grantee)::text collate "C", g.privilege_type collate "C") from aclexplode(coalesce(${acl}, acldefault('${kind}', ${owner}))) g where g.grantee <> ${owner})`

/** One line each: kind, name, definition. */
const PARTS = [
  `select 'relation', ${RELATION}, concat_ws(' ', c.relkind::text, c.relpersistence::text, case when c.relrowsecurity then 'row security' end,
     case when c.relforcerowsecurity then 'forced' end, pg_get_expr(c.relpartbound, c.oid), case when c.relkind = 'p' then pg_get_partkeydef(c.oid) end)
   from pg_class c join pg_namespace n on n.oid = c.relnamespace
   where c.relkind in ('r', 'p', 'v', 'm', 'f', 'c') and c.relpersistence <> 't' and ${NAMESPACE} and ${own('pg_class', 'c.oid')}`,
  `select 'column', ${RELATION} || '.' || quote_ident(x.attname), concat_ws(' ', format_type(x.atttypid, x.atttypmod), case when x.attnotnull then 'not null' end,
     nullif(x.attidentity::text, ''), nullif(x.attgenerated::text, ''), (select collname from pg_collation where oid = x.attcollation), x.def)
   from (select a.attrelid as relation, a.*, pg_get_expr(d.adbin, d.adrelid) as def from pg_attribute a
     left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum where a.attnum > 0 and not a.attisdropped) x
   ${OF_RELATION} and c.relkind in ('r', 'p', 'v', 'm', 'f', 'c')`,
  `select 'constraint', ${RELATION} || '.' || quote_ident(x.conname), pg_get_constraintdef(x.oid)
   from (select conrelid as relation, oid, conname from pg_constraint where contype in ('c', 'f', 'p', 'u', 'x')) x ${OF_RELATION}`,
  `select 'index', ${RELATION} || ' ' || x.indexrelid::regclass::text, pg_get_indexdef(x.indexrelid)
   from (select indrelid as relation, indexrelid from pg_index where indisvalid) x ${OF_RELATION}`,
  `select 'trigger', ${RELATION} || '.' || quote_ident(x.tgname), pg_get_triggerdef(x.oid) || ' ' || x.tgenabled::text
   from (select tgrelid as relation, oid, tgname, tgenabled from pg_trigger where not tgisinternal) x ${OF_RELATION}`,
  `select 'policy', ${RELATION} || '.' || quote_ident(x.polname), concat_ws(' ', x.polcmd::text, x.polpermissive::text, pg_get_expr(x.polqual, c.oid), pg_get_expr(x.polwithcheck, c.oid))
   from (select polrelid as relation, * from pg_policy) x ${OF_RELATION}`,
  `select 'sequence', ${RELATION}, concat_ws(' ', format_type(x.seqtypid, null), x.seqstart, x.seqincrement, x.seqmin, x.seqmax, x.seqcache, x.seqcycle)
   from (select seqrelid as relation, * from pg_sequence) x ${OF_RELATION}`,
  `select 'type', quote_ident(n.nspname) || '.' || quote_ident(t.typname), case t.typtype
     when 'e' then 'enum ' || (select string_agg(quote_literal(e.enumlabel), ', ' order by e.enumsortorder) from pg_enum e where e.enumtypid = t.oid)
     when 'd' then concat_ws(' ', 'domain', format_type(t.typbasetype, t.typtypmod), case when t.typnotnull then 'not null' end, t.typdefault,
       (select string_agg(pg_get_constraintdef(k.oid), ' ' order by k.conname) from pg_constraint k where k.contypid = t.oid and k.contype = 'c'))
     else 'range' end
   from pg_type t join pg_namespace n on n.oid = t.typnamespace where t.typtype in ('e', 'd', 'r') and ${NAMESPACE} and ${own('pg_type', 't.oid')}`,
  `select 'routine', quote_ident(n.nspname) || '.' || quote_ident(p.proname) || '(' || pg_get_function_identity_arguments(p.oid) || ')',
     concat_ws(' ', p.prokind::text, pg_get_function_result(p.oid), (select lanname from pg_language l where l.oid = p.prolang), md5(p.prosrc))
   from pg_proc p join pg_namespace n on n.oid = p.pronamespace where ${NAMESPACE} and ${own('pg_proc', 'p.oid')}`,
  `select 'extension', extname, '' from pg_extension`,
  `select 'view', ${RELATION}, concat_ws(' ', array_to_string(c.reloptions, ' '), pg_get_viewdef(c.oid))
   from pg_class c join pg_namespace n on n.oid = c.relnamespace
   where c.relkind in ('v', 'm') and c.relpersistence <> 't' and ${NAMESPACE} and ${own('pg_class', 'c.oid')}`,
  `select 'comment', o.type || ' ' || o.identity, x.description
   from pg_description x, pg_identify_object(x.classoid, x.objoid, x.objsubid) o
   where x.objoid >= ${FIRST_OWN} and o.type not in ('extension', 'large object') and coalesce(o.schema, '') !~ '^pg_'
   and not exists (select from pg_depend d where d.classid = x.classoid and d.objid = x.objoid and d.deptype = 'e')`,
  `select 'privilege', ${RELATION}, ${granted('c.relacl', 'r', 'c.relowner')}
   from pg_class c join pg_namespace n on n.oid = c.relnamespace
   where c.relkind in ('r', 'p', 'v', 'm', 'f') and c.relpersistence <> 't' and ${NAMESPACE} and ${own('pg_class', 'c.oid')}`,
  `select 'privilege', ${RELATION}, ${granted('c.relacl', 's', 'c.relowner')}
   from pg_class c join pg_namespace n on n.oid = c.relnamespace
   where c.relkind = 'S' and c.relpersistence <> 't' and ${NAMESPACE} and ${own('pg_class', 'c.oid')}`,
  `select 'privilege', ${RELATION} || '.' || quote_ident(x.attname), ${granted('x.attacl', 'c', 'c.relowner')}
   from (select attrelid as relation, attname, attacl from pg_attribute where attacl is not null and not attisdropped) x ${OF_RELATION}`,
  `select 'privilege', quote_ident(n.nspname) || '.' || quote_ident(p.proname) || '(' || pg_get_function_identity_arguments(p.oid) || ')', ${granted('p.proacl', 'f', 'p.proowner')}
   from pg_proc p join pg_namespace n on n.oid = p.pronamespace where ${NAMESPACE} and ${own('pg_proc', 'p.oid')}`,
  `select 'privilege', 'schema ' || quote_ident(n.nspname), ${granted('n.nspacl', 'n', 'n.nspowner')}
   from pg_namespace n where ${NAMESPACE} and n.oid >= ${FIRST_OWN} and ${own('pg_namespace', 'n.oid')}`,
]

/** One line of JSON. The search path has to be that of `TEXTS`: names are then written with their schemas. */
export const THINGS =
  `select coalesce(jsonb_agg(jsonb_build_array(kind, name, definition)), '[]') from (${PARTS.join(' union all ')}) each (kind, name, definition) where kind <> 'privilege' or definition is not null;`.replaceAll(
    /\s+/g,
    ' ',
  )

const things = z.array(z.tuple([z.string(), z.string(), z.string().nullable()]))

export const parseThings = (text: string): Thing[] =>
  things.parse(JSON.parse(text)).map(([kind, name, definition]) => [kind, name, definition ?? ''])

/** What the schema is compared by: another major version may word it otherwise. */
export const serverWord = (version: number): string => `PostgreSQL ${Math.floor(version / 10_000)}`
