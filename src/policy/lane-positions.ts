/** The order of positions of each engine: undefined where two cannot be compared. */
export function comparePositions(engine: string, a: string, b: string): number | undefined {
  if (a === b) return 0
  switch (engine) {
    case 'postgres':
      return comparePostgres(a, b)
    case 'mysql':
      return compareGtids(a, b)
    case 'sqlite':
      return compareSqlite(a, b)
    default:
      return undefined
  }
}

/** `TIMELINE-LSN`: along one lineage no timeline is left once a later one has begun. */
function comparePostgres(a: string, b: string): number | undefined {
  const [timelineA = '', lsnA = ''] = a.split('-')
  const [timelineB = '', lsnB = ''] = b.split('-')
  if (lsnA !== lsnB) return lsnA < lsnB ? -1 : 1
  return Math.sign(Number(timelineA) - Number(timelineB))
}

/** `DOMAIN-SERVER-SEQUENCE+…`: each domain has a sequence of its own. */
function compareGtids(a: string, b: string): number | undefined {
  const [left, right] = [gtidMap(a), gtidMap(b)]
  let less = false
  let more = false
  for (const domain of new Set([...left.keys(), ...right.keys()])) {
    const difference = (left.get(domain) ?? 0n) - (right.get(domain) ?? 0n)
    if (difference < 0n) less = true
    if (difference > 0n) more = true
  }
  if (less && more) return undefined
  return less ? -1 : more ? 1 : 0
}

/** Domain → sequence. */
export function gtidMap(position: string): Map<string, bigint> {
  const map = new Map<string, bigint>()
  for (const one of position.split('+')) {
    const [domain, , sequence] = one.split('-')
    if (domain !== undefined && sequence !== undefined && /^\d+$/.test(sequence)) map.set(domain, BigInt(sequence))
  }
  return map
}

/** `GENERATION-TRANSACTION` */
function compareSqlite(a: string, b: string): number | undefined {
  const [generationA, numberA] = a.split('-')
  const [generationB, numberB] = b.split('-')
  return generationA === generationB ? Math.sign(Number(numberA) - Number(numberB)) : undefined
}
