/** Where in a tree of settings something stands: `['vaults', 'offsite', 'storage']`. */
export type KeyPath = readonly (string | number)[]

/** As people write it: `vaults.offsite.storage`, `jobs[0].name`. */
export function showPath(path: KeyPath): string {
  return path
    .map((part, index) => (typeof part === 'number' ? `[${part}]` : `${index === 0 ? '' : '.'}${showName(part)}`))
    .join('')
}

const showName = (name: string): string => (/^[\w$-]+$/.test(name) ? name : JSON.stringify(name))

/** As a key of a map. */
export const pathKey = (path: KeyPath): string => JSON.stringify(path)

/** The value at a path, or undefined. */
export function valueAt(tree: unknown, path: KeyPath): unknown {
  let value = tree
  for (const part of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined
    value = (value as Record<string | number, unknown>)[part]
  }
  return value
}

export type Tree = Record<string, unknown>

export function isTree(value: unknown): value is Tree {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

/** The known word that is fewest edits away; upper and lower case count half. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  let best: string | undefined
  let least = Infinity
  for (const candidate of known) {
    const edits = distance(word, candidate)
    if (edits < least) {
      best = candidate
      least = edits
    }
  }
  return best
}

/** Edits between two words: insert, delete, replace, and swap of neighbours. */
function distance(a: string, b: string): number {
  let older: number[] = []
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i]
    for (let j = 1; j <= b.length; j += 1) {
      const cost = difference(a[i - 1] ?? '', b[j - 1] ?? '')
      let edits = Math.min((previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (previous[j - 1] ?? 0) + cost)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        edits = Math.min(edits, (older[j - 2] ?? 0) + 1)
      }
      row.push(edits)
    }
    older = previous
    previous = row
  }
  return previous[b.length] ?? 0
}

const difference = (a: string, b: string): number => (a === b ? 0 : a.toLowerCase() === b.toLowerCase() ? 0.5 : 1)
