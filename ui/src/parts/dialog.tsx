import { useSignal } from '@preact/signals'
import type { ComponentChildren } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import { type ApiError, problemOf } from '../app/api.ts'
import { Failure } from './notice.tsx'
import { Text } from './form.tsx'
import { common } from './words.ts'

/** A native modal dialog: shown while it is rendered. */
export function Dialog({
  title,
  onClose,
  children,
  wide = false,
}: {
  title: string
  onClose: () => void
  children: ComponentChildren
  wide?: boolean
}) {
  const box = useRef<HTMLDialogElement>(null)
  useEffect(() => {
    const before = document.activeElement
    box.current?.showModal()
    return () => {
      if (before instanceof HTMLElement) before.focus()
    }
  }, [])
  return (
    <dialog
      ref={box}
      class={wide ? 'wide' : ''}
      aria-label={title}
      onClose={onClose}
      onClick={(event) => {
        if (event.target === box.current) onClose()
      }}
    >
      <div class="body">
        <h2>{title}</h2>
        {children}
      </div>
    </dialog>
  )
}

/** Says what will be lost, and asks for the name where that is much. */
export function Confirm({
  title,
  children,
  action,
  name,
  run,
  onClose,
  danger = true,
}: {
  title: string
  children: ComponentChildren
  action: string
  /** To be typed. */
  name?: string
  run: () => Promise<unknown>
  onClose: () => void
  danger?: boolean
}) {
  const typed = useSignal('')
  const busy = useSignal(false)
  const error = useSignal<ApiError | undefined>(undefined)
  const start = async (): Promise<void> => {
    busy.value = true
    error.value = undefined
    try {
      await run()
      onClose()
    } catch (thrown) {
      error.value = problemOf(thrown)
      busy.value = false
    }
  }
  return (
    <Dialog title={title} onClose={onClose}>
      <div class="soft stack s">{children}</div>
      {name !== undefined && (
        <Text label={common.value.typeName(name)} value={typed.value} onInput={(text) => (typed.value = text)} mono />
      )}
      {error.value && <Failure error={error.value} />}
      <div class="buttons">
        <button type="button" class="btn" onClick={onClose}>
          {common.value.cancel}
        </button>
        <button
          type="button"
          class={`btn ${danger ? 'danger' : 'primary'}`}
          disabled={busy.value || (name !== undefined && typed.value !== name)}
          onClick={() => void start()}
        >
          {busy.value && <span class="spin" />}
          {action}
        </button>
      </div>
    </Dialog>
  )
}
