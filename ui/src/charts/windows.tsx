import { count, words } from '../app/language.ts'
import { day, exact } from '../format/time.ts'
import './charts.css'

interface Span {
  from: string
  to: string
}

const text = words({
  en: {
    label: (n: number, from: string, to: string) => `${count(n, 'window', 'windows')} from ${from} to ${to}`,
    window: 'every moment can be restored',
    gap: 'gap: no moment can be restored',
  },
  de: {
    label: (n: number, from: string, to: string) => `${count(n, 'Zeitraum', 'Zeiträume')} von ${from} bis ${to}`,
    window: 'jeder Augenblick lässt sich zurückholen',
    gap: 'Lücke: kein Augenblick lässt sich zurückholen',
  },
})

/** Of a log: what can be reached, and what took data away. A list beside it says the same in words. */
export function Windows({
  windows,
  gaps,
  events,
}: {
  windows: readonly Span[]
  gaps: readonly Span[]
  events: readonly { id: string; time: string; what: string }[]
}) {
  const t = text.value
  const [first] = windows
  const last = windows.at(-1)
  if (first === undefined || last === undefined) return null
  const [from, until] = [new Date(first.from).getTime(), new Date(last.to).getTime()]
  const x = (time: string): number => 1 + ((new Date(time).getTime() - from) / Math.max(1, until - from)) * 98
  const line = (kind: string, { from: begin, to: end }: Span, title: string) => (
    <line key={begin} class={kind} x1={`${x(begin)}%`} x2={`${x(end)}%`} y1="22" y2="22">
      <title>{`${exact(begin)} – ${exact(end)}: ${title}`}</title>
    </line>
  )
  return (
    <div class="windows">
      <svg width="100%" height="48" role="img" aria-label={t.label(windows.length, exact(first.from), exact(last.to))}>
        {gaps.map((gap) => line('gap', gap, t.gap))}
        {windows.map((one) => line('window', one, t.window))}
        {events.map(({ id, time, what }) => (
          <rect
            key={id}
            class="event"
            x={`${x(time)}%`}
            y="10"
            width="3"
            height="24"
            rx="1"
            transform="translate(-1 0)"
          >
            <title>{`${exact(time)}: ${what}`}</title>
          </rect>
        ))}
        <text x="1%" y="46" class="start">
          {day(first.from)}
        </text>
        <text x="99%" y="46" class="end">
          {day(until)}
        </text>
      </svg>
    </div>
  )
}
