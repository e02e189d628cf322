/** What changed within a text file, from one backup to another. */
import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { type ApiError, problemOf } from '../../app/api.ts'
import { Failure, Wait } from '../../parts/notice.tsx'
import { hunks, lineDiff, type DiffLine } from './line-diff.ts'
import { look, TEXT_SHOWN } from './look.ts'
import { text } from './text.ts'

const SIGN = { same: ' ', added: '+', removed: '−' } as const
const TAG = { same: 'span', added: 'ins', removed: 'del' } as const

interface Props {
  vault: string
  before: string
  after: string
  path: string
}

export function TextChanges({ vault, before, after, path }: Props) {
  const t = text.value
  const lines = useSignal<DiffLine[] | 'binary' | undefined>(undefined)
  const error = useSignal<ApiError | undefined>(undefined)
  useEffect(() => {
    const abort = new AbortController()
    const item = { path, name: path, size: TEXT_SHOWN }
    Promise.all([before, after].map(async (id) => look(id, vault, item, abort.signal))).then(
      ([one, other]) => {
        lines.value = one?.kind === 'text' && other?.kind === 'text' ? lineDiff(one.text, other.text) : 'binary'
      },
      (thrown: unknown) => {
        if (!abort.signal.aborted) error.value = problemOf(thrown)
      },
    )
    return () => abort.abort()
  }, [vault, before, after, path])

  if (error.value !== undefined) return <Failure error={error.value} />
  if (lines.value === undefined) return <Wait lines={3} />
  if (lines.value === 'binary') return <p class="mute">{t.previewBinary}</p>
  if (lines.value.every(({ kind }) => kind === 'same')) return <p class="mute">{t.sameLines}</p>
  return (
    <pre class="line-diff" tabIndex={0}>
      {hunks(lines.value).map((one, at) =>
        typeof one === 'number' ? (
          <i key={at}>{t.unchanged(one)}</i>
        ) : (
          one.map(({ kind, text: line }, n) => {
            const Line = TAG[kind]
            return (
              <Line key={`${at} ${n}`}>
                <b aria-hidden="true">{SIGN[kind]}</b> {line}
                {'\n'}
              </Line>
            )
          })
        ),
      )}
    </pre>
  )
}
