import { words } from '../app/language.ts'
import { date, month } from '../format/time.ts'
import './charts.css'

export interface CalendarDay {
  /** `2026-11-21` */
  day: string
  kept: number
  gone: number
  why: string
}

const text = words({
  en: {
    day: (day: string, kept: number, gone: number, why: string) =>
      `${day}: ${kept} stay${gone > 0 ? `, ${gone} go` : ''}${why === '' ? '' : ` (${why})`}`,
    none: (day: string) => `${day}: no backup`,
    month: (name: string, kept: number, all: number) => `${name}: ${kept} of ${all} stay`,
  },
  de: {
    day: (day: string, kept: number, gone: number, why: string) =>
      `${day}: ${kept} bleiben${gone > 0 ? `, ${gone} gehen` : ''}${why === '' ? '' : ` (${why})`}`,
    none: (day: string) => `${day}: keine Sicherung`,
    month: (name: string, kept: number, all: number) => `${name}: ${kept} von ${all} bleiben`,
  },
})

const [STEP, CELL] = [13, 11]

/** Months side by side, a cell a day: filled where something stays, hollow where all goes. */
export function Calendar({ days, months = 12 }: { days: readonly CalendarDay[]; months?: number }) {
  const t = text.value
  const known = new Map(days.map((one) => [one.day, one]))
  const last = new Date(`${days.reduce((newest, { day }) => (day > newest ? day : newest), '2000-01-01')}T12:00:00Z`)
  const shown = Array.from(
    { length: months },
    (_, back) => new Date(Date.UTC(last.getUTCFullYear(), last.getUTCMonth() - back, 1, 12)),
  )
  return (
    <div class="calendar">
      {shown.map((first) => {
        const [year, at] = [first.getUTCFullYear(), first.getUTCMonth()]
        const length = new Date(Date.UTC(year, at + 1, 0)).getUTCDate()
        // Weeks begin on Monday.
        const offset = (first.getUTCDay() + 6) % 7
        const cells = Array.from({ length }, (_, n) => {
          const day = `${year}-${String(at + 1).padStart(2, '0')}-${String(n + 1).padStart(2, '0')}`
          return { day, found: known.get(day), column: (n + offset) % 7, row: Math.floor((n + offset) / 7) }
        })
        const kept = cells.reduce((sum, { found }) => sum + (found?.kept ?? 0), 0)
        const all = cells.reduce((sum, { found }) => sum + (found?.kept ?? 0) + (found?.gone ?? 0), 0)
        const name = month(first, 'UTC')
        return (
          <figure key={name}>
            <figcaption>
              {name} <span class="mute">{kept}</span>
            </figcaption>
            <svg width={7 * STEP} height={6 * STEP} role="img" aria-label={t.month(name, kept, all)}>
              {cells.map(({ day, found, column, row }) => {
                const kind = found === undefined ? 'none' : found.kept > 0 ? 'kept' : 'gone'
                const inset = kind === 'gone' ? 0.75 : 0
                return (
                  <rect
                    key={day}
                    class={kind}
                    x={column * STEP + inset}
                    y={row * STEP + inset}
                    width={CELL - 2 * inset}
                    height={CELL - 2 * inset}
                    rx={2.5}
                  >
                    <title>
                      {found === undefined
                        ? t.none(date(`${day}T12:00:00Z`, 'UTC'))
                        : t.day(date(`${day}T12:00:00Z`, 'UTC'), found.kept, found.gone, found.why)}
                    </title>
                  </rect>
                )
              })}
            </svg>
          </figure>
        )
      })}
    </div>
  )
}
