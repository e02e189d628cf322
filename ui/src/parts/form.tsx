import { useSignal } from '@preact/signals'
import type { ComponentChildren, InputHTMLAttributes } from 'preact'
import { useId } from 'preact/hooks'
import { Icon } from './icon.tsx'
import { common } from './words.ts'

interface FieldProps {
  label: string
  hint?: ComponentChildren
  fault?: string | undefined
}

export function Field({ label, hint, fault, id, children }: FieldProps & { id: string; children: ComponentChildren }) {
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children}
      {fault !== undefined && (
        <span class="fault" id={`${id}-fault`}>
          {fault}
        </span>
      )}
      {hint !== undefined && (
        <span class="hint" id={`${id}-hint`}>
          {hint}
        </span>
      )}
    </div>
  )
}

interface Passed {
  type?: 'text' | 'password' | 'number' | 'email' | 'url' | 'search'
  placeholder?: string
  autocomplete?: string
  inputMode?: 'numeric' | 'text'
  required?: boolean
  disabled?: boolean
  autofocus?: boolean
}

export function Text({
  label,
  hint,
  fault,
  value,
  onInput,
  mono = false,
  ...rest
}: FieldProps & Passed & { value: string; onInput: (text: string) => void; mono?: boolean }) {
  const id = useId()
  return (
    <Field label={label} hint={hint} fault={fault} id={id}>
      <input
        // The types of JSX tell inputs apart by their type, which is only known here as one of several.
        {...(rest as InputHTMLAttributes)}
        id={id}
        class={`input${mono ? ' mono' : ''}`}
        value={value}
        spellcheck={false}
        aria-invalid={fault !== undefined}
        aria-describedby={described(id, hint, fault)}
        onInput={(event) => onInput(event.currentTarget.value)}
      />
    </Field>
  )
}

const described = (id: string, hint: unknown, fault: string | undefined): string | undefined =>
  [fault !== undefined && `${id}-fault`, hint !== undefined && `${id}-hint`].filter(Boolean).join(' ') || undefined

export function Area({
  label,
  hint,
  fault,
  value,
  onInput,
  mono = false,
  placeholder,
  rows = 3,
}: FieldProps & {
  value: string
  onInput: (text: string) => void
  mono?: boolean
  placeholder?: string
  rows?: number
}) {
  const id = useId()
  return (
    <Field label={label} hint={hint} fault={fault} id={id}>
      <textarea
        id={id}
        class={`input${mono ? ' mono' : ''}`}
        rows={rows}
        placeholder={placeholder}
        spellcheck={false}
        value={value}
        aria-describedby={described(id, hint, fault)}
        onInput={(event) => onInput(event.currentTarget.value)}
      />
    </Field>
  )
}

export function Select<V extends string>({
  label,
  hint,
  value,
  options,
  onChange,
  hideLabel = false,
}: FieldProps & {
  value: V
  options: readonly (readonly [V, string])[]
  onChange: (value: V) => void
  hideLabel?: boolean
}) {
  const id = useId()
  const select = (
    <select
      id={id}
      class="input"
      aria-label={hideLabel ? label : undefined}
      value={value}
      onChange={(event) => {
        const chosen = options.find(([one]) => one === event.currentTarget.value)
        if (chosen) onChange(chosen[0])
      }}
    >
      {options.map(([one, text]) => (
        <option key={one} value={one}>
          {text}
        </option>
      ))}
    </select>
  )
  return hideLabel ? (
    select
  ) : (
    <Field label={label} hint={hint} id={id}>
      {select}
    </Field>
  )
}

export function Check({
  label,
  hint,
  value,
  onChange,
  disabled = false,
}: {
  label: ComponentChildren
  hint?: ComponentChildren
  value: boolean
  onChange: (value: boolean) => void
  disabled?: boolean
}) {
  return (
    <label class="check">
      <input
        type="checkbox"
        checked={value}
        disabled={disabled}
        onChange={(event) => onChange(event.currentTarget.checked)}
      />
      <span>{label}</span>
      {hint !== undefined && <small>{hint}</small>}
    </label>
  )
}

/** One of a few, side by side. */
export function Choice<V extends string>({
  label,
  value,
  options,
  onChange,
  showLabel = false,
}: {
  label: string
  value: V
  options: readonly (readonly [V, string])[]
  onChange: (value: V) => void
  showLabel?: boolean
}) {
  const name = useId()
  return (
    <fieldset class="field">
      <legend class={showLabel ? 'label' : 'sr'}>{label}</legend>
      <div class="choices">
        {options.map(([one, text]) => (
          <label key={one}>
            <input type="radio" name={name} value={one} checked={one === value} onChange={() => onChange(one)} />
            {text}
          </label>
        ))}
      </div>
    </fieldset>
  )
}

/** A list of texts that grows line by line. */
export function Lines({
  label,
  hint,
  values,
  onChange,
  placeholder,
  extra,
}: {
  label: string
  hint?: ComponentChildren
  values: string[]
  onChange: (values: string[]) => void
  placeholder?: string
  /** Beside the field that adds one. */
  extra?: ComponentChildren
}) {
  const id = useId()
  const text = useSignal('')
  const add = (): void => {
    const added = text.value.trim()
    if (added !== '' && !values.includes(added)) onChange([...values, added])
    text.value = ''
  }
  return (
    <Field label={label} hint={hint} id={id}>
      {values.length > 0 && (
        <ul class="list">
          {values.map((value) => (
            <li key={value}>
              <code class="break">{value}</code>
              <button
                type="button"
                class="btn quiet icon s push"
                aria-label={`${common.value.remove}: ${value}`}
                onClick={() => onChange(values.filter((one) => one !== value))}
              >
                <Icon name="close" size={14} />
              </button>
            </li>
          ))}
        </ul>
      )}
      <div class="row">
        <input
          id={id}
          class="input mono grow"
          value={text.value}
          placeholder={placeholder}
          spellcheck={false}
          onInput={(event) => (text.value = event.currentTarget.value)}
          onBlur={add}
          onKeyDown={(event) => {
            if (event.key !== 'Enter') return
            event.preventDefault()
            add()
          }}
        />
        <button type="button" class="btn" onClick={add}>
          {common.value.add}
        </button>
        {extra}
      </div>
    </Field>
  )
}
