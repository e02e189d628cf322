import { words } from '../app/language.ts'
import { clock, exact, now } from '../format/time.ts'
import './charts.css'

export interface Stop {
  at: string
  text: string
}

const text = words({
  en: { label: (n: number) => `The next 24 hours: ${n} runs`, also: (n: number) => `+${n}` },
  de: { label: (n: number) => `Die nächsten 24 Stunden: ${n} Läufe`, also: (n: number) => `+${n}` },
})

const HOURS = 24
/** Stops closer than this share one label. */
const GROUP = 0.12
const LABEL = 16
/** Runs a day. */
const OFTEN = 4

const short = (text: string): string => (text.length > LABEL ? `${text.slice(0, LABEL - 1)}…` : text)

/** What is due in the next day, from now at the left. */
export function Lane({ stops }: { stops: readonly Stop[] }) {
  const from = now.value
  const span = HOURS * 3_600_000
  const placed = stops
    .map((stop) => ({ ...stop, x: (new Date(stop.at).getTime() - from) / span }))
    .filter(({ x }) => x >= 0 && x <= 1)
  // What comes all the time is said once below, and has no label for each time.
  const counts = new Map<string, number>()
  for (const stop of placed) counts.set(stop.text, (counts.get(stop.text) ?? 0) + 1)
  const often = [...counts].filter(([, n]) => n > OFTEN)
  const groups: { x: number; stops: Stop[] }[] = []
  for (const { x, ...stop } of placed) {
    if ((counts.get(stop.text) ?? 0) > OFTEN) continue
    const last = groups.at(-1)
    if (last !== undefined && x - last.x < GROUP) last.stops.push(stop)
    else groups.push({ x, stops: [stop] })
  }
  const first = new Date(from)
  first.setMinutes(0, 0, 0)
  const marks = Array.from({ length: 7 }, (_, at) => first.getTime() + (at * 4 + 1) * 3_600_000).filter(
    (time) => time - from > span * 0.03 && time - from < span * 0.97,
  )
  return (
    <div class="lane" role="group" aria-label={text.value.label(placed.length)}>
      <svg width="100%" height="78" aria-hidden="true">
        <line class="axis" x1="0" x2="100%" y1="56" y2="56" />
        {placed.map(({ at, text: what, x }) => (
          <line
            key={`${at} ${what}`}
            class={(counts.get(what) ?? 0) > OFTEN ? 'stop often' : 'stop'}
            x1={`${x * 100}%`}
            x2={`${x * 100}%`}
            y1="42"
            y2="56"
          />
        ))}
        {marks.map((time) => (
          <text key={time} class="mark" x={`${((time - from) / span) * 100}%`} y="73">
            {clock(time)}
          </text>
        ))}
        {groups.map(({ x, stops: here }, row) => (
          <text
            key={x}
            class={`what${x > 0.85 ? ' end' : x < 0.08 ? ' start' : ''}`}
            x={`${x * 100}%`}
            y={row % 2 === 0 ? 34 : 15}
          >
            {short(here[0]?.text ?? '')}
            {here.length > 1 ? ` ${text.value.also(here.length - 1)}` : ''}
            <title>{here.map(({ at, text: what }) => `${exact(at)} ${what}`).join('\n')}</title>
          </text>
        ))}
      </svg>
      {often.length > 0 && <p class="mute small">{often.map(([what, n]) => `${what} × ${n}`).join(' · ')}</p>}
      <ul class="sr">
        {placed.map(({ at, text: what }) => (
          <li key={`${at} ${what}`}>
            {clock(at)} {what}
          </li>
        ))}
      </ul>
    </div>
  )
}
