import { useSignal } from '@preact/signals'
import { api, type ApiError, problemOf } from '../../app/api.ts'
import { useLoad } from '../../app/load.ts'
import { get, set, textAt } from '../../forms/definition.ts'
import { size } from '../../format/size.ts'
import { Act } from '../../parts/button.tsx'
import { Check, Choice } from '../../parts/form.tsx'
import { Icon } from '../../parts/icon.tsx'
import { Failure } from '../../parts/notice.tsx'
import { Shown } from '../../parts/page.tsx'
import { tell } from '../../parts/toast.tsx'
import { common } from '../../parts/words.ts'
import { text as vaultText } from '../vaults/text.ts'
import { adopt, newVault, vaultComplete, vaultDefinition, VaultForm } from '../vaults/vault-form.tsx'
import { type StepProps, vaultsOf, withVaults } from './draft.ts'
import { text } from './text.ts'
import { newKey } from '../../app/new-key.ts'

export function VaultsStep({ draft, change }: StepProps) {
  const t = text.value.vaults
  const { definition } = draft
  const vaults = useLoad(async (signal) => api.call('GET /api/v1/vaults', { signal }), [], ['vault.'])
  const making = useSignal(false)
  const chosen = vaultsOf(definition)
  const strategy = textAt(definition, 'vaults.strategy')
  return (
    <Shown of={vaults}>
      {({ items }) => (
        <div class="stack">
          {items.length > 0 && (
            <fieldset>
              <legend class="strong">{t.which}</legend>
              <ul class="ticks">
                {items.map(({ name, storage, format, free, problem }) => (
                  <li key={name}>
                    <Check
                      label={
                        <>
                          <b>{name}</b> <span class="mute">{vaultText.value.formats[format]}</span>
                        </>
                      }
                      hint={
                        <>
                          {vaultText.value.types[storage.type] ?? storage.type} <code>{storage.name}</code>
                          {free !== undefined && ` · ${size(free)} ${vaultText.value.free}`}
                          {problem !== undefined && <span class="bad"> · ✕ {problem}</span>}
                        </>
                      }
                      value={chosen.includes(name)}
                      onChange={(on) =>
                        change(withVaults(definition, on ? [...chosen, name] : chosen.filter((one) => one !== name)))
                      }
                    />
                  </li>
                ))}
              </ul>
            </fieldset>
          )}
          {chosen.length > 1 && (
            <Choice
              label={t.how}
              showLabel
              value={strategy === 'any' || strategy === 'priority' ? strategy : 'all'}
              options={(['all', 'any', 'priority'] as const).map((one) => [one, t.strategies[one]] as const)}
              onChange={(one) =>
                change(
                  set(
                    definition,
                    'vaults',
                    one === 'all' && get(definition, 'vaults.concurrency') === undefined
                      ? chosen
                      : { strategy: one, members: chosen },
                  ),
                )
              }
            />
          )}
          {items.length === 0 && !making.value && <p class="soft">{t.none}</p>}
          {making.value || items.length === 0 ? (
            <NewVault
              onCancel={items.length === 0 ? undefined : () => (making.value = false)}
              onMade={(name) => {
                making.value = false
                vaults.reload()
                change(withVaults(definition, [...chosen, name]))
              }}
            />
          ) : (
            <div>
              <button type="button" class="btn" onClick={() => (making.value = true)}>
                <Icon name="plus" size={15} />
                {t.add}
              </button>
            </div>
          )}
        </div>
      )}
    </Shown>
  )
}

export function NewVault({
  onMade,
  onCancel,
}: {
  onMade: (name: string, definition: Record<string, unknown>) => void
  onCancel?: (() => void) | undefined
}) {
  const t = text.value.vaults
  const draft = useSignal(newVault())
  const error = useSignal<ApiError | undefined>(undefined)
  return (
    <section class="panel pad new-vault" aria-label={t.add}>
      <VaultForm draft={draft.value} onChange={(next) => (draft.value = next)} isNew />
      {error.value !== undefined && <Failure error={error.value} />}
      <div class="row">
        <Act
          kind="primary"
          disabled={!vaultComplete(draft.value)}
          run={async () => {
            error.value = undefined
            const name = draft.value.name.trim()
            const definition = vaultDefinition(draft.value)
            await api.call('POST /api/v1/vaults', {
              body: { name, definition },
              idempotencyKey: newKey(),
            })
            await adopt(name)
            tell('ok', t.added(name))
            onMade(name, definition)
          }}
          onError={(problem) => (error.value = problemOf(problem))}
        >
          {vaultText.value.add}
        </Act>
        {onCancel !== undefined && (
          <button type="button" class="btn quiet" onClick={onCancel}>
            {common.value.cancel}
          </button>
        )}
      </div>
    </section>
  )
}
