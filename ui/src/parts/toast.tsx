import { signal } from '@preact/signals'
import { Notice } from './notice.tsx'
import { Icon } from './icon.tsx'
import { common } from './words.ts'

interface Toast {
  id: number
  tone: 'ok' | 'warn' | 'bad'
  title: string
  detail: string
}

const toasts = signal<Toast[]>([])
const SHOWN_MS = { ok: 4000, warn: 9000, bad: 12_000 }
let last = 0

/** Says in a corner what became of something. */
export function tell(tone: Toast['tone'], title: string, detail = ''): void {
  last += 1
  const id = last
  toasts.value = [...toasts.value.slice(-3), { id, tone, title, detail }]
  setTimeout(() => close(id), SHOWN_MS[tone])
}

const close = (id: number): void => {
  toasts.value = toasts.value.filter((one) => one.id !== id)
}

export function Toasts() {
  return (
    <div class="toasts" aria-live="polite">
      {toasts.value.map(({ id, tone, title, detail }) => (
        <Notice
          key={id}
          tone={tone}
          title={title}
          actions={
            <button type="button" class="btn quiet icon s" aria-label={common.value.close} onClick={() => close(id)}>
              <Icon name="close" size={14} />
            </button>
          }
        >
          {detail === '' ? undefined : detail}
        </Notice>
      ))}
    </div>
  )
}
