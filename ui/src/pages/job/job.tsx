import { useSignal } from '@preact/signals'
import { type Answer, api, may, problemOf } from '../../app/api.ts'
import { useLoad, usePages } from '../../app/load.ts'
import { go, pathOf, to } from '../../app/router.ts'
import type { PageProps } from '../../app/routes.ts'
import { size } from '../../format/size.ts'
import { Confirm } from '../../parts/dialog.tsx'
import { Icon } from '../../parts/icon.tsx'
import { Menu, type MenuItem } from '../../parts/menu.tsx'
import { Empty, Notice } from '../../parts/notice.tsx'
import { Head, Listed, Panel, Shown } from '../../parts/page.tsx'
import { State, Tag } from '../../parts/state.tsx'
import { Tabs, tabOf } from '../../parts/tabs.tsx'
import { Moment, Time } from '../../parts/time.tsx'
import { tell } from '../../parts/toast.tsx'
import { quoted } from '../../format/shell.ts'
import { Twin } from '../../parts/twin.tsx'
import { common } from '../../parts/words.ts'
import { resume, runNow } from '../jobs/jobs.tsx'
import { PauseDialog } from '../jobs/pause.tsx'
import { stateOf } from '../overview/job-table.tsx'
import { RunTable } from '../runs/run-table.tsx'
import { BackupTable } from './backup-table.tsx'
import { HAS_LOG, Points } from './points.tsx'
import { PruneDialog } from './prune.tsx'
import { text } from './text.ts'
import { newKey } from '../../app/new-key.ts'

export type Job = Answer<'GET /api/v1/jobs/{name}'>

export function Page({ params }: PageProps) {
  const name = params['name'] ?? ''
  const job = useLoad(
    async (signal) => api.call('GET /api/v1/jobs/{name}', { params: { name }, signal }),
    [name],
    ['job.', 'run.created', 'run.finished', 'backup.'],
  )
  return (
    <Shown of={job} lines={10}>
      {(data) => <JobView job={data} reload={() => job.reload()} />}
    </Shown>
  )
}

type Open = 'pause' | 'remove' | 'prune' | undefined

async function prove(name: string): Promise<void> {
  try {
    const { data } = await api.call('POST /api/v1/jobs/{name}/runs', {
      params: { name },
      body: { kind: 'verify', level: 'V4' },
      idempotencyKey: newKey(),
    })
    go(to(pathOf('runs', data.id)))
  } catch (thrown) {
    const error = problemOf(thrown)
    tell('bad', error.message, error.hint)
  }
}

function JobView({ job, reload }: { job: Job; reload: () => void }) {
  const t = text.value
  const open = useSignal<Open>(undefined)
  const close = (): void => {
    open.value = undefined
  }
  const { name, paused, managed } = job
  const tabs = (['runs', 'backups', 'points', 'settings'] as const)
    .filter((tab) => tab !== 'points' || HAS_LOG.includes(job.source.type))
    .map((tab) => [tab, t.tabs[tab]] as const)
  const tab = tabOf(tabs, 'runs')
  const items: (MenuItem | '-')[] = []
  if (may('operate')) {
    items.push({ text: t.prove, icon: 'check', run: () => void prove(name) })
    if (paused === undefined) items.push({ text: t.pause, icon: 'pause', run: () => (open.value = 'pause') })
  }
  if (may('delete')) items.push({ text: t.prune, icon: 'trash', run: () => (open.value = 'prune') })
  if (may('admin') && !managed)
    items.push('-', { text: t.remove, icon: 'trash', danger: true, run: () => (open.value = 'remove') })
  return (
    <>
      <Head
        title={name}
        crumbs={[[t.backups, to('/backups')]]}
        tags={
          <>
            {job.running === undefined ? (
              <State of={stateOf(job)} />
            ) : (
              <a href={to(pathOf('runs', job.running))}>
                <State of="running" />
              </a>
            )}
            {managed && <Tag text={t.managed} title={t.managedHint} />}
          </>
        }
        sub={job.description ?? job.why}
        actions={
          <>
            {may('restore') && job.backups > 0 && (
              <a class="btn" href={to('/restore', { job: name })}>
                {t.restore}
              </a>
            )}
            {may('admin') && !managed && (
              <a class="btn" href={to(`${pathOf('jobs', name)}/edit`)}>
                {t.edit}
              </a>
            )}
            {may('operate') && job.running === undefined && (
              <button type="button" class="btn primary" onClick={() => void runNow(name)}>
                <Icon name="play" size={14} />
                {t.run}
              </button>
            )}
            {items.length > 0 && <Menu kind="btn icon" items={items} />}
          </>
        }
      />
      <div class="stack">
        {paused !== undefined && (
          <Notice
            tone="warn"
            title={
              paused.until === undefined ? (
                t.paused
              ) : (
                <>
                  {t.pausedUntil} <Moment at={paused.until} />
                </>
              )
            }
            actions={
              may('operate') && (
                <button type="button" class="btn s" onClick={() => void resume(name, reload)}>
                  {t.resume}
                </button>
              )
            }
          >
            {paused.reason}
          </Notice>
        )}
        <Facts job={job} />
      </div>
      <div class="below">
        <Tabs tabs={tabs} now={tab} label={name} />
        {tab === 'runs' && <Runs job={name} />}
        {tab === 'backups' && <Backups job={name} />}
        {tab === 'points' && <Points job={name} />}
        {tab === 'settings' && (
          <div class="stack s">
            <h2>{t.definition}</h2>
            <pre class="code" tabIndex={0}>
              {job.yaml}
            </pre>
          </div>
        )}
      </div>
      <Twin cli={`holdfast backup ${quoted(name)}`} http={`POST /api/v1/jobs/${name}/runs`} yaml={job.yaml} />
      {open.value === 'pause' && (
        <PauseDialog
          job={name}
          onClose={close}
          onDone={() => {
            close()
            reload()
          }}
        />
      )}
      {open.value === 'prune' && <PruneDialog job={name} onClose={close} onDone={reload} />}
      {open.value === 'remove' && (
        <Confirm
          title={t.removeTitle(name)}
          action={t.removeAction}
          name={name}
          onClose={close}
          run={async () => {
            await api.call('DELETE /api/v1/jobs/{name}', { params: { name } })
            go(to('/backups'))
          }}
        >
          <p>{t.removeText(job.backups)}</p>
        </Confirm>
      )}
    </>
  )
}

function Facts({ job }: { job: Job }) {
  const t = text.value.facts
  const zone = job.schedule?.timezone
  return (
    <section class="panel facts">
      <div class="figs">
        <div>
          <b class="when">
            {job.lastGood === undefined ? common.value.never : <Time at={job.lastGood.at} zone={zone} />}
          </b>
          <small>{t.lastGood}</small>
        </div>
        <div>
          <b class="when">{job.proof === undefined ? text.value.notProven : <Time at={job.proof.at} zone={zone} />}</b>
          <small class={job.proof === undefined ? '' : 'ok'}>
            {job.proof === undefined ? t.proof : `${job.proof.level} ✓ ${common.value.proof[job.proof.level]}`}
          </small>
        </div>
        <div>
          <b class="when">
            {job.next === undefined || job.paused !== undefined ? '–' : <Time at={job.next} zone={zone} />}
          </b>
          <small>
            {[
              ...(job.continuous ? [text.value.continuous] : []),
              ...(job.schedule === undefined ? [] : [`${job.schedule.text} · ${job.schedule.timezone}`]),
            ].join(' · ') || text.value.byHand}
          </small>
        </div>
        <div>
          <b>{size(job.size)}</b>
          <small>
            {t.size}, {t.backups(job.backups)}
          </small>
        </div>
      </div>
      <dl class="pairs pad">
        <dt>{t.source}</dt>
        <dd>
          {common.value.sources[job.source.type] ?? job.source.type} <code>{job.source.name}</code>
        </dd>
        {job.vaultStates.map(({ vault, backups, newest, stored, proof }) => (
          <VaultState key={vault} {...{ vault, backups, newest, stored, proof }} />
        ))}
      </dl>
    </section>
  )
}

function VaultState({ vault, backups, newest, stored, proof }: Job['vaultStates'][number]) {
  const t = text.value.facts
  return (
    <>
      <dt>
        <a href={to(pathOf('vaults', vault))}>{vault}</a>
      </dt>
      <dd>
        {t.backups(backups)}
        {stored !== undefined && `, ${size(stored)}`}
        {newest !== undefined && (
          <>
            , {t.newest} <Time at={newest} />
          </>
        )}
        {proof !== undefined && (
          <>
            {' '}
            · {proof.level} <Time at={proof.at} />
          </>
        )}
      </dd>
    </>
  )
}

function Runs({ job }: { job: string }) {
  const runs = usePages(
    async (cursor, signal) =>
      api.call('GET /api/v1/runs', { query: { job, limit: 25, ...(cursor && { cursor }) }, signal }),
    [job],
    ['run.created', 'run.finished'],
  )
  return (
    <Panel label={text.value.tabs.runs}>
      <Listed of={runs} empty={<Empty icon="runs" title={text.value.noRuns} />}>
        {(items) => <RunTable runs={items} hideJob />}
      </Listed>
    </Panel>
  )
}

function Backups({ job }: { job: string }) {
  const backups = usePages(
    async (cursor, signal) =>
      api.call('GET /api/v1/backups', { query: { job, limit: 50, ...(cursor && { cursor }) }, signal }),
    [job],
    ['backup.'],
  )
  return (
    <Panel label={text.value.tabs.backups}>
      <Listed of={backups} empty={<Empty icon="backups" title={text.value.noBackups} />}>
        {(items) => <BackupTable backups={items} />}
      </Listed>
    </Panel>
  )
}
