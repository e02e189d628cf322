import { useSignal } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'
import { api, type ApiError, problemOf } from '../../app/api.ts'
import { connected } from '../../app/live.ts'
import { second } from '../../format/time.ts'
import { Check, Choice } from '../../parts/form.tsx'
import { Icon } from '../../parts/icon.tsx'
import { Failure, Wait } from '../../parts/notice.tsx'
import { Panel } from '../../parts/page.tsx'
import { type LogLine, parseLine } from './log-line.ts'
import { text } from './text.ts'

type Level = 'debug' | 'info' | 'warn' | 'error'

/** More lines are in the download: a page of a hundred thousand is of no use. */
const SHOWN = 2000
const PAUSE_MS = 120

export function RunLog({ id, live, there }: { id: string; live: boolean; there: boolean }) {
  const t = text.value
  const level = useSignal<Level>('info')
  const follow = useSignal(true)
  const lines = useSignal<LogLine[] | undefined>(undefined)
  const cut = useSignal(false)
  const error = useSignal<ApiError | undefined>(undefined)
  const box = useRef<HTMLPreElement>(null)
  const online = connected.value

  useEffect(() => {
    if (!there || !online) return undefined
    const abort = new AbortController()
    error.value = undefined
    void read(id, level.value, live, abort.signal, (all, isCut) => {
      lines.value = all
      cut.value = isCut
    }).catch((thrown: unknown) => {
      if (!abort.signal.aborted) error.value = problemOf(thrown)
    })
    return () => abort.abort()
  }, [id, level.value, live, there, online])

  useEffect(() => {
    if (follow.value && live && box.current) box.current.scrollTop = box.current.scrollHeight
  }, [lines.value, follow.value])

  return (
    <Panel
      title={t.log}
      actions={
        there && (
          <>
            <Choice
              label={t.level}
              value={level.value}
              options={(['debug', 'info', 'warn', 'error'] as const).map((one) => [one, t.levels[one]] as const)}
              onChange={(one) => {
                lines.value = undefined
                level.value = one
              }}
            />
            {live && <Check label={t.follow} value={follow.value} onChange={(on) => (follow.value = on)} />}
            <a
              class="btn s"
              href={api.url('GET /api/v1/runs/{id}/log', { params: { id }, query: { download: 'true' } })}
              download
            >
              <Icon name="down" size={14} />
              {t.download}
            </a>
          </>
        )
      }
    >
      {!there ? (
        <p class="pad mute">{t.noLog}</p>
      ) : error.value !== undefined ? (
        <div class="pad">
          <Failure error={error.value} />
        </div>
      ) : lines.value === undefined ? (
        <Wait />
      ) : (
        <pre class="log" ref={box} tabIndex={0} role="log" aria-label={t.log} aria-live="off">
          {cut.value && <span class="mute">{`${t.cut}\n`}</span>}
          {lines.value.length === 0 && <span class="mute">{t.emptyLog}</span>}
          {lines.value.map(({ time, level: its, message, fields }, at) => (
            <span key={at} class={its === 'warn' ? 'warn' : its === 'error' ? 'bad' : ''}>
              {time !== undefined && <time dateTime={time}>{second(time)}</time>} <b>{message}</b> {fields}
              {'\n'}
            </span>
          ))}
        </pre>
      )}
    </Panel>
  )
}

/** Reads line by line, and goes on while the run lives; tells what there is so far, not for each line. */
async function read(
  id: string,
  level: Level,
  follow: boolean,
  signal: AbortSignal,
  tell: (lines: LogLine[], cut: boolean) => void,
): Promise<void> {
  const response = await api.stream('GET /api/v1/runs/{id}/log', {
    params: { id },
    query: { level, ...(follow && { follow: 'true' }) },
    signal,
  })
  let lines: LogLine[] = []
  let cut = false
  let timer: ReturnType<typeof setTimeout> | undefined
  const soon = (): void => {
    timer ??= setTimeout(() => {
      timer = undefined
      tell(lines, cut)
    }, PAUSE_MS)
  }
  signal.addEventListener('abort', () => clearTimeout(timer))
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ''
  for (;;) {
    const next = await reader?.read()
    if (next === undefined || next.done) break
    const parts = (rest + next.value).split('\n')
    rest = parts.pop() ?? ''
    lines = [...lines, ...parts.filter((part) => part !== '').map((part) => parseLine(part))]
    if (lines.length > SHOWN) {
      cut = true
      lines = lines.slice(-SHOWN)
    }
    soon()
  }
  clearTimeout(timer)
  tell(lines, cut)
}
