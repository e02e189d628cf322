import { Check, Lines, Text } from '../parts/form.tsx'
import { type Definition, get, HIDDEN, set, textAt, textsAt } from './definition.ts'
import { fieldWords } from './field-words.ts'
import type { FieldSpec } from './specs.ts'

/** The fields of one kind of source, storage or notifier. */
export function Fields({
  specs,
  value,
  onChange,
}: {
  specs: readonly FieldSpec[]
  value: Definition
  onChange: (value: Definition) => void
}) {
  const t = fieldWords.value
  const usual = specs.filter(({ rare }) => rare !== true)
  const rest = specs.filter(({ rare }) => rare === true)
  const show = (spec: FieldSpec) => <OneField key={spec.path} spec={spec} value={value} onChange={onChange} />
  return (
    <>
      <div class="grid2">{usual.map(show)}</div>
      {rest.length > 0 && (
        <details class="rest" open={rest.some(({ path }) => get(value, path) !== undefined)}>
          <summary>{t.more}</summary>
          <div class="grid2">{rest.map(show)}</div>
        </details>
      )}
    </>
  )
}

function OneField({
  spec,
  value,
  onChange,
}: {
  spec: FieldSpec
  value: Definition
  onChange: (value: Definition) => void
}) {
  const t = fieldWords.value
  const { path, kind, word, placeholder, required } = spec
  const label = t[word]
  const change = (to: unknown): void => onChange(set(value, path, to))
  if (kind === 'flag')
    return (
      <Check
        label={label}
        value={get(value, path) === undefined ? spec.fallback === true : get(value, path) === true}
        onChange={(on) => change(on === spec.fallback ? undefined : on)}
      />
    )
  if (kind === 'texts')
    return (
      <Lines
        label={label}
        values={textsAt(value, path)}
        placeholder={placeholder ?? ''}
        onChange={(texts) => change(texts.length === 0 ? undefined : texts)}
      />
    )
  const now = textAt(value, path)
  if (kind === 'secret') {
    const kept = now === HIDDEN
    return (
      <Text
        label={label}
        hint={kept ? t.secretKept : t.secretHint}
        type="password"
        autocomplete="new-password"
        value={kept ? '' : now}
        placeholder={kept ? '••••••••' : (placeholder ?? '')}
        onInput={(text) => change(text === '' ? (kept ? HIDDEN : undefined) : text)}
        mono
        {...(required && !kept && { required })}
      />
    )
  }
  return (
    <Text
      label={label}
      value={now}
      placeholder={placeholder ?? ''}
      mono={kind !== 'text'}
      {...(kind === 'number' && { inputMode: 'numeric' as const })}
      {...(required && { required })}
      onInput={(text) =>
        change(text === '' ? undefined : kind === 'number' && /^\d+$/.test(text) ? Number(text) : text)
      }
    />
  )
}

/** Whether what must be there is. */
export const complete = (specs: readonly FieldSpec[], value: Definition): boolean =>
  specs.every(({ path, required }) => required !== true || (get(value, path) ?? '') !== '')
