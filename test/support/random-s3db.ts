/** Databases of s3db made at random, and changed at random: every kind of attribute, odd texts, secrets, binary content. */
import type { Database, Resource } from './s3db.ts'

export interface Random {
  /** 0 up to `limit`, `limit` not included. */
  below(limit: number): number
  chance(share: number): boolean
  pick<T>(items: readonly T[]): T
}

/** The same numbers for the same seed. */
export function randomOf(seed: number): Random {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
  const below = (limit: number): number => Math.floor(next() * limit)
  return {
    below,
    chance: (share) => next() < share,
    pick<T>(items: readonly T[]): T {
      return items[below(items.length)] as T
    },
  }
}

const TEXTS = [
  'plain',
  '',
  ' ',
  'null',
  'undefined',
  'true',
  '0',
  '-1e5',
  '[]',
  '{"a":1}',
  'a|b',
  'a;b',
  'a=b&c',
  '%41',
  '\\n',
  "it's",
  'Ünïcode',
  '漢字かな',
  '😀👩‍👩‍👧',
  'e\u0301',
  'line\nline\r\n\ttab',
  'b:QUJD',
  'u:%C3%A4',
  'QUJDRA==',
  '\u200fעברית',
  'x'.repeat(900),
]
const text = (random: Random): string =>
  random.pick(TEXTS) + (random.chance(0.3) ? random.pick(TEXTS).slice(0, 40) : '')

type Make = (random: Random) => unknown

/** Every attribute type of s3db 21 that it stores and gives back; `password` needs a package that is not there. */
const ATTRIBUTES: Record<string, [type: unknown, make: Make]> = {
  string: ['string|optional', text],
  number: ['number|optional', (random) => random.pick([0, -0.5, 1e21, -7, 3.25, 1e-9, Number.MAX_SAFE_INTEGER])],
  integer: ['number|integer|optional', (random) => random.below(2 ** 31) - 2 ** 30],
  flag: ['boolean|optional', (random) => random.chance(0.5)],
  mail: ['email|optional', (random) => `user${random.below(1e6)}@example.com`],
  address: ['url|optional', (random) => `https://example.com/${random.below(1e6)}?q=é`],
  moment: ['datetime|optional', (random) => new Date(random.below(2e9) * 1000).toISOString()],
  day: ['dateonly|optional', (random) => new Date(random.below(2e9) * 1000).toISOString().slice(0, 10)],
  words: [
    'array|items:string|optional',
    (random) => Array.from({ length: random.below(5) }, () => text(random).slice(0, 60)),
  ],
  figures: [
    'array|items:number|optional',
    (random) => Array.from({ length: random.below(6) }, () => random.below(1e6) / 8),
  ],
  anything: ['json|optional', (random) => ({ deep: [null, text(random), { n: random.below(9) }] })],
  four: ['ip4|optional', (random) => `10.${random.below(256)}.0.1`],
  six: ['ip6|optional', (random) => `2001:db8::${random.below(65536).toString(16)}`],
  unique: ['uuid|optional', (random) => `550e8400-e29b-41d4-a716-${String(random.below(1e9)).padStart(12, '0')}`],
  price: ['money|optional', (random) => random.below(1e7) / 100],
  vector: ['embedding:4|optional', (random) => Array.from({ length: 4 }, () => random.below(1000) / 1000)],
  place: ['geo:point|optional', (random) => ({ lat: random.below(90), lon: random.below(180) })],
  share: ['decimal:2|optional', (random) => random.below(100) / 100],
  hardware: ['mac|optional', () => '01:c8:95:4b:65:fe'],
  nested: [
    { street: 'string|optional', zip: { code: 'string|optional' } },
    (random) => ({ street: text(random).slice(0, 80), zip: { code: String(random.below(99999)) } }),
  ],
}
const SECRET: [unknown, Make] = ['secret|optional', (random) => `secret ${random.below(1e9)}`]
const BEHAVIORS = ['user-managed', 'body-overflow', 'body-only', 'enforce-limits', 'truncate-data'] as const
const REGIONS = ['EU', 'US', 'Asia Pacific', 'Süd']

interface Table {
  name: string
  attributes: Record<string, unknown>
  makes: [name: string, make: Make][]
  rows: string[]
  long: boolean
}

export interface RandomDatabase {
  tables: Table[]
  /** Rows that s3db refused, such as those above its limits. */
  refused: number
}

export async function fillAtRandom(db: Database, random: Random, rows: number): Promise<RandomDatabase> {
  const made: RandomDatabase = { tables: [], refused: 0 }
  const count = 1 + random.below(3)
  for (let at = 0; at <= count; at += 1) {
    const behavior = random.pick(BEHAVIORS)
    // What is secret is slow, row by row.
    const secret = at === 0 && random.chance(0.5)
    const makes = Object.entries(ATTRIBUTES).flatMap(([name, [type, make]]) =>
      random.chance(0.4) ? [{ name, type, make }] : [],
    )
    if (secret) makes.push({ name: 'hidden', type: SECRET[0], make: SECRET[1] })
    const name = `${random.pick(['users', 'user', 'orders', 'log_2024', 'a-b'])}${at}`
    const table: Table = {
      name,
      attributes: Object.fromEntries(makes.map((each) => [each.name, each.type])),
      makes: makes.map((each) => [each.name, each.make]),
      rows: [],
      long: behavior === 'body-overflow' || behavior === 'body-only',
    }
    table.attributes['region'] = 'string|optional'
    table.makes.push(['region', (one) => one.pick(REGIONS)])
    await db.createResource({
      name,
      behavior,
      timestamps: random.chance(0.5),
      asyncPartitions: false,
      attributes: table.attributes,
      ...(random.chance(0.7) && { partitions: { byRegion: { fields: { region: 'string' } } } }),
    })
    made.tables.push(table)
    const wanted = secret ? Math.min(rows, 3) : random.chance(0.15) ? 0 : Math.ceil(rows / count)
    for (let row = 0; row < wanted; row += 1) await insert(db, table, random, made)
  }
  return made
}

async function insert(db: Database, table: Table, random: Random, made: RandomDatabase): Promise<void> {
  const id = `${random.pick(['', 'a b', 'ä', '.', '日本', "q'", '😀', 'x:y'])}${random.below(1e12).toString(36)}`
  const row: Record<string, unknown> = { id }
  for (const [name, make] of table.makes) if (random.chance(0.7)) row[name] = make(random)
  if (table.long && random.chance(0.2) && 'string' in table.attributes)
    row['string'] = text(random).repeat(1 + random.below(40)) + 'é'.repeat(2000)
  const resource = resourceOf(db, table)
  try {
    await resource.insert(row)
    table.rows.push(id)
    if (random.chance(0.05)) await content(resource, id, random)
  } catch {
    made.refused += 1
  }
}

const content = async (resource: Resource, id: string, random: Random): Promise<unknown> =>
  resource.setContent({
    id,
    buffer: Buffer.from(Array.from({ length: 1 + random.below(3000) }, () => random.below(256))),
    contentType: random.pick(['application/octet-stream', 'image/png', 'text/plain; charset=utf-8']),
  })

/** Some edits of each kind. */
export async function changeAtRandom(db: Database, made: RandomDatabase, random: Random, edits: number): Promise<void> {
  for (let edit = 0; edit < edits; edit += 1) {
    const table = random.pick(made.tables)
    const resource = resourceOf(db, table)
    const at = random.below(Math.max(1, table.rows.length))
    const id = table.rows[at]
    try {
      const kind = id === undefined ? 'insert' : random.pick(['insert', 'delete', 'content', 'update', 'update'])
      if (id === undefined || kind === 'insert') await insert(db, table, random, made)
      else if (kind === 'delete') {
        await resource.delete(id)
        table.rows.splice(at, 1)
      } else if (kind === 'content') await content(resource, id, random)
      else {
        const [name, make] = random.pick(table.makes)
        await resource.update(id, { [name]: make(random) })
      }
    } catch {
      made.refused += 1
    }
  }
  if (random.chance(0.4)) await evolve(db, random.pick(made.tables), random)
}

/** The schema gets an attribute more, or one less; rows of before stay as they are. */
async function evolve(db: Database, table: Table, random: Random): Promise<void> {
  const resource = resourceOf(db, table)
  const added = `added${random.below(1000)}`
  table.attributes = { ...table.attributes, [added]: 'string|optional' }
  table.makes.push([added, text])
  const [dropped] = table.makes[0] ?? []
  if (
    dropped !== undefined &&
    dropped !== 'region' &&
    dropped !== 'hidden' &&
    table.makes.length > 3 &&
    random.chance(0.5)
  ) {
    table.makes.shift()
    const { [dropped]: _, ...rest } = table.attributes
    table.attributes = rest
  }
  await resource.updateAttributes?.(table.attributes)
  await db.uploadMetadataFile?.()
}

const resourceOf = (db: Database, { name }: Table): Resource => db.resources[name] as Resource
