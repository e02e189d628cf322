import type { ComponentChildren } from 'preact'
import type { ApiError } from '../app/api.ts'
import { Icon, type IconName } from './icon.tsx'
import { common } from './words.ts'

export function Notice({
  tone,
  title,
  children,
  actions,
}: {
  tone: 'ok' | 'warn' | 'bad'
  title: ComponentChildren
  children?: ComponentChildren
  actions?: ComponentChildren
}) {
  return (
    <div class={`notice ${tone}`} role={tone === 'ok' ? 'status' : 'alert'}>
      <span class="mark" aria-hidden="true">
        {tone === 'ok' ? '✓' : tone === 'warn' ? '!' : '✕'}
      </span>
      <div>
        <p>
          <b>{title}</b>
        </p>
        {children !== undefined && <div class="soft">{children}</div>}
      </div>
      {actions !== undefined && <div class="row">{actions}</div>}
    </div>
  )
}

/** What went wrong, in the words of the server, with what to do. */
export function Failure({ error, retry, title }: { error: ApiError; retry?: () => void; title?: string }) {
  const t = common.value
  const first = title ?? (error.status === 0 ? t.offline : error.status === 403 ? t.refused : undefined)
  return (
    <Notice
      tone="bad"
      title={first ?? sentence(error.message)}
      actions={
        retry && (
          <button type="button" class="btn s" onClick={retry}>
            {t.retry}
          </button>
        )
      }
    >
      {first !== undefined && <p>{sentence(error.message)}</p>}
      {error.faults.map(({ key, message }) => (
        <p key={`${key} ${message}`}>
          {key !== undefined && <code>{key}</code>} {message}
        </p>
      ))}
      {error.hint !== '' && <p>{error.hint}</p>}
    </Notice>
  )
}

/** Messages of the server are lower case and without a full stop. */
const sentence = (text: string): string => text.slice(0, 1).toUpperCase() + text.slice(1)

export function Wait({ lines = 4 }: { lines?: number }) {
  return (
    <div class="wait" role="status" aria-label={common.value.loading}>
      {Array.from({ length: lines }, (_, at) => (
        <i key={at} />
      ))}
    </div>
  )
}

export function Empty({
  icon,
  title,
  children,
  action,
}: {
  icon?: IconName
  title: string
  children?: ComponentChildren
  action?: ComponentChildren
}) {
  return (
    <div class="empty">
      {icon && <Icon name={icon} size={28} />}
      <b>{title}</b>
      {children !== undefined && <p>{children}</p>}
      {action}
    </div>
  )
}
