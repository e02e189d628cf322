/** Moments of a database's log: which can be restored, what took data away, and the way to just before it. */
import { useSignal } from '@preact/signals'
import { type Answer, api, may } from '../../app/api.ts'
import { count, number, words } from '../../app/language.ts'
import { useLoad } from '../../app/load.ts'
import { Windows } from '../../charts/windows.tsx'
import { duration, second } from '../../format/time.ts'
import { Text } from '../../parts/form.tsx'
import { Empty } from '../../parts/notice.tsx'
import { Panel, Shown } from '../../parts/page.tsx'
import { Moment } from '../../parts/time.tsx'
import { RestoreForm } from '../backup/restore-dialog.tsx'

const text = words({
  en: {
    title: (vault: string) => `Moments in ${vault}`,
    none: 'No log is followed',
    noneText:
      'Only whole backups can be restored. With schedule: continuous the log of the database is followed all the time.',
    every: 'Every moment of these times can be restored, to the second.',
    behind: (text: string) => `stored up to ${text} ago`,
    gaps: (n: number) => count(n, 'gap', 'gaps'),
    at: 'Restore to a moment',
    atHint: 'On the clock of this browser.',
    open: 'Restore…',
    before: 'The moment before…',
    columns: { time: 'Time', what: 'What took data away', rows: 'Rows' },
    kinds: { drop: 'DROP', truncate: 'TRUNCATE', delete: 'DELETE' },
    calm: 'Nothing was dropped, truncated or deleted in large numbers.',
    toMoment: (at: string) => `As it was at ${at}`,
    toBefore: (what: string) => `As it was before ${what}`,
  },
  de: {
    title: (vault: string) => `Augenblicke in ${vault}`,
    none: 'Keinem Protokoll wird gefolgt',
    noneText:
      'Nur ganze Sicherungen lassen sich zurückholen. Mit schedule: continuous wird dem Protokoll der Datenbank ständig gefolgt.',
    every: 'Jeder Augenblick dieser Zeiten lässt sich zurückholen, auf die Sekunde.',
    behind: (text: string) => `gespeichert bis vor ${text}`,
    gaps: (n: number) => count(n, 'Lücke', 'Lücken'),
    at: 'Auf einen Augenblick zurück',
    atHint: 'Nach der Uhr dieses Browsers.',
    open: 'Zurückholen…',
    before: 'Der Augenblick davor…',
    columns: { time: 'Zeit', what: 'Was Daten nahm', rows: 'Zeilen' },
    kinds: { drop: 'DROP', truncate: 'TRUNCATE', delete: 'DELETE' },
    calm: 'Nichts wurde in großer Zahl gelöscht, geleert oder entfernt.',
    toMoment: (at: string) => `Wie es war: ${at}`,
    toBefore: (what: string) => `Wie es war vor ${what}`,
  },
})

type VaultLog = Answer<'GET /api/v1/jobs/{name}/timeline'>['vaults'][number]
type Wanted = { at: string } | { before: string; what: string }

/** Sources that have a log at all. */
export const HAS_LOG = ['postgres', 'mysql', 'mongodb', 'sqlite']

export function Points({ job }: { job: string }) {
  const timeline = useLoad(
    async (signal) => api.call('GET /api/v1/jobs/{name}/timeline', { params: { name: job }, signal }),
    [job],
    ['backup.'],
  )
  return (
    <Shown of={timeline} lines={6}>
      {({ vaults }) => {
        const followed = vaults.filter(({ engine, windows }) => engine !== undefined && windows.length > 0)
        return followed.length === 0 ? (
          <Panel label={text.value.none}>
            <Empty icon="backups" title={text.value.none}>
              {text.value.noneText}
            </Empty>
          </Panel>
        ) : (
          <div class="stack">
            {followed.map((one) => (
              <LogOf key={one.vault} job={job} log={one} />
            ))}
          </div>
        )
      }}
    </Shown>
  )
}

function LogOf({ job, log }: { job: string; log: VaultLog }) {
  const t = text.value
  const { vault, engine = '', windows, gaps, events, lagSeconds } = log
  const at = useSignal(localOf(windows.at(-1)?.to ?? new Date().toISOString()))
  const wanted = useSignal<Wanted | undefined>(undefined)
  const time = new Date(at.value)
  return (
    <Panel
      title={t.title(vault)}
      actions={
        <span class="soft">
          {[
            ...(gaps.length > 0 ? [t.gaps(gaps.length)] : []),
            ...(lagSeconds === undefined ? [] : [t.behind(duration(lagSeconds * 1000))]),
          ].join(' · ')}
        </span>
      }
    >
      <div class="pad stack s">
        <p class="soft">{t.every}</p>
        <Windows windows={windows} gaps={gaps} events={events} />
        <ul class="small">
          {windows.map(({ from, to }) => (
            <li key={from}>
              <Moment at={from} /> – <Moment at={to} />
            </li>
          ))}
        </ul>
        {may('restore') && (
          <form
            class="row end"
            onSubmit={(event) => {
              event.preventDefault()
              if (!Number.isNaN(time.getTime())) wanted.value = { at: time.toISOString() }
            }}
          >
            <Text
              label={t.at}
              hint={t.atHint}
              value={at.value}
              onInput={(typed) => (at.value = typed)}
              placeholder="2026-01-31 18:05:00"
              mono
            />
            <button type="submit" class="btn" disabled={Number.isNaN(time.getTime())}>
              {t.open}
            </button>
          </form>
        )}
      </div>
      {events.length === 0 ? (
        <p class="pad soft">{t.calm}</p>
      ) : (
        <div class="scroll">
          <table>
            <thead>
              <tr>
                <th>{t.columns.time}</th>
                <th>{t.columns.what}</th>
                <th class="num">{t.columns.rows}</th>
                <th />
              </tr>
            </thead>
            <tbody>
              {events.map(({ id, kind, what, rows, time: when, restorable }) => (
                <tr key={id}>
                  <td>
                    <Moment at={when} />
                  </td>
                  <td>
                    <b>{t.kinds[kind]}</b> <code>{what}</code>
                  </td>
                  <td class="num">{rows === undefined ? '–' : number(rows)}</td>
                  <td class="num">
                    {restorable && may('restore') && (
                      <button type="button" class="btn s" onClick={() => (wanted.value = { before: id, what })}>
                        {t.before}
                      </button>
                    )}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {wanted.value !== undefined && (
        <RestoreForm
          title={'at' in wanted.value ? t.toMoment(second(wanted.value.at)) : t.toBefore(wanted.value.what)}
          source={engine}
          places={engine === 'postgres' ? ['folder'] : ['database']}
          wanted={{ job, vault, paths: [], ...pointOf(wanted.value) }}
          onClose={() => (wanted.value = undefined)}
        />
      )}
    </Panel>
  )
}

const pointOf = (wanted: Wanted): { at: string } | { before: string } =>
  'at' in wanted ? { at: wanted.at } : { before: wanted.before }

/** `2026-01-31 18:05:07`, on the clock of who looks. */
function localOf(time: string): string {
  const at = new Date(time)
  const two = (n: number): string => String(n).padStart(2, '0')
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`
}
