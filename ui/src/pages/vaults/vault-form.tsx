/** A vault to be: used by its page, the wizard and the set-up. */
import { useSignal } from '@preact/signals'
import { type Answer, api, type ApiError, problemOf } from '../../app/api.ts'
import { BrowseButton } from '../../forms/browse.tsx'
import { Checks } from '../../forms/checks.tsx'
import { type Definition, get, HIDDEN, objectAt, set, textAt } from '../../forms/definition.ts'
import { complete, Fields } from '../../forms/fields.tsx'
import { fieldWords } from '../../forms/field-words.ts'
import { STORAGES } from '../../forms/specs.ts'
import { Act } from '../../parts/button.tsx'
import { Text } from '../../parts/form.tsx'
import { text } from './text.ts'
import './vaults.css'

type Found = Answer<'POST /api/v1/vaults/test'>

export interface VaultDraft {
  name: string
  definition: Definition
}

export const newVault = (): VaultDraft => ({
  name: '',
  definition: { storage: { type: 'file' }, format: 'repository' },
})

/** A storage that is one URL is left to be edited as such. */
const isUrl = (definition: Definition): boolean => typeof get(definition, 'storage') === 'string'

export function vaultComplete({ name, definition }: VaultDraft): boolean {
  if (name.trim() === '') return false
  if (textAt(definition, 'format') !== 'archive' && textAt(definition, 'password') === '') return false
  if (isUrl(definition)) return textAt(definition, 'storage') !== ''
  return complete(STORAGES[textAt(definition, 'storage.type')] ?? [], objectAt(definition, 'storage'))
}

/** An archive with a password is one that is encrypted; without one it is not. */
export function vaultDefinition({ definition }: VaultDraft): Definition {
  if (textAt(definition, 'format') !== 'archive' || get(definition, 'encryption') !== undefined) return definition
  return textAt(definition, 'password') === '' ? definition : set(definition, 'encryption', { type: 'aes-256-gcm' })
}

/** Backups that are there already become known; of a new place there is nothing to list, which is no failure. */
export async function adopt(name: string): Promise<void> {
  await api.call('POST /api/v1/vaults/{name}/refresh', { params: { name } }).catch(() => undefined)
}

export function VaultForm({
  draft,
  onChange,
  isNew,
}: {
  draft: VaultDraft
  onChange: (draft: VaultDraft) => void
  isNew: boolean
}) {
  const t = text.value
  const found = useSignal<Found | undefined>(undefined)
  const error = useSignal<ApiError | undefined>(undefined)
  const { name, definition } = draft
  const type = textAt(definition, 'storage.type')
  const change = (next: Definition): void => {
    found.value = undefined
    error.value = undefined
    onChange({ name, definition: next })
  }
  const kept = textAt(definition, 'password') === HIDDEN
  const format = textAt(definition, 'format') === 'archive' ? 'archive' : 'repository'
  return (
    <div class="vault-form">
      {isNew && (
        <Text
          label={t.name}
          hint={t.nameHint}
          value={name}
          placeholder="offsite"
          onInput={(typed) => onChange({ name: typed, definition })}
          required
        />
      )}
      <fieldset class="stack s">
        <legend class="strong">{t.where}</legend>
        {isUrl(definition) ? (
          <Text
            label={t.where}
            value={textAt(definition, 'storage')}
            onInput={(typed) => change(set(definition, 'storage', typed))}
            mono
          />
        ) : (
          <>
            <div class="cards">
              {Object.keys(STORAGES).map((one) => (
                <label key={one} class="card">
                  <input
                    type="radio"
                    name="storage-type"
                    checked={type === one}
                    onChange={() => change(set(definition, 'storage', { type: one }))}
                  />
                  <b>{t.types[one]}</b>
                  <small>{t.typeHints[one]}</small>
                </label>
              ))}
            </div>
            <Fields
              key={type}
              specs={STORAGES[type] ?? []}
              value={objectAt(definition, 'storage')}
              onChange={(storage) => change(set(definition, 'storage', storage))}
            />
            {type === 'file' && (
              <div>
                <BrowseButton files={false} onTake={(path) => change(set(definition, 'storage.path', path))} />
              </div>
            )}
          </>
        )}
      </fieldset>
      {isNew && (
        <fieldset class="stack s">
          <legend class="strong">{t.format}</legend>
          <div class="cards">
            {(['repository', 'archive'] as const).map((one) => (
              <label key={one} class="card">
                <input
                  type="radio"
                  name="vault-format"
                  checked={format === one}
                  onChange={() => change(set(definition, 'format', one))}
                />
                <b>{t.formats[one]}</b>
                <small>{t.formatHints[one]}</small>
              </label>
            ))}
          </div>
        </fieldset>
      )}
      <Text
        label={t.password}
        hint={
          kept
            ? fieldWords.value.secretKept
            : format === 'archive'
              ? `${t.passwordHint} ${t.passwordPlain}`
              : t.passwordHint
        }
        type="password"
        autocomplete="new-password"
        value={kept ? '' : textAt(definition, 'password')}
        placeholder={kept ? '••••••••' : ''}
        onInput={(typed) => change(set(definition, 'password', typed === '' ? (kept ? HIDDEN : undefined) : typed))}
        mono
      />
      <details class="rest" open={get(definition, 'limits') !== undefined}>
        <summary>{t.limits}</summary>
        <div class="grid2">
          {(['warn', 'stop'] as const).map((one) => (
            <Text
              key={one}
              label={t[one]}
              hint={t.sizeHint}
              value={textAt(definition, `limits.${one}`)}
              onInput={(typed) => change(set(definition, `limits.${one}`, typed === '' ? undefined : typed))}
              mono
            />
          ))}
        </div>
      </details>
      <details class="rest" open={get(definition, 'check') !== undefined}>
        <summary>{t.check}</summary>
        <div class="grid2">
          <Text
            label={t.checkEvery}
            hint={t.checkEveryHint}
            value={textAt(definition, 'check.every')}
            onInput={(typed) =>
              change(typed === '' ? set(definition, 'check', undefined) : set(definition, 'check.every', typed))
            }
            mono
          />
          <Text
            label={t.checkShare}
            hint={t.checkShareHint}
            value={textAt(definition, 'check.readData')}
            onInput={(typed) => change(set(definition, 'check.readData', typed === '' ? undefined : typed))}
            mono
          />
        </div>
      </details>
      <Checks of={found.value} error={error.value} />
      {found.value?.ok === true && found.value.found !== undefined && <p class="soft">{t.found[found.value.found]}</p>}
      <div>
        <Act
          disabled={!vaultComplete(draft)}
          run={async () => {
            found.value = undefined
            error.value = undefined
            const body = { name: name.trim(), definition: vaultDefinition(draft) }
            found.value = (await api.call('POST /api/v1/vaults/test', { body })).data
          }}
          onError={(problem) => (error.value = problemOf(problem))}
        >
          {t.testFirst}
        </Act>
      </div>
    </div>
  )
}
