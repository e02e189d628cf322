import { useSignal } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'
import { number } from '../../app/language.ts'
import { onLive } from '../../app/live.ts'
import { Bar } from '../../charts/bar.tsx'
import { Spark } from '../../charts/spark.tsx'
import { rate, size } from '../../format/size.ts'
import { duration, since } from '../../format/time.ts'
import { bytesOf, figure, filesOf, storedOf } from '../runs/run-table.tsx'
import { isLive, type Run } from './live-run.ts'
import { useSecond } from './second.ts'
import { text } from './text.ts'

type Counters = NonNullable<Run['counters']>

interface Sample {
  at: number
  bytes: number
}

const KEPT = 240
/** What is left is judged by so much of the past. */
const JUDGED_MS = 20_000

export function Figures({ run }: { run: Run }) {
  const t = text.value
  const live = isLive(run)
  const latest = useSignal<Counters | undefined>(run.counters)
  const samples = useRef<Sample[]>([])
  useSecond(live)
  useEffect(() => {
    latest.value = run.counters
    if (!live) return undefined
    return onLive((name, data) => {
      if (name !== 'run.progress' || (data['run'] ?? data['id']) !== run.id) return
      const counters = countersOf(data['counters'])
      if (counters === undefined) return
      latest.value = counters
      samples.current = [...samples.current.slice(-KEPT), { at: Date.now(), bytes: counters.bytesDone }]
    })
  }, [run.id, live])

  const counters = live ? latest.value : undefined
  const files = counters?.filesDone ?? filesOf(run)
  const bytes = counters?.bytesDone ?? bytesOf(run)
  const stored = counters?.bytesStored ?? storedOf(run)
  const rates = ratesOf(samples.current)
  const present = recent(samples.current)
  const total = counters?.bytesTotal
  const left =
    present !== undefined && present > 0 && total !== undefined && bytes !== undefined && total > bytes
      ? ((total - bytes) / present) * 1000
      : undefined
  const took = run.startedAt === undefined ? 0 : since(run.startedAt, run.endedAt)
  const mean = !live && bytes !== undefined && took > 0 ? (bytes / took) * 1000 : undefined
  return (
    <>
      <div class="figs">
        <div>
          <b>{files === undefined ? '–' : number(files)}</b>
          <small>{counters?.filesTotal === undefined ? t.files : t.ofFiles(counters.filesTotal)}</small>
        </div>
        <div>
          <b>{size(bytes)}</b>
          <small>
            {t.read}
            {(present ?? mean) !== undefined && ` · ${rate(present ?? mean ?? 0)}`}
          </small>
        </div>
        <div>
          <b>{size(stored)}</b>
          <small>{t.stored}</small>
        </div>
        <div>
          <b>{left === undefined ? duration(took) : duration(left)}</b>
          <small>{left === undefined ? (live ? t.noLeft : t.took) : t.left}</small>
        </div>
      </div>
      {live && (
        <div class="progress">
          {rates.length > 1 && (
            <Spark
              values={rates}
              fill
              width={600}
              height={64}
              label={t.rate(size(Math.min(...rates)), size(Math.max(...rates)))}
            />
          )}
          {total !== undefined && total > 0 && bytes !== undefined && (
            <Bar share={bytes / total} tone="run" label={`${Math.floor((bytes / total) * 100)} %`} />
          )}
          {counters?.current !== undefined && (
            <p class="soft clip">
              {t.now} <code title={counters.current}>{counters.current}</code>
            </p>
          )}
        </div>
      )}
      {!live && figure(run, 'files_new') !== undefined && (
        <p class="progress soft">
          {t.new(
            figure(run, 'files_new') ?? 0,
            figure(run, 'files_changed') ?? 0,
            figure(run, 'files_unmodified') ?? 0,
          )}
        </p>
      )}
    </>
  )
}

/** Bytes a second between one sample and the next. */
function ratesOf(samples: readonly Sample[]): number[] {
  const rates: number[] = []
  for (const [at, { at: time, bytes }] of samples.entries()) {
    const before = samples[at - 1]
    if (before !== undefined && time > before.at)
      rates.push((Math.max(0, bytes - before.bytes) / (time - before.at)) * 1000)
  }
  return rates
}

function recent(samples: readonly Sample[]): number | undefined {
  const last = samples.at(-1)
  if (last === undefined) return undefined
  const first = samples.find(({ at }) => last.at - at <= JUDGED_MS)
  if (first === undefined || last.at - first.at < 2000) return undefined
  return (Math.max(0, last.bytes - first.bytes) / (last.at - first.at)) * 1000
}

/** Events come as JSON: what is no number is left out. */
function countersOf(value: unknown): Counters | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const fields = new Map(Object.entries(value) as [string, unknown][])
  const take = (name: string): number | undefined => {
    const field = fields.get(name)
    return typeof field === 'number' ? field : undefined
  }
  const current = fields.get('current')
  return {
    filesDone: take('filesDone') ?? 0,
    bytesDone: take('bytesDone') ?? 0,
    bytesStored: take('bytesStored') ?? 0,
    filesTotal: take('filesTotal'),
    bytesTotal: take('bytesTotal'),
    current: typeof current === 'string' ? current : undefined,
  }
}
