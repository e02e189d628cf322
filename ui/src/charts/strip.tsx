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
  const counts = new Map<Cell, number>()
  for (const cell of cells) counts.set(cell, (counts.get(cell) ?? 0) + 1)
  const parts = [...counts].map(([cell, n]) => `${t.days(n)} ${t.cells[cell]}`).join(', ')
  const today = Date.now()
  return (
    <svg
      class="strip"
      width={cells.length * STEP - 2}
      height={HEIGHT}
      viewBox={`0 0 ${cells.length * STEP - 2} ${HEIGHT}`}
      role="img"
      aria-label={t.all(cells.length, parts)}
    >
      {cells.map((cell, at) => {
        const low = cell === 'b' || cell === 'w' ? 6 : cell === '-' ? 14 : 0
        const inset = cell === 'm' ? 0.75 : 0
        return (
          <rect
            key={at}
            class={CLASS[cell]}
            x={at * STEP + inset}
            y={low + inset}
            width={WIDTH - 2 * inset}
            height={HEIGHT - low - 2 * inset}
            rx={2}
          >
            <title>{`${day(today - (cells.length - 1 - at) * DAY_MS)}: ${t.cells[cell]}`}</title>
          </rect>
        )
      })}
    </svg>
  )
}
