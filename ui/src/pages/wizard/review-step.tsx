import { useSignal } from '@preact/signals'
import { type Answer, api, ApiError, problemOf } from '../../app/api.ts'
import { useLoad } from '../../app/load.ts'
import { go, pathOf, place, to } from '../../app/router.ts'
import { Act } from '../../parts/button.tsx'
import { Failure, Notice } from '../../parts/notice.tsx'
import { Panel, Shown } from '../../parts/page.tsx'
import { Time } from '../../parts/time.tsx'
import { tell } from '../../parts/toast.tsx'
import { common } from '../../parts/words.ts'
import { runNow } from '../jobs/jobs.tsx'
import type { StepProps } from './draft.ts'
import { text } from './text.ts'
import { newKey } from '../../app/new-key.ts'

type Checked = Answer<'POST /api/v1/jobs/check'>

export function ReviewStep({
  draft,
  isNew,
  etag,
  onDone,
}: StepProps & { etag?: string | undefined; onDone: () => void }) {
  const t = text.value.review
  const name = draft.name.trim()
  const { definition } = draft
  const checked = useLoad(
    async (signal) => api.call('POST /api/v1/jobs/check', { body: { name, definition }, signal }),
    [JSON.stringify(draft)],
  )
  const error = useSignal<ApiError | undefined>(undefined)
  const save = async (): Promise<void> => {
    error.value = undefined
    if (isNew) await api.call('POST /api/v1/jobs', { body: { name, definition }, idempotencyKey: newKey() })
    else await api.call('PUT /api/v1/jobs/{name}', { params: { name }, body: { definition }, ifMatch: etag ?? '' })
    onDone()
    tell('ok', t.exists)
  }
  const failed = (problem: ApiError): void => {
    error.value = problemOf(problem)
  }
  const ok = checked.data?.ok === true
  return (
    <div class="stack">
      <Shown of={checked}>{(data) => <Said checked={data} />}</Shown>
      {error.value !== undefined && <Failure error={error.value} />}
      <div class="row">
        <a class="btn" href={to(place.value.path, { step: 'notify' })}>
          {common.value.back}
        </a>
        {isNew ? (
          <>
            <Act
              kind="primary"
              disabled={!ok}
              onError={failed}
              run={async () => {
                await save()
                await runNow(name)
              }}
            >
              {t.createRun}
            </Act>
            <Act
              disabled={!ok}
              onError={failed}
              run={async () => {
                await save()
                go(to(pathOf('jobs', name)))
              }}
            >
              {t.create}
            </Act>
          </>
        ) : (
          <Act
            kind="primary"
            disabled={!ok}
            onError={failed}
            run={async () => {
              await save()
              go(to(pathOf('jobs', name)))
            }}
          >
            {t.save}
          </Act>
        )}
      </div>
    </div>
  )
}

function Said({ checked }: { checked: Checked }) {
  const t = text.value.review
  const [next] = checked.next
  return (
    <>
      {!checked.ok && (
        <Notice tone="bad" title={t.faults}>
          <ul>
            {checked.faults.map(({ key, message }) => (
              <li key={`${key} ${message}`}>
                {key !== undefined && <code>{key}</code>} {message}
              </li>
            ))}
          </ul>
        </Notice>
      )}
      {checked.sentence !== undefined && (
        <Panel title={t.sentence} pad>
          <p class="sentence">{checked.sentence}</p>
          {next !== undefined && (
            <p class="soft">
              {t.next} <Time at={next} />
            </p>
          )}
        </Panel>
      )}
      {checked.yaml !== '' && (
        <Panel title={t.yaml}>
          <pre class="code bare" tabIndex={0}>
            {checked.yaml}
          </pre>
        </Panel>
      )}
    </>
  )
}
