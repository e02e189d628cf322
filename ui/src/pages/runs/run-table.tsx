import type { Answer } from '../../app/api.ts'
import { number, words } from '../../app/language.ts'
import { pathOf, to } from '../../app/router.ts'
import { size } from '../../format/size.ts'
import { duration, since } from '../../format/time.ts'
import { State } from '../../parts/state.tsx'
import { Moment } from '../../parts/time.tsx'
import { common } from '../../parts/words.ts'

export type RunShort = Answer<'GET /api/v1/runs'>['items'][number]

const text = words({
  en: {
    run: 'Run',
    job: 'Job',
    status: 'Status',
    files: 'Files',
    read: 'Read',
    stored: 'Stored',
    took: 'Took',
    begun: 'Begun',
    by: { manual: 'by hand', schedule: 'scheduled', api: 'by the API', 'catch-up': 'made up for' },
  },
  de: {
    run: 'Lauf',
    job: 'Auftrag',
    status: 'Status',
    files: 'Dateien',
    read: 'Gelesen',
    stored: 'Gespeichert',
    took: 'Dauer',
    begun: 'Begonnen',
    by: { manual: 'von Hand', schedule: 'nach Plan', api: 'per API', 'catch-up': 'nachgeholt' },
  },
})

/** A figure of the summary; its fields are open. */
export function figure(run: Pick<RunShort, 'summary'>, ...names: string[]): number | undefined {
  for (const name of names) {
    const value = run.summary?.[name]
    if (typeof value === 'number') return value
  }
  return undefined
}

export const filesOf = (run: RunShort): number | undefined =>
  figure(run, 'total_files_processed', 'files_restored') ?? run.counters?.filesDone
export const bytesOf = (run: RunShort): number | undefined =>
  figure(run, 'total_bytes_processed', 'bytes_restored') ?? run.counters?.bytesDone
export const storedOf = (run: RunShort): number | undefined =>
  figure(run, 'data_added_packed') ?? run.counters?.bytesStored

export function RunTable({ runs, hideJob = false }: { runs: RunShort[]; hideJob?: boolean }) {
  const t = text.value
  return (
    <div class="scroll">
      <table>
        <thead>
          <tr>
            <th>{hideJob ? t.run : t.job}</th>
            <th>{t.status}</th>
            <th>{t.begun}</th>
            <th class="num hide-s">{t.took}</th>
            <th class="num hide-s">{t.files}</th>
            <th class="num hide-s">{t.read}</th>
            <th class="num hide-s">{t.stored}</th>
          </tr>
        </thead>
        <tbody>
          {runs.map((run) => (
            <tr key={run.id}>
              <td>
                <a class="name" href={to(pathOf('runs', run.id))}>
                  {hideJob ? common.value.kinds[run.kind] : run.job || run.vault}
                </a>
                <small>
                  {!hideJob && `${common.value.kinds[run.kind]} · `}
                  {t.by[run.trigger]}
                  {run.vault !== undefined && run.job !== '' && ` → ${run.vault}`}
                </small>
              </td>
              <td>
                <State
                  of={run.status}
                  {...(run.status === 'warning' && {
                    text: `${number(run.warningCount)} ${common.value.states.warning}`,
                  })}
                />
                {run.error && <small class="why">{run.error.message}</small>}
              </td>
              <td>
                <Moment at={run.startedAt ?? run.createdAt} />
              </td>
              <td class="num hide-s">
                {run.startedAt === undefined ? '–' : duration(since(run.startedAt, run.endedAt))}
              </td>
              <td class="num hide-s">{shown(filesOf(run))}</td>
              <td class="num hide-s">{size(bytesOf(run))}</td>
              <td class="num hide-s">{size(storedOf(run))}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

const shown = (n: number | undefined): string => (n === undefined ? '–' : number(n))
