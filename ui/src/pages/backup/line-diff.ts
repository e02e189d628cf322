/** Which lines two texts share: the shortest way from one to the other, as Myers finds it, within bounds. */

export interface DiffLine {
  kind: 'same' | 'added' | 'removed'
  text: string
}

/** Beyond so many changed lines the way is not looked for: the middle is told as replaced. */
const MOST_STEPS = 500

export function lineDiff(before: string, after: string): DiffLine[] {
  const [a, b] = [linesOf(before), linesOf(after)]
  let start = 0
  while (start < a.length && start < b.length && a[start] === b[start]) start += 1
  let end = 0
  while (end < a.length - start && end < b.length - start && a.at(-1 - end) === b.at(-1 - end)) end += 1
  return [
    ...told('same', a.slice(0, start)),
    ...middle(a.slice(start, a.length - end), b.slice(start, b.length - end)),
    ...told('same', end === 0 ? [] : a.slice(-end)),
  ]
}

/** A last line without an end is a line; the end of the last is not one more. */
function linesOf(text: string): string[] {
  if (text === '') return []
  const lines = text.split('\n')
  if (lines.at(-1) === '') lines.pop()
  return lines
}

const told = (kind: DiffLine['kind'], lines: readonly string[]): DiffLine[] => lines.map((text) => ({ kind, text }))

function middle(a: readonly string[], b: readonly string[]): DiffLine[] {
  const way = a.length === 0 || b.length === 0 ? undefined : reached(a, b)
  if (way === undefined) return [...told('removed', a), ...told('added', b)]
  const back: DiffLine[] = []
  let [x, y] = [a.length, b.length]
  for (let step = way.length - 1; step >= 0; step -= 1) {
    const at = way[step] ?? new Map<number, number>()
    const k = x - y
    const down = step > 0 && (k === -step || (k !== step && far(at, k - 1) < far(at, k + 1)))
    const from = down ? k + 1 : k - 1
    const fromX = step === 0 ? 0 : far(at, from)
    const fromY = step === 0 ? 0 : fromX - from
    while (x > fromX && y > fromY && a[x - 1] === b[y - 1]) {
      x -= 1
      y -= 1
      back.push({ kind: 'same', text: a[x] ?? '' })
    }
    if (step === 0) break
    if (down) back.push({ kind: 'added', text: b[fromY] ?? '' })
    else back.push({ kind: 'removed', text: a[fromX] ?? '' })
    x = fromX
    y = fromY
  }
  return back.toReversed()
}

const far = (at: ReadonlyMap<number, number>, k: number): number => at.get(k) ?? -1

/** How far each diagonal came before each step; undefined when it takes too many. */
function reached(a: readonly string[], b: readonly string[]): Map<number, number>[] | undefined {
  const steps: Map<number, number>[] = []
  const now = new Map<number, number>([[1, 0]])
  for (let step = 0; step <= MOST_STEPS; step += 1) {
    steps.push(new Map(now))
    for (let k = -step; k <= step; k += 2) {
      const down = k === -step || (k !== step && far(now, k - 1) < far(now, k + 1))
      let x = down ? far(now, k + 1) : far(now, k - 1) + 1
      let y = x - k
      while (x < a.length && y < b.length && a[x] === b[y]) {
        x += 1
        y += 1
      }
      now.set(k, x)
      if (x >= a.length && y >= b.length) return steps
    }
  }
  return undefined
}

/** Runs of lines: what changed with a few lines around it, and how many lie between. */
export function hunks(lines: readonly DiffLine[], around = 3): (DiffLine[] | number)[] {
  const shown = lines.map(() => false)
  lines.forEach(({ kind }, at) => {
    if (kind !== 'same') shown.fill(true, Math.max(0, at - around), at + around + 1)
  })
  const found: (DiffLine[] | number)[] = []
  lines.forEach((line, at) => {
    const last = found.at(-1)
    if (shown[at] === true) {
      if (Array.isArray(last)) last.push(line)
      else found.push([line])
    } else if (typeof last === 'number') found[found.length - 1] = last + 1
    else found.push(1)
  })
  return found
}
