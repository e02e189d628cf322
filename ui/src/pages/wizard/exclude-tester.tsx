/** What the rules take and leave, while they are typed: files and bytes for each rule. */
import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { type Answer, api, type ApiError, problemOf } from '../../app/api.ts'
import { number } from '../../app/language.ts'
import { Bar } from '../../charts/bar.tsx'
import { type Definition, textsAt } from '../../forms/definition.ts'
import { size } from '../../format/size.ts'
import { Failure } from '../../parts/notice.tsx'
import { text } from './text.ts'

/** After the last key. */
const PAUSE_MS = 400

export function ExcludeTester({ source }: { source: Definition }) {
  const t = text.value.tester
  const answer = useSignal<Answer<'POST /api/v1/sources/exclude'> | undefined>(undefined)
  const error = useSignal<ApiError | undefined>(undefined)
  const busy = useSignal(false)
  const body = {
    paths: textsAt(source, 'paths'),
    exclude: textsAt(source, 'exclude'),
    include: textsAt(source, 'include'),
    excludeIfPresent: textsAt(source, 'excludeIfPresent'),
  }
  const key = JSON.stringify(body)
  const none = body.paths.length === 0
  useEffect(() => {
    if (none) return undefined
    const abort = new AbortController()
    busy.value = true
    const timer = setTimeout(() => {
      api
        .call('POST /api/v1/sources/exclude', { body, signal: abort.signal })
        .then(
          ({ data }) => {
            answer.value = data
            error.value = undefined
          },
          (thrown: unknown) => {
            if (!abort.signal.aborted) error.value = problemOf(thrown)
          },
        )
        .finally(() => {
          if (!abort.signal.aborted) busy.value = false
        })
    }, PAUSE_MS)
    return () => {
      clearTimeout(timer)
      abort.abort()
    }
  }, [key])
  const found = answer.value
  return (
    <section class="panel tester" aria-label={t.title} aria-live="polite" aria-busy={busy.value}>
      <header>
        <h2>{t.title}</h2>
        {busy.value && !none && <span class="spin" />}
      </header>
      <div class="pad stack s">
        {error.value !== undefined ? (
          <Failure error={error.value} />
        ) : none || found === undefined ? (
          <p class="mute">{t.none}</p>
        ) : (
          <>
            <p>
              <b class="big">{size(found.bytes)}</b>{' '}
              <span class="soft">
                {t.count(found.files)} {t.taken}
              </span>
            </p>
            <Bar
              share={found.bytes / Math.max(1, found.bytes + found.excludedBytes)}
              label={`${size(found.bytes)} ${t.taken}, ${size(found.excludedBytes)} ${t.left}`}
            />
            <p class="mute small">
              {size(found.excludedBytes)} · {t.count(found.excludedFiles)} {t.left}
            </p>
            {found.rules.length > 0 && (
              <table class="rules">
                <thead>
                  <tr>
                    <th>{t.rule}</th>
                    <th class="num">{t.files}</th>
                    <th class="num">{t.bytes}</th>
                  </tr>
                </thead>
                <tbody>
                  {found.rules.map(({ rule, files, bytes, examples }) => (
                    <tr key={rule} title={examples.join('\n')}>
                      <td class="break">
                        <code>{rule}</code>
                        {files === 0 && <small class="warn">{t.nothing}</small>}
                        {examples[0] !== undefined && <small class="break">{examples[0]}</small>}
                      </td>
                      <td class="num">{number(files)}</td>
                      <td class="num">{size(bytes)}</td>
                    </tr>
                  ))}
                </tbody>
              </table>
            )}
            {!found.complete && <p class="mute small">{t.partly}</p>}
          </>
        )}
      </div>
    </section>
  )
}
