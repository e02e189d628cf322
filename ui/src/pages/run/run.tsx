import { useSignal } from '@preact/signals'
import { api, may } from '../../app/api.ts'
import { useLoad } from '../../app/load.ts'
import { pathOf, to } from '../../app/router.ts'
import type { PageProps } from '../../app/routes.ts'
import { exact, since, stopwatch } from '../../format/time.ts'
import { Confirm } from '../../parts/dialog.tsx'
import { Failure } from '../../parts/notice.tsx'
import { Head, Panel, Shown } from '../../parts/page.tsx'
import { State } from '../../parts/state.tsx'
import { Moment } from '../../parts/time.tsx'
import { quoted } from '../../format/shell.ts'
import { Twin } from '../../parts/twin.tsx'
import { common } from '../../parts/words.ts'
import { ApiError } from '../../app/api.ts'
import { runNow } from '../jobs/jobs.tsx'
import { Damage } from './damage.tsx'
import { Figures } from './figures.tsx'
import { RunLog } from './log.tsx'
import { LimitDialog } from './limit.tsx'
import { isLive, type Run } from './live-run.ts'
import { useSecond } from './second.ts'
import { text } from './text.ts'
import './run.css'

export function Page({ params }: PageProps) {
  const id = params['id'] ?? ''
  const run = useLoad(
    async (signal) => api.call('GET /api/v1/runs/{id}', { params: { id }, signal }),
    [id],
    ['run.stage', 'run.finished', 'run.created'],
  )
  return (
    <Shown of={run} lines={10}>
      {(data) => <RunView run={data} reload={() => run.reload()} />}
    </Shown>
  )
}

function RunView({ run, reload }: { run: Run; reload: () => void }) {
  const t = text.value
  const cancelling = useSignal(false)
  const limiting = useSignal(false)
  const live = isLive(run)
  const { id, job, kind } = run
  // Work on a whole vault is of no job.
  const whole = job === ''
  return (
    <>
      <Head
        title={`${common.value.kinds[kind]} · ${whole ? (run.vault ?? '') : job}`}
        crumbs={[
          [t.runs, to('/backups/logs')],
          whole && run.vault !== undefined
            ? [run.vault, to(pathOf('vaults', run.vault))]
            : [job, to(pathOf('jobs', job))],
        ]}
        tags={<State of={run.status} />}
        sub={
          <>
            <Moment at={run.startedAt ?? run.createdAt} />
            {run.vault !== undefined && !whole && (
              <>
                {' '}
                → <a href={to(pathOf('vaults', run.vault))}>{run.vault}</a>
              </>
            )}
          </>
        }
        actions={
          <>
            {live && run.vault !== undefined && may('operate') && (
              <button type="button" class="btn" onClick={() => (limiting.value = true)}>
                {t.limit}
              </button>
            )}
            {live && may('operate') && (
              <button type="button" class="btn" onClick={() => (cancelling.value = true)}>
                {t.cancel}
              </button>
            )}
            {!live && kind === 'backup' && may('operate') && (
              <button type="button" class="btn" onClick={() => void runNow(job)}>
                {t.again}
              </button>
            )}
            {run.backupId !== undefined && (
              <a class="btn primary" href={to(pathOf('backup', run.backupId), { vault: run.vault })}>
                {t.backup}
              </a>
            )}
          </>
        }
      />
      <div class="stack">
        {run.error && <Failure error={new ApiError(500, run.error)} />}
        <Damage run={run} />
        <div class="run-grid">
          <Panel title={t.stages}>
            <Stages run={run} />
          </Panel>
          <div class="stack">
            <Panel label={common.value.states[run.status]}>
              <Figures run={run} />
            </Panel>
            <Warnings run={run} />
          </div>
        </div>
        <RunLog key={id} id={id} live={live} there={run.hasLog || live} />
      </div>
      <Twin
        cli={live ? `holdfast run logs ${quoted(id)} -f` : `holdfast run show ${quoted(id)}`}
        http={`GET /api/v1/runs/${id}`}
      />
      {limiting.value && <LimitDialog id={id} onClose={() => (limiting.value = false)} />}
      {cancelling.value && (
        <Confirm
          title={t.cancelTitle}
          action={t.cancel}
          onClose={() => (cancelling.value = false)}
          run={async () => {
            await api.call('POST /api/v1/runs/{id}/cancel', { params: { id } })
            reload()
          }}
        >
          <p>{t.cancelText}</p>
        </Confirm>
      )}
    </>
  )
}

const MARK = { running: ['run', '▶'], success: ['ok', '✓'], failed: ['bad', '✕'] } as const

function Stages({ run }: { run: Run }) {
  const t = text.value
  useSecond(isLive(run))
  if (run.stages.length === 0) return <p class="pad mute">{isLive(run) ? t.waits : t.noStage}</p>
  return (
    <ol class="stages">
      {run.stages.map(({ stage, startedAt, endedAt, status }, at) => {
        const over = endedAt ?? run.endedAt
        const [tone, mark] = MARK[status === 'running' && run.endedAt !== undefined ? 'failed' : status]
        return (
          <li key={at} aria-current={status === 'running' && over === undefined ? 'step' : undefined}>
            <span class={tone} role="img" aria-label={common.value.states[status]}>
              {mark}
            </span>
            {t.stage[stage] ?? stage}
            <time title={exact(startedAt)}>{stopwatch(since(startedAt, over))}</time>
          </li>
        )
      })}
    </ol>
  )
}

function Warnings({ run }: { run: Run }) {
  const t = text.value
  return (
    <>
      {[
        { items: run.warnings, all: run.warningCount, say: t.warnings, tone: 'warn' },
        { items: run.notes, all: run.noteCount, say: t.notes, tone: 'mute' },
      ].map(
        ({ items, all, say, tone }) =>
          items.length > 0 && (
            <Panel key={tone} label={say(all)}>
              <details class="warnings" open={tone === 'warn'}>
                <summary>{say(all)}</summary>
                <ul>
                  {items.map(({ code, message, path }, at) => (
                    <li key={at}>
                      <span class={tone}>{code}</span>
                      <span class="break">
                        {path !== undefined && <code>{path}</code>} {message}
                      </span>
                    </li>
                  ))}
                </ul>
                {all > items.length && <p class="mute small">{t.firstHundred}</p>}
              </details>
            </Panel>
          ),
      )}
    </>
  )
}
