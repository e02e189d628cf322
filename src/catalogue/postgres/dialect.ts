/** From the statements that the stores share to those of PostgreSQL: `$1` for `?` and `:name`. */
export interface Translated {
  text: string
  /** Whose values are `$1…`; undefined where the statement has `?`. */
  names: string[] | undefined
  /** Whether it changes something. */
  writes: boolean
}

const TOKENS = /'(?:[^']|'')*'|"[^"]*"|::|\?|:([a-z]\w*)(\s+IS\s+NULL)?/gi

export function translate(sql: string): Translated {
  const names: string[] = []
  const plain = new Map<string, number>()
  let count = 0
  const text = sql.replaceAll(TOKENS, (token: string, name?: string, isNull?: string) => {
    if (token === '?') return `$${(count += 1)}`
    if (name === undefined) return token
    // Of what is only held against NULL no type is known: it comes apart.
    if (isNull !== undefined) return `$${names.push(name)}::text IS NULL`
    const known = plain.get(name) ?? names.push(name)
    plain.set(name, known)
    return `$${known}`
  })
  return { text, names: names.length > 0 ? names : undefined, writes: !/^\s*SELECT\b/i.test(sql) }
}
