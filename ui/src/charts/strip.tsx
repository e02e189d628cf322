import { useSignal } from '@preact/signals'
import { count, words } from '../app/language.ts'
import { day } from '../format/time.ts'
import './charts.css'

export type Cell = 'o' | 'w' | 'b' | 'r' | 'm' | '-'

const text = words({
  en: {
    cells: {
      o: 'good',
      w: 'with warnings',
      b: 'failed',
      r: 'running',
      m: 'did not run',
      '-': 'nothing due',
    } satisfies Record<Cell, string>,
    days: (n: number) => count(n, 'day', 'days'),
    all: (n: number, parts: string) => `Last ${n} days: ${parts}`,
  },
  de: {
    cells: {
      o: 'gut',
      w: 'mit Warnungen',
      b: 'gescheitert',
      r: 'läuft',
      m: 'nicht gelaufen',
      '-': 'nichts fällig',
    },
    days: (n: number) => count(n, 'Tag', 'Tage'),
    all: (n: number, parts: string) => `Letzte ${n} Tage: ${parts}`,
  },
})

const DAY_MS = 86_400_000
const [STEP, WIDTH, HEIGHT] = [7, 5, 20]
const CLASS: Record<Cell, string> = { o: 'ok', w: 'warn', b: 'bad', r: 'run', m: 'missed', '-': 'idle' }

/** A cell a day, today at the right. Failures are shorter too, missed ones hollow: not by colour alone. */
export function Strip({ cells }: { cells: readonly Cell[] }) {
  const t = text.value
  const over = useSignal<number | undefined>(undefined)
  const counts = new Map<Cell, number>()
  for (const cell of cells) counts.set(cell, (counts.get(cell) ?? 0) + 1)
  const parts = [...counts].map(([cell, n]) => `${t.days(n)} ${t.cells[cell]}`).join(', ')
  const width = cells.length * STEP - 2
  return (
    <svg
      class="strip"
      width={width}
      height={HEIGHT}
      viewBox={`0 0 ${width} ${HEIGHT}`}
      role="img"
      aria-label={t.all(cells.length, parts)}
      onPointerMove={(event) => {
        over.value = Math.min(cells.length - 1, Math.max(0, Math.floor(event.offsetX / STEP)))
      }}
    >
      {over.value !== undefined && (
        <title>{`${day(Date.now() - (cells.length - 1 - over.value) * DAY_MS)}: ${t.cells[cells[over.value] ?? '-']}`}</title>
      )}
      {[...counts.keys()].map((cell) => (
        <path key={cell} class={CLASS[cell]} d={cells.map((one, at) => (one === cell ? bar(cell, at) : '')).join('')} />
      ))}
    </svg>
  )
}

/** All days of a kind are one path: a page of jobs has thousands of days. */
function bar(cell: Cell, at: number): string {
  const low = cell === 'b' || cell === 'w' ? 6 : cell === '-' ? 14 : 0
  const inset = cell === 'm' ? 0.75 : 0
  const [x, y] = [at * STEP + inset, low + inset]
  const [width, height, r] = [WIDTH - 2 * inset, HEIGHT - low - 2 * inset, 1.8]
  const [across, down] = [width - 2 * r, height - 2 * r]
  return `M${x + r} ${y}h${across}q${r} 0 ${r} ${r}v${down}q0 ${r} ${-r} ${r}h${-across}q${-r} 0 ${-r} ${-r}v${-down}q0 ${-r} ${r} ${-r}z`
}
