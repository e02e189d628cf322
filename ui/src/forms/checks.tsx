import { type ApiError, ApiError as Problem } from '../app/api.ts'
import { words } from '../app/language.ts'
import { Failure } from '../parts/notice.tsx'

export interface CheckAnswer {
  ok: boolean
  checks: { name: string; ok: boolean; detail: string; fix?: string | undefined }[]
  error?: { code: string; message: string; hint: string } | undefined
}

const text = words({
  en: { fine: 'Works', not: 'Does not work yet', how: 'Mend it by' },
  de: { fine: 'Geht', not: 'Geht noch nicht', how: 'So geht es' },
})

/** What a test found, step by step, with what mends it. */
export function Checks({ of, error }: { of: CheckAnswer | undefined; error?: ApiError | undefined }) {
  const t = text.value
  if (error !== undefined) return <Failure error={error} />
  if (of === undefined) return null
  if (of.error !== undefined && of.checks.length === 0) return <Failure error={new Problem(400, of.error)} />
  return (
    <div class="checks" role="status">
      <p>
        <b class={of.ok ? 'ok' : 'bad'}>
          {of.ok ? '✓' : '✕'} {of.ok ? t.fine : t.not}
        </b>
      </p>
      <ul>
        {of.checks.map(({ name, ok, detail, fix }) => (
          <li key={name}>
            <span class={ok ? 'ok' : 'bad'} role="img" aria-label={ok ? t.fine : t.not}>
              {ok ? '✓' : '✕'}
            </span>
            <span>
              <b>{name}</b> <span class="soft">{detail}</span>
              {fix !== undefined && (
                <span class="fix">
                  {t.how} <code>{fix}</code>
                </span>
              )}
            </span>
          </li>
        ))}
      </ul>
      {of.error !== undefined && <Failure error={new Problem(400, of.error)} />}
    </div>
  )
}
