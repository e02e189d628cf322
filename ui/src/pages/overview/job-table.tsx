import { pathOf, to } from '../../app/router.ts'
import { Spark } from '../../charts/spark.tsx'
import { Strip } from '../../charts/strip.tsx'
import { size } from '../../format/size.ts'
import { State, type StateName } from '../../parts/state.tsx'
import { Time } from '../../parts/time.tsx'
import { common } from '../../parts/words.ts'
import type { Overview } from './overview.tsx'
import { text } from './text.ts'

type Row = Overview['jobs'][number]

/** What a job is doing comes before how it is. */
export function stateOf(job: Pick<Row, 'state' | 'running' | 'paused' | 'enabled'>): StateName {
  if (job.running !== undefined) return 'running'
  if (!job.enabled) return 'disabled'
  if (job.paused !== undefined) return 'paused'
  return job.state
}

/** The worst first; of very many the rest is a page of its own. */
const SHOWN = 40
const RANK = { bad: 0, warning: 1, unknown: 2, ok: 3 }

export function JobTable({ jobs }: { jobs: Overview['jobs'] }) {
  const t = text.value
  const many = jobs.length > SHOWN
  const shown = many ? jobs.toSorted((a, b) => RANK[a.state] - RANK[b.state]).slice(0, SHOWN) : jobs
  return (
    <div class="scroll">
      <table class="jobs">
        <thead>
          <tr>
            <th>{t.columns.job}</th>
            <th>{t.columns.state}</th>
            <th class="hide-s">{t.columns.strip}</th>
            <th>{t.columns.good}</th>
            <th class="hide-s">{t.columns.proof}</th>
            <th class="hide-s">{t.columns.next}</th>
            <th class="num hide-s">{t.columns.size}</th>
          </tr>
        </thead>
        <tbody>
          {shown.map((job) => (
            <JobRow key={job.name} job={job} />
          ))}
        </tbody>
      </table>
      {many && (
        <p class="more">
          <a href={to('/backups')}>{t.rest(jobs.length - SHOWN)}</a>
        </p>
      )}
    </div>
  )
}

function JobRow({ job }: { job: Row }) {
  const t = text.value
  const href = to(pathOf('jobs', job.name))
  const { lastGood, proof, schedule } = job
  return (
    <tr>
      <td>
        <a class="name" href={href}>
          {job.name}
        </a>
        <small title={schedule?.text}>{common.value.sources[job.source.type] ?? job.source.type}</small>
      </td>
      <td title={job.why}>
        {job.running === undefined ? (
          <State of={stateOf(job)} />
        ) : (
          <a href={to(pathOf('runs', job.running))}>
            <State of="running" />
          </a>
        )}
      </td>
      <td class="hide-s">
        <Strip cells={job.strip} />
      </td>
      <td>
        {lastGood === undefined ? (
          <span class="mute">{t.never}</span>
        ) : (
          <a class="plain" href={to(pathOf('runs', lastGood.id))}>
            <Time at={lastGood.at} zone={schedule?.timezone} />
          </a>
        )}
      </td>
      <td class="hide-s">
        {proof === undefined ? (
          <span class="mute">{t.notProven}</span>
        ) : (
          <>
            <a class="plain" href={to(pathOf('backup', proof.backup))}>
              {proof.level} · <Time at={proof.at} />
            </a>
            <small class="ok">✓ {common.value.proof[proof.level]}</small>
          </>
        )}
      </td>
      <td class="hide-s">
        {job.paused !== undefined ? (
          <span class="mute" title={job.paused.reason}>
            {t.paused}
          </span>
        ) : job.next !== undefined ? (
          <Time at={job.next} zone={schedule?.timezone} />
        ) : (
          <span class="mute">{t.noSchedule}</span>
        )}
      </td>
      <td class="num hide-s">
        <span class="trend">
          <Spark values={job.sizes} width={48} label={t.trend(size(job.sizes[0]), size(job.sizes.at(-1)))} />
          {size(job.size)}
        </span>
      </td>
    </tr>
  )
}
