import { count, words } from '../app/language.ts'
import { day, exact } from '../format/time.ts'
import './charts.css'

export interface Point {
  id: string
  at: string
  proven: boolean
  broken: boolean
}

const text = words({
  en: {
    label: (n: number, from: string, to: string) => `${count(n, 'backup', 'backups')} from ${from} to ${to}`,
    gap: (days: number) => `nothing for ${count(days, 'day', 'days')}`,
    proven: 'proven to restore',
    stored: 'stored',
    broken: 'damaged',
    gapName: 'longer without one',
  },
  de: {
    label: (n: number, from: string, to: string) => `${count(n, 'Sicherung', 'Sicherungen')} von ${from} bis ${to}`,
    gap: (days: number) => `${count(days, 'Tag', 'Tage')} lang nichts`,
    proven: 'nachgewiesen',
    stored: 'gespeichert',
    broken: 'beschädigt',
    gapName: 'länger ohne eine',
  },
})

const DAY_MS = 86_400_000
/** A pause this much longer than the usual one is a gap. */
const GAP = 2.5

/** When there is something to go back to; taller and filled: proven. A list beside it says the same in words. */
export function Timeline({
  points,
  chosen,
  onChoose,
}: {
  points: readonly Point[]
  chosen: string | undefined
  onChoose: (id: string) => void
}) {
  const t = text.value
  const sorted = points.toSorted((a, b) => a.at.localeCompare(b.at))
  const [first] = sorted
  const last = sorted.at(-1)
  if (first === undefined || last === undefined) return null
  const from = new Date(first.at).getTime()
  const until = Math.max(Date.now(), new Date(last.at).getTime())
  const x = (time: number): number => 1 + ((time - from) / Math.max(1, until - from)) * 98
  const times = sorted.map(({ at }) => new Date(at).getTime())
  const pauses = times.slice(1).map((time, at) => time - (times[at] ?? time))
  const usual = pauses.toSorted((a, b) => a - b)[Math.floor(pauses.length / 2)] ?? DAY_MS
  const gaps = [...times.slice(1), until].flatMap((time, at) => {
    const before = times[at] ?? time
    return time - before > usual * GAP && time - before > DAY_MS ? [{ from: before, until: time }] : []
  })
  return (
    <div class="timeline">
      <svg width="100%" height="56" role="img" aria-label={t.label(sorted.length, exact(first.at), exact(last.at))}>
        <line class="base" x1="1%" x2="99%" y1="34" y2="34" />
        {gaps.map((gap) => (
          <line key={gap.from} class="gap" x1={`${x(gap.from)}%`} x2={`${x(gap.until)}%`} y1="34" y2="34">
            <title>{t.gap(Math.round((gap.until - gap.from) / DAY_MS))}</title>
          </line>
        ))}
        {sorted.map(({ id, at, proven, broken }) => {
          const height = id === chosen ? 28 : proven ? 20 : 12
          return (
            <g
              key={id}
              class={`point${broken ? ' broken' : proven ? ' proven' : ''}${id === chosen ? ' chosen' : ''}`}
              onClick={() => onChoose(id)}
            >
              <rect
                x={`${x(new Date(at).getTime())}%`}
                y={34 - height}
                width="4"
                height={height}
                rx="2"
                transform="translate(-2 0)"
              >
                <title>{`${exact(at)}: ${broken ? t.broken : proven ? t.proven : t.stored}`}</title>
              </rect>
            </g>
          )
        })}
        <text x="1%" y="52" class="start">
          {day(first.at)}
        </text>
        <text x="99%" y="52" class="end">
          {day(until)}
        </text>
      </svg>
      <p class="legend">
        <span>
          <i class="tall" />
          {t.proven}
        </span>
        <span>
          <i class="low" />
          {t.stored}
        </span>
        {gaps.length > 0 && (
          <span>
            <i class="hole" />
            {t.gapName}
          </span>
        )}
      </p>
    </div>
  )
}
