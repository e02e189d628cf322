import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { type Answer, api, type ApiError, problemOf } from '../../app/api.ts'
import { Calendar, type CalendarDay } from '../../charts/calendar.tsx'
import { get, objectAt, set, textAt } from '../../forms/definition.ts'
import { size } from '../../format/size.ts'
import { Check, Choice, Text } from '../../parts/form.tsx'
import { Failure, Notice, Wait } from '../../parts/notice.tsx'
import { common } from '../../parts/words.ts'
import type { StepProps } from './draft.ts'
import { text } from './text.ts'

const RULES = ['last', 'hourly', 'daily', 'weekly', 'monthly', 'yearly'] as const
const PAUSE_MS = 300

type Simulated = Answer<'POST /api/v1/retention/simulate'>

export function RetentionStep({ draft, change, isNew }: StepProps) {
  const t = text.value.retention
  const { definition, name } = draft
  const limited = get(definition, 'retention') !== undefined
  return (
    <div class="stack l">
      <Choice
        label={t.rules}
        showLabel
        value={limited ? 'some' : 'all'}
        options={[
          ['some', t.some],
          ['all', t.all],
        ]}
        onChange={(which) =>
          change(
            set(definition, 'retention', which === 'all' ? undefined : { last: 3, daily: 7, weekly: 4, monthly: 12 }),
          )
        }
      />
      {limited && (
        <>
          <div class="rules-row">
            {[...RULES, 'days' as const, 'minimum' as const].map((rule) => (
              <Text
                key={rule}
                label={rule === 'days' ? t.days : rule === 'minimum' ? t.minimum : t.fields[rule]}
                inputMode="numeric"
                value={textAt(definition, `retention.${rule}`)}
                placeholder="0"
                onInput={(typed) =>
                  change(set(definition, `retention.${rule}`, /^\d+$/.test(typed) ? Number(typed) : undefined))
                }
              />
            ))}
          </div>
          <p class="mute small">{t.hint}</p>
          <Simulation
            retention={objectAt(definition, 'retention')}
            cron={textAt(definition, 'schedule.cron')}
            timezone={textAt(definition, 'schedule.timezone')}
            job={isNew ? undefined : name}
          />
        </>
      )}
      <Proof draft={draft} change={change} />
    </div>
  )
}

function Simulation({
  retention,
  cron,
  timezone,
  job,
}: {
  retention: Record<string, unknown>
  cron: string
  timezone: string
  job: string | undefined
}) {
  const t = text.value.retention
  const made = useSignal<Simulated | undefined>(undefined)
  const real = useSignal<Simulated | undefined>(undefined)
  const error = useSignal<ApiError | undefined>(undefined)
  const key = JSON.stringify([retention, cron, timezone, job])
  useEffect(() => {
    const abort = new AbortController()
    const { signal } = abort
    const timer = setTimeout(() => {
      const by = { retention, ...(cron !== '' && { cron }), ...(timezone !== '' && { timezone }) }
      Promise.all([
        api.call('POST /api/v1/retention/simulate', { body: { ...by, days: 365 }, signal }),
        job === undefined ? undefined : api.call('POST /api/v1/retention/simulate', { body: { ...by, job }, signal }),
      ]).then(
        ([one, other]) => {
          made.value = one.data
          real.value = other?.data
          error.value = undefined
        },
        (thrown: unknown) => {
          if (!signal.aborted) error.value = problemOf(thrown)
        },
      )
    }, PAUSE_MS)
    return () => {
      clearTimeout(timer)
      abort.abort()
    }
  }, [key])
  if (error.value !== undefined) return <Failure error={error.value} />
  const shown = made.value
  if (shown === undefined) return <Wait lines={3} />
  const today = real.value
  return (
    <div class="stack">
      {today !== undefined && today.removed > 0 && (
        <Notice tone="warn" title={t.loss(today.removed)}>
          {t.real}: {t.kept(today.kept, today.kept + today.removed)}
          {today.bytesFreed !== undefined && `, ${t.freed(size(today.bytesFreed))}`}
        </Notice>
      )}
      <section class="panel">
        <header>
          <h2>{t.calendar}</h2>
          <span class="actions soft">{t.kept(shown.kept, shown.kept + shown.removed)}</span>
        </header>
        <div class="pad stack">
          <Calendar days={byDay(shown)} />
          <p class="legend">
            <span>
              <i class="kept" />
              {t.keeps}
            </span>
            <span>
              <i class="gone" />
              {t.goes}
            </span>
          </p>
        </div>
      </section>
    </div>
  )
}

function byDay({ items }: Simulated): CalendarDay[] {
  const days = new Map<string, CalendarDay>()
  for (const { time, keep, reasons } of items) {
    const day = time.slice(0, 10)
    const one = days.get(day) ?? { day, kept: 0, gone: 0, why: '' }
    days.set(day, {
      day,
      kept: one.kept + (keep ? 1 : 0),
      gone: one.gone + (keep ? 0 : 1),
      why: keep && one.why === '' ? reasons.join(', ') : one.why,
    })
  }
  return [...days.values()]
}

/** How far each backup is shown to restore belongs to how long it is kept: both are about trusting it. */
function Proof({ draft, change }: Pick<StepProps, 'draft' | 'change'>) {
  const t = text.value.proof
  const { definition } = draft
  const drill = get(definition, 'verify.restoreTest') !== undefined
  const after = textAt(definition, 'verify.afterBackup')
  return (
    <fieldset class="stack">
      <legend class="strong">{t.title}</legend>
      <Choice
        label={t.after}
        showLabel
        value={after === 'V1' || after === 'V2' ? after : 'V0'}
        options={(['V0', 'V1', 'V2'] as const).map((level) => [level, t.levels[level] ?? level] as const)}
        onChange={(level) => change(set(definition, 'verify.afterBackup', level))}
      />
      <Check
        label={t.drill}
        hint={common.value.proof.V4}
        value={drill}
        onChange={(on) => change(set(definition, 'verify.restoreTest', on ? { every: '7d', level: 'V4' } : undefined))}
      />
      {drill && (
        <div class="grid2">
          <Text
            label={t.every}
            hint={t.everyHint}
            value={textAt(definition, 'verify.restoreTest.every')}
            onInput={(every) => change(set(definition, 'verify.restoreTest.every', every))}
            mono
          />
        </div>
      )}
    </fieldset>
  )
}
