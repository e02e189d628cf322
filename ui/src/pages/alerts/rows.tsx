import { useSignal } from '@preact/signals'
import { type Answer, api, may } from '../../app/api.ts'
import { count, words } from '../../app/language.ts'
import { pathOf, to } from '../../app/router.ts'
import { Act } from '../../parts/button.tsx'
import { Menu } from '../../parts/menu.tsx'
import { type Tone, Tag } from '../../parts/state.tsx'
import { Time } from '../../parts/time.tsx'
import { tell } from '../../parts/toast.tsx'
import { problemOf } from '../../app/api.ts'
import './alerts.css'

export type Alert = Answer<'GET /api/v1/alerts'>['items'][number]

export const alertText = words({
  en: {
    kinds: {
      failure: 'Failed',
      damage: 'Damage',
      unreachable: 'Unreachable',
      config: 'Set-up',
      overdue: 'Overdue',
      proof: 'Proof old',
      space: 'Space',
      warning: 'Warnings',
    },
    acknowledge: 'Acknowledge',
    snooze: 'Snooze',
    hour: 'For an hour',
    day: 'For a day',
    week: 'For a week',
    times: (n: number) => count(n, 'time', 'times'),
    since: 'began',
    run: 'See the run',
    known: (by: string) => `acknowledged by ${by}`,
    asleep: 'snoozed until',
    ended: 'over',
  },
  de: {
    kinds: {
      failure: 'Gescheitert',
      damage: 'Schaden',
      unreachable: 'Unerreichbar',
      config: 'Einrichtung',
      overdue: 'Überfällig',
      proof: 'Nachweis alt',
      space: 'Platz',
      warning: 'Warnungen',
    },
    acknowledge: 'Zur Kenntnis',
    snooze: 'Später',
    hour: 'In einer Stunde',
    day: 'In einem Tag',
    week: 'In einer Woche',
    times: (n: number) => `${n}-mal`,
    since: 'begann',
    run: 'Zum Lauf',
    known: (by: string) => `zur Kenntnis genommen von ${by}`,
    asleep: 'ruht bis',
    ended: 'vorbei',
  },
})

const LOOK: Record<Alert['kind'], [Tone, string]> = {
  failure: ['bad', '✕'],
  damage: ['bad', '✕'],
  unreachable: ['bad', '✕'],
  config: ['bad', '✕'],
  overdue: ['warn', '◌'],
  proof: ['warn', '◌'],
  space: ['warn', '!'],
  warning: ['warn', '!'],
}

export function AlertRows({ alerts, onChange }: { alerts: Alert[]; onChange: () => void }) {
  return (
    <ul class="alerts">
      {alerts.map((alert) => (
        <AlertRow key={alert.id} alert={alert} onChange={onChange} />
      ))}
    </ul>
  )
}

function AlertRow({ alert, onChange }: { alert: Alert; onChange: () => void }) {
  const t = alertText.value
  const done = useSignal(false)
  const [tone, mark] = LOOK[alert.kind]
  const { id, job, vault, message, hint, run, openedAt, closedAt, acknowledgedBy, snoozedUntil } = alert
  const open = closedAt === undefined
  const snooze = (hours: number): void => {
    const until = new Date(Date.now() + hours * 3_600_000).toISOString()
    api
      .call('POST /api/v1/alerts/{id}/snooze', { params: { id }, body: { until } })
      .then(onChange, (thrown: unknown) => {
        const { message: why, hint: what } = problemOf(thrown)
        tell('bad', why, what)
      })
  }
  return (
    <li class={`alert${open ? '' : ' over'}`}>
      <Tag tone={open ? tone : 'mute'} mark={open ? mark : '✓'} text={t.kinds[alert.kind]} />
      <div class="say">
        <p>
          <a class="name" href={to(pathOf('jobs', job))}>
            {job}
          </a>
          {vault !== undefined && (
            <>
              {' '}
              → <a href={to(pathOf('vaults', vault))}>{vault}</a>
            </>
          )}
          <span class="message">{message}</span>
        </p>
        <p class="mute small">
          {alert.count > 1 && `${t.times(alert.count)} · `}
          {t.since} <Time at={openedAt} />
          {acknowledgedBy !== undefined && ` · ${t.known(acknowledgedBy)}`}
          {snoozedUntil !== undefined && open && (
            <>
              {' '}
              · {t.asleep} <Time at={snoozedUntil} />
            </>
          )}
          {closedAt !== undefined && (
            <>
              {' '}
              · {t.ended} <Time at={closedAt} />
            </>
          )}
          {hint !== undefined && ` · ${hint}`}
          {run !== undefined && (
            <>
              {' '}
              · <a href={to(pathOf('runs', run))}>{t.run}</a>
            </>
          )}
        </p>
      </div>
      {open && may('operate') && (
        <div class="row tight acts">
          <Menu
            kind="btn s"
            items={[
              { text: t.hour, run: () => snooze(1) },
              { text: t.day, run: () => snooze(24) },
              { text: t.week, run: () => snooze(24 * 7) },
            ]}
          >
            {t.snooze}
          </Menu>
          {acknowledgedBy === undefined && !done.value && (
            <Act
              kind="s"
              run={async () => {
                await api.call('POST /api/v1/alerts/{id}/acknowledge', { params: { id } })
                done.value = true
                onChange()
              }}
            >
              {t.acknowledge}
            </Act>
          )}
        </div>
      )}
    </li>
  )
}
