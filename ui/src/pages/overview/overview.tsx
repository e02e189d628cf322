import { type Answer, api, may } from '../../app/api.ts'
import { useLoad } from '../../app/load.ts'
import { to } from '../../app/router.ts'
import { Lane } from '../../charts/lane.tsx'
import { zone } from '../../format/time.ts'
import { Empty } from '../../parts/notice.tsx'
import { Head, Panel, Shown } from '../../parts/page.tsx'
import { Time } from '../../parts/time.tsx'
import { Twin } from '../../parts/twin.tsx'
import { common } from '../../parts/words.ts'
import { AlertRows } from '../alerts/rows.tsx'
import { Icon } from '../../parts/icon.tsx'
import { JobTable } from './job-table.tsx'
import { StorageList } from './storage-list.tsx'
import { text } from './text.ts'
import './overview.css'

export type Overview = Answer<'GET /api/v1/overview'>

export function Page() {
  const t = text.value
  const overview = useLoad(
    async (signal) => api.call('GET /api/v1/overview', { query: { timezone: zone }, signal }),
    [],
    ['run.created', 'run.finished', 'job.', 'alert.', 'vault.', 'backup.'],
  )
  return (
    <Shown of={overview} lines={10}>
      {(data) => (
        <div class="stack">
          <Hero data={data} />
          {data.alerts.length > 0 && (
            <Panel label={t.attention}>
              <AlertRows alerts={data.alerts.slice(0, 5)} onChange={() => overview.reload()} />
            </Panel>
          )}
          {data.jobs.length > 0 && (
            <>
              <Panel label={t.jobs}>
                <JobTable jobs={data.jobs} />
              </Panel>
              <div class="cols">
                <Panel title={t.next24} pad>
                  {data.upcoming.length === 0 ? (
                    <p class="mute">{t.nothingDue}</p>
                  ) : (
                    <Lane
                      stops={data.upcoming.map(({ job, vault, kind, at }) => ({
                        at,
                        text: kind === 'backup' ? job : `${common.value.kinds[kind]}: ${vault ?? job}`,
                      }))}
                    />
                  )}
                </Panel>
                <Panel title={t.storage} pad>
                  {data.vaults.length === 0 ? <p class="mute">{t.noVaults}</p> : <StorageList vaults={data.vaults} />}
                </Panel>
              </div>
            </>
          )}
          <Twin cli="holdfast job list" http="GET /api/v1/overview" />
        </div>
      )}
    </Shown>
  )
}

function Hero({ data }: { data: Overview }) {
  const t = text.value
  const { tone, mark, title } = sentence(data)
  const empty = data.worst === 'empty'
  const next = data.nextRun ?? data.jobs.flatMap((job) => job.next ?? []).toSorted()[0]
  const actions = (
    <>
      {!empty && may('restore') && (
        <a class="btn" href={to('/restore')}>
          {t.restore}
        </a>
      )}
      {may('admin') && (
        <a class="btn primary" href={to('/backups/new')}>
          <Icon name="plus" size={15} />
          {t.new}
        </a>
      )}
    </>
  )
  if (empty)
    return (
      <>
        <Head title={t.title} />
        <Panel label={t.title}>
          <Empty icon="backups" title={t.hero.empty} action={actions}>
            {t.hero.emptyText}
          </Empty>
        </Panel>
      </>
    )
  return (
    <section class="panel hero">
      <div class={`disc ${tone}`} aria-hidden="true">
        {mark}
      </div>
      <div class="say">
        <Head
          title={title}
          name={t.title}
          sub={
            <>
              {t.hero.figures(data.counts.good, data.counts.jobs, data.counts.proven)}{' '}
              {next === undefined ? (
                t.hero.noNext
              ) : (
                <>
                  {t.hero.next} <Time at={next} />
                </>
              )}
            </>
          }
        />
      </div>
      <div class="row actions">{actions}</div>
    </section>
  )
}

/** The worst thing first, in one sentence. */
function sentence(data: Overview): { tone: string; mark: string; title: string } {
  const t = text.value.hero
  const [first, ...rest] = data.alerts
  const running = data.jobs.filter((job) => job.running !== undefined)
  if (first !== undefined && (data.worst === 'bad' || data.worst === 'warning')) {
    const say = { ...t, failure: t.failed }
    return {
      tone: data.worst === 'bad' ? 'bad' : 'warn',
      mark: data.worst === 'bad' ? '✕' : '!',
      title: say[first.kind](first.job) + (rest.length > 0 ? t.more(rest.length) : ''),
    }
  }
  const bad = data.jobs.find(({ state }) => state === 'bad') ?? data.jobs.find(({ state }) => state === 'warning')
  if (bad !== undefined && data.worst !== 'ok' && data.worst !== 'running')
    return bad.state === 'bad'
      ? { tone: 'bad', mark: '✕', title: t.failed(bad.name) }
      : { tone: 'warn', mark: '!', title: t.warning(bad.name) }
  if (running.length > 0)
    return {
      tone: 'run',
      mark: '▶',
      title: running.length === 1 ? t.running(running[0]?.name ?? '') : t.runningMany(running.length),
    }
  const fresh = data.jobs.find(({ state, enabled }) => enabled && state === 'unknown')
  if (fresh !== undefined) return { tone: 'warn', mark: '○', title: t.never(fresh.name) }
  return { tone: 'ok', mark: '✓', title: t.ok(data.counts.jobs) }
}
