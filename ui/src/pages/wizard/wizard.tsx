/** A job in six steps, each with an address: new, or one that is there. */
import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { api, may } from '../../app/api.ts'
import { useLoad } from '../../app/load.ts'
import { go, pathOf, place, to } from '../../app/router.ts'
import type { PageProps } from '../../app/routes.ts'
import type { Definition } from '../../forms/definition.ts'
import { Failure, Notice, Wait } from '../../parts/notice.tsx'
import { Head } from '../../parts/page.tsx'
import { Twin } from '../../parts/twin.tsx'
import { common } from '../../parts/words.ts'
import { type Draft, dropDraft, keepDraft, keptDraft, newDraft, normal, ready, type Step, STEPS } from './draft.ts'
import { NotifyStep } from './notify-step.tsx'
import { RetentionStep } from './retention-step.tsx'
import { ReviewStep } from './review-step.tsx'
import { ScheduleStep } from './schedule-step.tsx'
import { SourceStep } from './source-step.tsx'
import { text } from './text.ts'
import { VaultsStep } from './vaults-step.tsx'
import './wizard.css'

export function Page({ params }: PageProps) {
  if (!may('admin')) return <Notice tone="warn" title={common.value.refused} />
  return params['name'] === undefined ? (
    <Wizard job={undefined} start={keptDraft(undefined) ?? newDraft()} />
  ) : (
    <Existing name={params['name']} />
  )
}

function Existing({ name }: { name: string }) {
  const job = useLoad(async (signal) => api.call('GET /api/v1/jobs/{name}', { params: { name }, signal }), [name])
  if (job.error !== undefined) return <Failure error={job.error} retry={() => job.reload()} />
  if (job.data === undefined) return <Wait lines={8} />
  const start = keptDraft(name) ?? { name, definition: normal(job.data.definition) }
  return <Wizard job={name} start={start} etag={job.etag} />
}

const VIEWS = {
  source: SourceStep,
  vaults: VaultsStep,
  schedule: ScheduleStep,
  retention: RetentionStep,
  notify: NotifyStep,
  review: ReviewStep,
}

function Wizard({ job, start, etag }: { job: string | undefined; start: Draft; etag?: string | undefined }) {
  const t = text.value
  const draft = useSignal(start)
  const dirty = useSignal(false)
  const step: Step = STEPS.find((one) => one === place.value.query.get('step')) ?? 'source'
  const at = STEPS.indexOf(step)
  const isNew = job === undefined
  useEffect(() => {
    if (dirty.value) keepDraft(job, draft.value)
  }, [draft.value])
  const update = (next: Draft): void => {
    dirty.value = true
    draft.value = next
  }
  const address = (one: Step): string => to(place.value.path, { step: one })
  // A step whose forerunners lack something cannot be reached.
  const firstOpen = STEPS.findIndex((one) => !ready(draft.value, one))
  const reachable = (one: Step): boolean => firstOpen === -1 || STEPS.indexOf(one) <= firstOpen
  useEffect(() => {
    if (!reachable(step)) go(address(STEPS[firstOpen] ?? 'source'), { replace: true })
  }, [step])
  const View = VIEWS[step]
  const props = {
    draft: draft.value,
    isNew,
    change: (definition: Definition) => update({ ...draft.value, definition }),
    rename: (name: string) => update({ ...draft.value, name }),
  }
  const before = STEPS[at - 1]
  const after = STEPS[at + 1]
  return (
    <>
      <Head
        title={isNew ? t.title : t.edit(job)}
        crumbs={[[t.backups, to('/backups')], ...(isNew ? [] : [[job, to(pathOf('jobs', job))] as [string, string]])]}
        sub={
          dirty.value || keptDraft(job) !== undefined ? (
            <>
              {t.draft}{' '}
              <button
                type="button"
                class="btn quiet s"
                onClick={() => {
                  dropDraft(job)
                  window.location.reload()
                }}
              >
                {t.discard}
              </button>
            </>
          ) : undefined
        }
      />
      <ol class="steps" aria-label={t.step(at + 1)}>
        {STEPS.map((one, n) => (
          <li key={one} class={n < at ? 'done' : ''}>
            <a
              href={address(one)}
              aria-current={one === step ? 'step' : undefined}
              aria-disabled={!reachable(one)}
              tabIndex={reachable(one) ? 0 : -1}
            >
              <span aria-hidden="true">{n < at && ready(draft.value, one) ? '✓' : n + 1}</span>
              {t.steps[one]}
            </a>
          </li>
        ))}
      </ol>
      <div class="step">
        <View key={step} {...props} etag={etag} onDone={() => dropDraft(job)} />
      </div>
      {step !== 'review' && (
        <div class="row below">
          {before !== undefined && (
            <a class="btn" href={address(before)}>
              {common.value.back}
            </a>
          )}
          {after !== undefined && (
            <a
              class="btn primary"
              href={address(after)}
              aria-disabled={!ready(draft.value, step)}
              tabIndex={ready(draft.value, step) ? 0 : -1}
            >
              {common.value.next}
            </a>
          )}
        </div>
      )}
      <Twin
        cli={`holdfast job apply ${draft.value.name.trim() === '' ? 'job' : draft.value.name.trim().replaceAll(' ', '-')}.yaml`}
        http={isNew ? 'POST /api/v1/jobs' : `PUT /api/v1/jobs/${job}`}
      />
    </>
  )
}
