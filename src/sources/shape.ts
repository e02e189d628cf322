/**
 * What a database says of its own tables, columns, keys, indexes, triggers and the like: taken with a backup, and compared
 * with what a restored copy says. docs/formats/database-dumps.md.
 */
import * as z from 'zod'
import { parseDescription } from './description.ts'

export const SHAPE = 'schema.json'

const shape = z.object({
  holdfast: z.literal('schema'),
  version: z.literal(1),
  /** Of the server that said so: another one may word it otherwise. */
  server: z.string(),
  /** What it is, which one, and how it is made; each is there once. */
  things: z.array(z.tuple([z.string(), z.string(), z.string()])),
  /** Kinds of things that earlier backups do not name: absent, they were not looked at. */
  also: z.array(z.string()).optional(),
})

export type Shape = z.output<typeof shape>
export type Thing = Shape['things'][number]

export const parseShape = (bytes: Uint8Array, what: string): Shape =>
  parseDescription(shape, bytes, what, 'the schema of a database')

/** What a view is made of, what people wrote beside things, and who may do what. */
const ALSO = ['view', 'comment', 'privilege']

export const shapeOf = (server: string, things: readonly Thing[]): Shape => ({
  holdfast: 'schema',
  version: 1,
  server,
  things: [...things].sort(([a, b], [c, d]) => (`${a} ${b}` < `${c} ${d}` ? -1 : 1)),
  also: ALSO,
})

const CAST =
  /::(?:character varying|double precision|timestamp with(?:out)? time zone|time with(?:out)? time zone|bit varying|"[^"]+"|[\w.]+)(?:\(\d+(?:,\s*-?\d+)?\))?(?:\[\])*/g

/** A server writes the same expression with other casts and brackets once it has read what it wrote. */
const plain = (text: string): string => text.replaceAll(CAST, '').replaceAll(/[()\s]+/g, '')

const SHOWN = 3

/**
 * Undefined: nothing is missing, came or changed. Servers of other versions are compared by what there is alone, and kinds
 * `without` not at all.
 */
export function shapeFault(
  { things: all, also = [], server }: Shape,
  now: Shape,
  without: readonly string[] = [],
): string | undefined {
  const out = new Set([...ALSO.filter((kind) => !also.includes(kind)), ...without])
  const compared = (things: readonly Thing[]): Thing[] => things.filter(([kind]) => !out.has(kind))
  const before = { server, things: compared(all) }
  const after = { server: now.server, things: compared(now.things) }
  const exact = before.server === after.server
  const keyOf = ([kind, name]: Thing): string => `${kind} ${name}`
  const there = new Map(after.things.map((thing) => [keyOf(thing), thing]))
  const were = new Set(before.things.map(keyOf))
  const faults: string[] = []
  for (const thing of before.things) {
    const found = there.get(keyOf(thing))
    if (found === undefined) faults.push(`${keyOf(thing)} is missing`)
    else if (exact && plain(found[2]) !== plain(thing[2]))
      faults.push(`${keyOf(thing)} was ${JSON.stringify(thing[2])} and is ${JSON.stringify(found[2])}`)
  }
  for (const thing of after.things) if (!were.has(keyOf(thing))) faults.push(`${keyOf(thing)} was not there`)
  if (faults.length === 0) return undefined
  const more = faults.length - SHOWN
  return `${faults.slice(0, SHOWN).join('; ')}${more > 0 ? `; and ${more} more` : ''}`
}
