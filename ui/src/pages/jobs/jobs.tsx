import { useSignal } from '@preact/signals'
import { type Answer, api, may, problemOf } from '../../app/api.ts'
import { number, words } from '../../app/language.ts'
import { useLoad, usePages } from '../../app/load.ts'
import { go, pathOf, place, setQuery, to } from '../../app/router.ts'
import { size } from '../../format/size.ts'
import { Select } from '../../parts/form.tsx'
import { Icon } from '../../parts/icon.tsx'
import { Menu, type MenuItem } from '../../parts/menu.tsx'
import { Empty } from '../../parts/notice.tsx'
import { Head, Listed, Panel } from '../../parts/page.tsx'
import { State, Tag } from '../../parts/state.tsx'
import { Time } from '../../parts/time.tsx'
import { tell } from '../../parts/toast.tsx'
import { Twin } from '../../parts/twin.tsx'
import { common } from '../../parts/words.ts'
import { stateOf } from '../overview/job-table.tsx'
import { PauseDialog } from './pause.tsx'
import { newKey } from '../../app/new-key.ts'

const text = words({
  en: {
    title: 'Backups',
    new: 'New backup',
    logs: 'All runs',
    find: 'Filter by name',
    state: 'State',
    any: 'Any state',
    none: 'No backups are set up yet',
    noneText: 'Say what to keep, where, and how often.',
    noMatch: 'Nothing fits this filter',
    managed: 'file',
    managedHint: 'From the configuration file: change it there.',
    run: 'Run now',
    pause: 'Pause…',
    resume: 'Resume',
    view: 'View',
    edit: 'Edit',
    started: (job: string) => `${job} is queued`,
    figures: {
      jobs: 'jobs',
      active: (n: number) => `${number(n)} active`,
      backups: 'backups',
      stored: 'stored',
      of: (text: string) => `of ${text} of content`,
      good: 'good in 30 days',
      failed: (n: number) => `${number(n)} failed`,
    },
    columns: {
      job: 'Job',
      state: 'State',
      what: 'What',
      to: 'Where',
      when: 'When',
      last: 'Last good',
      count: 'Backups',
    },
    byHand: 'by hand',
  },
  de: {
    title: 'Sicherungen',
    new: 'Neue Sicherung',
    logs: 'Alle Läufe',
    find: 'Nach Namen filtern',
    state: 'Zustand',
    any: 'Jeder Zustand',
    none: 'Noch ist keine Sicherung eingerichtet',
    noneText: 'Sagen Sie, was wohin und wie oft gesichert werden soll.',
    noMatch: 'Nichts passt zu diesem Filter',
    managed: 'Datei',
    managedHint: 'Aus der Konfigurationsdatei: dort zu ändern.',
    run: 'Jetzt sichern',
    pause: 'Pausieren…',
    resume: 'Fortsetzen',
    view: 'Ansehen',
    edit: 'Bearbeiten',
    started: (job: string) => `${job} ist eingereiht`,
    figures: {
      jobs: 'Aufträge',
      active: (n: number) => `${number(n)} aktiv`,
      backups: 'Sicherungen',
      stored: 'gespeichert',
      of: (text: string) => `von ${text} Inhalt`,
      good: 'gut in 30 Tagen',
      failed: (n: number) => `${number(n)} gescheitert`,
    },
    columns: {
      job: 'Auftrag',
      state: 'Zustand',
      what: 'Was',
      to: 'Wohin',
      when: 'Wann',
      last: 'Zuletzt gut',
      count: 'Anzahl',
    },
    byHand: 'von Hand',
  },
})

export type JobShort = Answer<'GET /api/v1/jobs'>['items'][number]
type Filter = JobShort['state']

const FILTERS: Filter[] = ['ok', 'warning', 'bad', 'unknown']

export function Page() {
  const t = text.value
  const { query } = place.value
  const q = query.get('q') ?? ''
  const state = FILTERS.find((one) => one === query.get('state'))
  const pausing = useSignal<string | undefined>(undefined)
  const stats = useLoad(async (signal) => api.call('GET /api/v1/stats', { signal }), [], ['run.finished', 'job.'])
  const jobs = usePages(
    async (cursor, signal) =>
      api.call('GET /api/v1/jobs', {
        query: { limit: 50, ...(cursor && { cursor }), ...(q !== '' && { q }), ...(state && { state }) },
        signal,
      }),
    [q, state],
    ['job.', 'run.created', 'run.finished'],
  )
  const create = may('admin') && (
    <a class="btn primary" href={to('/backups/new')}>
      <Icon name="plus" size={15} />
      {t.new}
    </a>
  )
  return (
    <>
      <Head
        title={t.title}
        actions={
          <>
            <a class="btn" href={to('/backups/logs')}>
              {t.logs}
            </a>
            {create}
          </>
        }
      />
      {stats.data !== undefined && stats.data.jobs > 0 && <Figures stats={stats.data} />}
      <div class="filters">
        <input
          class="input"
          type="search"
          aria-label={t.find}
          placeholder={t.find}
          value={q}
          onInput={(event) => setQuery({ q: event.currentTarget.value })}
        />
        <Select
          label={t.state}
          hideLabel
          value={state ?? 'any'}
          options={[['any', t.any], ...FILTERS.map((one) => [one, common.value.states[one]] as const)]}
          onChange={(one) => setQuery({ state: one === 'any' ? undefined : one })}
        />
      </div>
      <Panel label={t.title}>
        <Listed
          of={jobs}
          empty={
            q === '' && state === undefined ? (
              <Empty icon="backups" title={t.none} action={create}>
                {t.noneText}
              </Empty>
            ) : (
              <Empty icon="search" title={t.noMatch} />
            )
          }
        >
          {(items) => (
            <div class="scroll">
              <table>
                <thead>
                  <tr>
                    <th>{t.columns.job}</th>
                    <th>{t.columns.state}</th>
                    <th class="hide-s">{t.columns.what}</th>
                    <th class="hide-s">{t.columns.to}</th>
                    <th class="hide-s">{t.columns.when}</th>
                    <th class="hide-s">{t.columns.last}</th>
                    <th class="num hide-s">{t.columns.count}</th>
                    <th>
                      <span class="sr">{common.value.actions}</span>
                    </th>
                  </tr>
                </thead>
                <tbody>
                  {items.map((job) => (
                    <Row
                      key={job.name}
                      job={job}
                      onPause={() => (pausing.value = job.name)}
                      reload={() => jobs.reload()}
                    />
                  ))}
                </tbody>
              </table>
            </div>
          )}
        </Listed>
      </Panel>
      {pausing.value !== undefined && (
        <PauseDialog
          job={pausing.value}
          onClose={() => (pausing.value = undefined)}
          onDone={() => {
            pausing.value = undefined
            jobs.reload()
          }}
        />
      )}
      <Twin cli="holdfast job list" http="GET /api/v1/jobs" />
    </>
  )
}

function Figures({ stats }: { stats: Answer<'GET /api/v1/stats'> }) {
  const t = text.value.figures
  const { runs30d } = stats
  return (
    <section class="panel spaced">
      <div class="figs">
        <div>
          <b>{number(stats.jobs)}</b>
          <small>
            {t.jobs} · {t.active(stats.enabledJobs)}
          </small>
        </div>
        <div>
          <b>{number(stats.backups)}</b>
          <small>{t.backups}</small>
        </div>
        <div>
          <b>{size(stats.storedBytes)}</b>
          <small>
            {t.stored}, {t.of(size(stats.sourceBytes))}
          </small>
        </div>
        <a href={to('/backups/logs', runs30d.failed > 0 ? { status: 'failed' } : {})}>
          <b class={runs30d.failed > 0 ? 'bad' : ''}>
            {runs30d.total === 0 ? '–' : `${Math.floor((runs30d.good / runs30d.total) * 100)} %`}
          </b>
          <small>
            {t.good} · {t.failed(runs30d.failed)}
          </small>
        </a>
      </div>
    </section>
  )
}

/** Starts the job, or leads to the run that is in the way. */
export async function runNow(job: string): Promise<void> {
  try {
    const { data } = await api.call('POST /api/v1/jobs/{name}/runs', {
      params: { name: job },
      body: { kind: 'backup' },
      idempotencyKey: newKey(),
    })
    go(to(pathOf('runs', data.id)))
  } catch (thrown) {
    const error = problemOf(thrown)
    if (error.run !== undefined) go(to(pathOf('runs', error.run)))
    else tell('bad', error.message, error.hint)
  }
}

export async function resume(job: string, done: () => void): Promise<void> {
  try {
    await api.call('POST /api/v1/jobs/{name}/resume', { params: { name: job } })
    done()
  } catch (thrown) {
    const error = problemOf(thrown)
    tell('bad', error.message, error.hint)
  }
}

function Row({ job, onPause, reload }: { job: JobShort; onPause: () => void; reload: () => void }) {
  const t = text.value
  const { name, source, vaults, schedule, paused, managed } = job
  const items: MenuItem[] = [{ text: t.view, icon: 'right', run: () => go(to(pathOf('jobs', name))) }]
  if (may('operate')) {
    if (paused === undefined) items.push({ text: t.pause, icon: 'pause', run: onPause })
    else items.push({ text: t.resume, icon: 'play', run: () => void resume(name, reload) })
  }
  if (may('admin') && !managed)
    items.push({ text: t.edit, icon: 'edit', run: () => go(to(`${pathOf('jobs', name)}/edit`)) })
  return (
    <tr>
      <td>
        <a class="name" href={to(pathOf('jobs', name))}>
          {name}
        </a>{' '}
        {managed && <Tag text={t.managed} title={t.managedHint} />}
        {job.description !== undefined && <small>{job.description}</small>}
      </td>
      <td title={job.why ?? paused?.reason}>
        <State of={stateOf(job)} />
      </td>
      <td class="hide-s break">
        {common.value.sources[source.type] ?? source.type}
        <small class="break">{source.name}</small>
      </td>
      <td class="hide-s">
        {vaults.map((vault, at) => (
          <span key={vault}>
            {at > 0 && ', '}
            <a href={to(pathOf('vaults', vault))}>{vault}</a>
          </span>
        ))}
      </td>
      <td class="hide-s">
        {schedule === undefined ? <span class="mute">{t.byHand}</span> : schedule.text}
        {schedule !== undefined && <small>{schedule.timezone}</small>}
      </td>
      <td class="hide-s">
        {job.lastGood === undefined ? (
          <span class="mute">{common.value.never}</span>
        ) : (
          <Time at={job.lastGood.at} zone={schedule?.timezone} />
        )}
      </td>
      <td class="num hide-s">{number(job.backups)}</td>
      <td class="acts">
        {may('operate') && job.running === undefined && (
          <button type="button" class="btn s" onClick={() => void runNow(name)}>
            {t.run}
          </button>
        )}{' '}
        <Menu items={items} label={`${common.value.actions}: ${name}`} />
      </td>
    </tr>
  )
}
