import { useSignal } from '@preact/signals'
import { useEffect, useId } from 'preact/hooks'
import { type Answer, api, type ApiError, problemOf } from '../../app/api.ts'
import { get, set, textAt } from '../../forms/definition.ts'
import { exact, relative, zone } from '../../format/time.ts'
import { Choice, Field, Text } from '../../parts/form.tsx'
import { common } from '../../parts/words.ts'
import type { StepProps } from './draft.ts'
import { text } from './text.ts'

const PRESETS = { hourly: '0 * * * *', nightly: '0 3 * * *', weekdays: '0 3 * * 1-5', weekly: '0 3 * * 0' } as const
type Preset = keyof typeof PRESETS | 'own'
const PRESET_NAMES = ['hourly', 'nightly', 'weekdays', 'weekly', 'own'] as const
const PAUSE_MS = 250

export function ScheduleStep({ draft, change }: StepProps) {
  const t = text.value.schedule
  const { definition } = draft
  const scheduled = get(definition, 'schedule') !== undefined
  const cron = textAt(definition, 'schedule.cron')
  const timezone = textAt(definition, 'schedule.timezone')
  const preset = PRESET_NAMES.find((one) => one !== 'own' && PRESETS[one] === cron) ?? 'own'
  const own = useSignal(preset === 'own')
  const shown: Preset = own.value ? 'own' : preset
  return (
    <div class="stack l">
      <Choice
        label={t.by}
        showLabel
        value={scheduled ? 'auto' : 'hand'}
        options={[
          ['auto', t.auto],
          ['hand', t.hand],
        ]}
        onChange={(how) =>
          change(
            set(
              definition,
              'schedule',
              how === 'hand' ? undefined : { cron: PRESETS.nightly, timezone: zone, missed: 'once' },
            ),
          )
        }
      />
      {scheduled && (
        <div class="two">
          <div class="stack">
            <Choice
              label={t.cron}
              value={shown}
              options={PRESET_NAMES.map((one) => [one, t.presets[one]] as const)}
              onChange={(one) => {
                own.value = one === 'own'
                if (one !== 'own') change(set(definition, 'schedule.cron', PRESETS[one]))
              }}
            />
            <Text
              label={t.cron}
              hint={t.cronHint}
              value={cron}
              onInput={(typed) => {
                own.value = true
                change(set(definition, 'schedule.cron', typed))
              }}
              mono
            />
            <Zone
              value={timezone}
              onChange={(name) => change(set(definition, 'schedule.timezone', name === '' ? undefined : name))}
            />
            <Choice
              label={t.missed}
              showLabel
              value={textAt(definition, 'schedule.missed') === 'skip' ? 'skip' : 'once'}
              options={[
                ['once', t.once],
                ['skip', t.skip],
              ]}
              onChange={(what) => change(set(definition, 'schedule.missed', what))}
            />
            <Text
              label={t.jitter}
              hint={t.jitterHint}
              value={textAt(definition, 'schedule.jitter')}
              onInput={(typed) => change(set(definition, 'schedule.jitter', typed === '' ? undefined : typed))}
              mono
            />
          </div>
          <NextTimes cron={cron} timezone={timezone} />
        </div>
      )}
      <Choice
        label={t.type}
        showLabel
        value={textAt(definition, 'type') === 'full' ? 'full' : 'auto'}
        options={[
          ['auto', t.types.auto],
          ['full', t.types.full],
        ]}
        onChange={(type) => change(set(definition, 'type', type === 'auto' ? undefined : type))}
      />
    </div>
  )
}

function Zone({ value, onChange }: { value: string; onChange: (zone: string) => void }) {
  const id = useId()
  return (
    <Field label={text.value.schedule.zone} id={id}>
      <input
        id={id}
        class="input"
        list={`${id}-zones`}
        value={value}
        placeholder={zone}
        onInput={(event) => onChange(event.currentTarget.value)}
      />
      <datalist id={`${id}-zones`}>
        {Intl.supportedValuesOf('timeZone').map((name) => (
          <option key={name} value={name} />
        ))}
      </datalist>
    </Field>
  )
}

/** The server computes them, as it computes the runs themselves. */
function NextTimes({ cron, timezone }: { cron: string; timezone: string }) {
  const t = text.value.schedule
  const answer = useSignal<Answer<'POST /api/v1/schedules/preview'> | undefined>(undefined)
  const error = useSignal<ApiError | undefined>(undefined)
  useEffect(() => {
    const abort = new AbortController()
    const timer = setTimeout(() => {
      api
        .call('POST /api/v1/schedules/preview', {
          body: { cron, ...(timezone !== '' && { timezone }) },
          signal: abort.signal,
        })
        .then(
          ({ data }) => {
            answer.value = data
            error.value = undefined
          },
          (thrown: unknown) => {
            if (!abort.signal.aborted) error.value = problemOf(thrown)
          },
        )
    }, PAUSE_MS)
    return () => {
      clearTimeout(timer)
      abort.abort()
    }
  }, [cron, timezone])
  return (
    <section class="panel" aria-label={t.next} aria-live="polite">
      <header>
        <h2>{t.next}</h2>
      </header>
      <div class="pad stack s">
        {error.value !== undefined ? (
          <>
            <p class="bad">✕ {error.value.message}</p>
            <p class="soft">{error.value.hint}</p>
          </>
        ) : answer.value === undefined ? (
          <p class="mute">{common.value.loading}</p>
        ) : (
          <>
            <p>
              <b>{answer.value.text}</b> <span class="mute">{timezone}</span>
            </p>
            <ol class="times">
              {answer.value.times.slice(0, 6).map((time) => (
                <li key={time}>
                  <time dateTime={time}>{exact(time, timezone === '' ? undefined : safe(timezone))}</time>
                  <span class="mute">{relative(time)}</span>
                </li>
              ))}
            </ol>
          </>
        )}
      </div>
    </section>
  )
}

/** A zone that is half typed is none. */
function safe(timezone: string): string {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: timezone }).resolvedOptions().timeZone
  } catch {
    return zone
  }
}
