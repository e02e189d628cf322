import { useSignal } from '@preact/signals'
import type { ComponentChildren } from 'preact'
import { useId, useRef } from 'preact/hooks'
import { Icon, type IconName } from './icon.tsx'
import { common } from './words.ts'

export interface MenuItem {
  text: string
  icon?: IconName
  danger?: boolean
  run: () => void
}

/** A native popover below its button; closes by Escape, by a click elsewhere, and after a choice. */
export function Menu({
  items,
  label,
  children,
  kind = 'btn quiet icon s',
}: {
  items: (MenuItem | '-')[]
  label?: string
  children?: ComponentChildren
  kind?: string
}) {
  const id = useId()
  const box = useRef<HTMLDivElement>(null)
  const button = useRef<HTMLButtonElement>(null)
  const open = useSignal(false)
  const put = (): void => {
    const at = button.current?.getBoundingClientRect()
    if (at === undefined || box.current === null) return
    const { offsetWidth, offsetHeight } = box.current
    const below = at.bottom + 4 + offsetHeight < window.innerHeight
    box.current.style.left = `${Math.max(8, Math.min(at.right - offsetWidth, window.innerWidth - offsetWidth - 8))}px`
    box.current.style.top = `${below ? at.bottom + 4 : Math.max(8, at.top - offsetHeight - 4)}px`
  }
  return (
    <>
      <button
        ref={button}
        type="button"
        class={kind}
        popoverTarget={id}
        aria-label={children === undefined ? (label ?? common.value.actions) : undefined}
        title={children === undefined ? (label ?? common.value.actions) : undefined}
      >
        {children ?? <Icon name="more" />}
      </button>
      <div
        ref={box}
        id={id}
        popover="auto"
        class="menu"
        onBeforeToggle={(event) => {
          // Of a hundred menus on a page nobody opens more than one.
          open.value = event.newState === 'open'
          // Before the items go, and the focus with them.
          if (!open.value && box.current?.contains(document.activeElement)) button.current?.focus()
        }}
        onToggle={(event) => {
          if (event.newState !== 'open') return
          put()
          box.current?.querySelector('button')?.focus()
        }}
        onKeyDown={(event) => {
          const step = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0
          if (step === 0) return
          event.preventDefault()
          const all = [...(box.current?.querySelectorAll('button') ?? [])]
          const at = all.findIndex((one) => one === document.activeElement)
          all[(at + step + all.length) % all.length]?.focus()
        }}
      >
        {(open.value ? items : []).map((item, at) =>
          item === '-' ? (
            <hr key={at} />
          ) : (
            <button
              key={at}
              type="button"
              class={item.danger ? 'danger' : ''}
              onClick={() => {
                box.current?.hidePopover()
                item.run()
              }}
            >
              {item.icon && <Icon name={item.icon} size={15} />}
              {item.text}
            </button>
          ),
        )}
      </div>
    </>
  )
}
