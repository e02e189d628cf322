import { useSignal } from '@preact/signals'
import type { ComponentChildren } from 'preact'
import { type ApiError, problemOf } from '../app/api.ts'
import { Icon, type IconName } from './icon.tsx'
import { tell } from './toast.tsx'

/** A button whose work takes a moment: it shows so, and tells what went wrong. */
export function Act({
  run,
  children,
  kind = '',
  icon,
  label,
  disabled = false,
  onError,
}: {
  run: () => Promise<unknown>
  children?: ComponentChildren
  kind?: string
  icon?: IconName
  label?: string
  disabled?: boolean
  onError?: (error: ApiError) => void
}) {
  const busy = useSignal(false)
  const start = async (): Promise<void> => {
    busy.value = true
    try {
      await run()
    } catch (thrown) {
      const error = problemOf(thrown)
      if (onError === undefined) tell('bad', error.message, error.hint)
      else onError(error)
    }
    busy.value = false
  }
  return (
    <button
      type="button"
      class={`btn ${kind}`}
      disabled={disabled || busy.value}
      aria-label={label}
      title={label}
      onClick={() => void start()}
    >
      {busy.value ? <span class="spin" /> : icon && <Icon name={icon} size={15} />}
      {children}
    </button>
  )
}
