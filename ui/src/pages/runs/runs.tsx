import { api } from '../../app/api.ts'
import { words } from '../../app/language.ts'
import { usePages } from '../../app/load.ts'
import { place, setQuery } from '../../app/router.ts'
import { Select } from '../../parts/form.tsx'
import { Empty } from '../../parts/notice.tsx'
import { Head, Listed, Panel } from '../../parts/page.tsx'
import type { StateName } from '../../parts/state.tsx'
import { Twin } from '../../parts/twin.tsx'
import { common } from '../../parts/words.ts'
import { RunTable } from './run-table.tsx'

const text = words({
  en: {
    title: 'Runs',
    sub: 'Every backup, restore, proof and clean-up, newest first.',
    job: 'Job',
    status: 'Status',
    anyStatus: 'Any status',
    kind: 'Kind',
    anyKind: 'Any kind',
    none: 'No run fits',
    noneText: 'Runs appear here when a job runs, by its schedule or by hand.',
  },
  de: {
    title: 'Läufe',
    sub: 'Jede Sicherung, Rückholung, jeder Nachweis und jedes Aufräumen; das Neueste zuerst.',
    job: 'Auftrag',
    status: 'Status',
    anyStatus: 'Jeder Status',
    kind: 'Art',
    anyKind: 'Jede Art',
    none: 'Kein Lauf passt',
    noneText: 'Läufe erscheinen hier, wenn ein Auftrag läuft, nach Plan oder von Hand.',
  },
})

const STATUSES: StateName[] = [
  'running',
  'queued',
  'success',
  'warning',
  'failed',
  'interrupted',
  'cancelled',
  'skipped',
]
const KINDS = ['backup', 'restore', 'verify', 'prune', 'check', 'copy'] as const

export function Page() {
  const t = text.value
  const { query } = place.value
  const [job, status] = [query.get('job') ?? '', query.get('status') ?? '']
  const kind = KINDS.find((one) => one === query.get('kind'))
  const runs = usePages(
    async (cursor, signal) =>
      api.call('GET /api/v1/runs', {
        query: {
          limit: 50,
          ...(cursor && { cursor }),
          ...(job !== '' && { job }),
          ...(status !== '' && { status }),
          ...(kind && { kind }),
        },
        signal,
      }),
    [job, status, kind],
    ['run.created', 'run.finished', 'run.stage'],
  )
  const filter = [job && `job=${encodeURIComponent(job)}`, status && `status=${status}`, kind && `kind=${kind}`]
    .filter(Boolean)
    .join('&')
  return (
    <>
      <Head title={t.title} sub={t.sub} />
      <div class="filters">
        <input
          class="input"
          type="search"
          aria-label={t.job}
          placeholder={t.job}
          value={job}
          onChange={(event) => setQuery({ job: event.currentTarget.value.trim() })}
        />
        <Select
          label={t.status}
          hideLabel
          value={status}
          options={[['', t.anyStatus], ...STATUSES.map((one) => [one as string, common.value.states[one]] as const)]}
          onChange={(one) => setQuery({ status: one })}
        />
        <Select
          label={t.kind}
          hideLabel
          value={kind ?? ''}
          options={[['', t.anyKind] as const, ...KINDS.map((one) => [one, common.value.kinds[one]] as const)]}
          onChange={(one) => setQuery({ kind: one })}
        />
      </div>
      <Panel label={t.title}>
        <Listed
          of={runs}
          empty={
            <Empty icon="runs" title={t.none}>
              {t.noneText}
            </Empty>
          }
        >
          {(items) => <RunTable runs={items} />}
        </Listed>
      </Panel>
      <Twin
        cli={`holdfast run list${job === '' ? '' : ` --job ${job}`}`}
        http={`GET /api/v1/runs${filter === '' ? '' : `?${filter}`}`}
      />
    </>
  )
}
