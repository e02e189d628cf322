/** The way back: by file over all backups, or by job and time. */
import { useSignal } from '@preact/signals'
import { api } from '../../app/api.ts'
import { count, words } from '../../app/language.ts'
import { useLoad, usePages } from '../../app/load.ts'
import { go, pathOf, place, setQuery, to } from '../../app/router.ts'
import { Timeline } from '../../charts/timeline.tsx'
import { moment } from '../../format/time.ts'
import { Select } from '../../parts/form.tsx'
import { Icon } from '../../parts/icon.tsx'
import { Empty } from '../../parts/notice.tsx'
import { Head, Listed, Panel } from '../../parts/page.tsx'
import { quoted } from '../../format/shell.ts'
import { Twin } from '../../parts/twin.tsx'
import { BackupTable, proven } from '../job/backup-table.tsx'
import { SearchResults } from './search.tsx'

const text = words({
  en: {
    title: 'Restore',
    sub: 'Look for a file, or choose a moment of a job.',
    find: 'A file or folder, by a part of its path',
    search: 'Search',
    job: 'Job',
    any: 'All jobs',
    moments: 'Moments',
    list: 'Backups',
    open: 'Open',
    chosen: 'Chosen',
    none: 'There is nothing to restore yet',
    noneText: 'Once a backup was made it can be opened here.',
    all: (n: number) => count(n, 'backup', 'backups'),
    clear: 'Clear the search',
  },
  de: {
    title: 'Zurückholen',
    sub: 'Eine Datei suchen oder einen Zeitpunkt eines Auftrags wählen.',
    find: 'Eine Datei oder ein Ordner, nach einem Teil des Pfads',
    search: 'Suchen',
    job: 'Auftrag',
    any: 'Alle Aufträge',
    moments: 'Zeitpunkte',
    list: 'Sicherungen',
    open: 'Öffnen',
    chosen: 'Gewählt',
    none: 'Es gibt noch nichts zurückzuholen',
    noneText: 'Sobald eine Sicherung da ist, lässt sie sich hier öffnen.',
    all: (n: number) => count(n, 'Sicherung', 'Sicherungen'),
    clear: 'Suche leeren',
  },
})

export function Page() {
  const t = text.value
  const { query } = place.value
  const job = query.get('job') ?? ''
  const q = query.get('q') ?? ''
  const path = query.get('path') ?? ''
  const typed = useSignal(q === '' ? path : q)
  const jobs = useLoad(async (signal) => api.call('GET /api/v1/jobs', { query: { limit: 500 }, signal }), [])
  const searching = q !== '' || path !== ''
  return (
    <>
      <Head title={t.title} sub={t.sub} />
      <form
        class="filters"
        role="search"
        onSubmit={(event) => {
          event.preventDefault()
          setQuery({ q: typed.value.trim(), path: undefined })
        }}
      >
        <input
          class="input grow"
          type="search"
          aria-label={t.find}
          placeholder={t.find}
          value={typed.value}
          onInput={(event) => {
            typed.value = event.currentTarget.value
            if (typed.value === '') setQuery({ q: undefined, path: undefined })
          }}
        />
        <Select
          label={t.job}
          hideLabel
          value={job}
          options={[['', t.any] as const, ...(jobs.data?.items ?? []).map(({ name }) => [name, name] as const)]}
          onChange={(name) => setQuery({ job: name })}
        />
        <button type="submit" class="btn">
          <Icon name="search" size={15} />
          {t.search}
        </button>
      </form>
      {searching ? <SearchResults key={`${q} ${path} ${job}`} q={q} path={path} job={job} /> : <Moments job={job} />}
      <Twin
        cli={
          searching
            ? `holdfast find ${quoted(q === '' ? path : q)}${job === '' ? '' : ` --job ${quoted(job)}`}`
            : `holdfast list${job === '' ? '' : ` --job ${quoted(job)}`}`
        }
        http={searching ? 'GET /api/v1/search?q=' : 'GET /api/v1/backups'}
      />
    </>
  )
}

function Moments({ job }: { job: string }) {
  const t = text.value
  const backups = usePages(
    async (cursor, signal) =>
      api.call('GET /api/v1/backups', {
        query: { limit: job === '' ? 50 : 100, ...(job !== '' && { job }), ...(cursor && { cursor }) },
        signal,
      }),
    [job],
    ['backup.'],
  )
  const chosen = useSignal<string | undefined>(undefined)
  const items = backups.items ?? []
  const picked = items.find(({ id }) => id === chosen.value)
  return (
    <div class="stack">
      {job !== '' && items.length > 1 && (
        <Panel title={t.moments} actions={<span class="soft">{t.all(items.length)}</span>} pad>
          <Timeline
            points={items.map((backup) => ({
              id: backup.id,
              at: backup.time,
              proven: proven(backup),
              broken: backup.broken !== undefined,
            }))}
            chosen={chosen.value}
            onChoose={(id) => (chosen.value = id)}
          />
          {picked !== undefined && (
            <p class="row below">
              {t.chosen} <b>{moment(picked.time)}</b>
              <button
                type="button"
                class="btn primary s"
                onClick={() => go(to(pathOf('backup', picked.id), { vault: picked.vault }))}
              >
                {t.open}
              </button>
            </p>
          )}
        </Panel>
      )}
      <Panel label={t.list}>
        <Listed
          of={backups}
          empty={
            <Empty icon="restore" title={t.none}>
              {t.noneText}
            </Empty>
          }
        >
          {(list) => <BackupTable backups={list} showJob={job === ''} />}
        </Listed>
      </Panel>
    </div>
  )
}
