import { useSignal } from '@preact/signals'
import { type Answer, api, type ApiError, may } from '../../app/api.ts'
import { words } from '../../app/language.ts'
import { useLoad } from '../../app/load.ts'
import { Act } from '../../parts/button.tsx'
import { Confirm, Dialog } from '../../parts/dialog.tsx'
import { Check, Choice, Text } from '../../parts/form.tsx'
import { Icon } from '../../parts/icon.tsx'
import { Empty, Failure, Notice } from '../../parts/notice.tsx'
import { Panel, Shown } from '../../parts/page.tsx'
import { Tag } from '../../parts/state.tsx'
import { Time } from '../../parts/time.tsx'
import { Twin } from '../../parts/twin.tsx'
import { common } from '../../parts/words.ts'
import { Frame } from './frame.tsx'

type Token = Answer<'GET /api/v1/tokens'>['items'][number]
type TokenScope = Token['scopes'][number]
const SCOPES: TokenScope[] = ['read', 'operate', 'restore', 'admin']
const DAYS = { '30': 30, '90': 90, '365': 365, ever: undefined } as const

const text = words({
  en: {
    title: 'API tokens',
    add: 'New token',
    none: 'No tokens yet',
    noneText: 'For scripts and other programs: each may do only what its scopes say.',
    scopes: { read: 'read', operate: 'operate', restore: 'restore', admin: 'admin' } satisfies Record<
      TokenScope,
      string
    >,
    may: 'May',
    hints: {
      read: 'See everything but secrets',
      operate: 'Run, pause, acknowledge',
      restore: 'Restore and download',
      admin: 'Change everything',
    } satisfies Record<TokenScope, string>,
    ends: 'Ends',
    ever: 'never',
    after: { '30': '30 days', '90': '90 days', '365': 'a year', ever: 'never' },
    used: 'Last used',
    user: 'Of',
    revoke: 'Revoke',
    revokeTitle: (name: string) => `Revoke ${name}?`,
    revokeText: 'Whatever uses it is refused from now on.',
    make: 'Make the token',
    once: 'Copy it now: it is not shown again.',
    copy: 'Copy',
    what: 'What it is for',
  },
  de: {
    title: 'API-Schlüssel',
    add: 'Neuer Schlüssel',
    none: 'Noch keine Schlüssel',
    noneText: 'Für Skripte und andere Programme: Jeder darf nur, was seine Rechte sagen.',
    scopes: { read: 'lesen', operate: 'bedienen', restore: 'zurückholen', admin: 'verwalten' },
    may: 'Darf',
    hints: {
      read: 'Alles sehen, außer Geheimnissen',
      operate: 'Starten, pausieren, zur Kenntnis nehmen',
      restore: 'Zurückholen und herunterladen',
      admin: 'Alles ändern',
    },
    ends: 'Endet',
    ever: 'nie',
    after: { '30': '30 Tage', '90': '90 Tage', '365': 'ein Jahr', ever: 'nie' },
    used: 'Zuletzt benutzt',
    user: 'Von',
    revoke: 'Widerrufen',
    revokeTitle: (name: string) => `${name} widerrufen?`,
    revokeText: 'Was ihn benutzt, wird ab sofort abgewiesen.',
    make: 'Schlüssel machen',
    once: 'Kopieren Sie ihn jetzt: Er wird nicht noch einmal gezeigt.',
    copy: 'Kopieren',
    what: 'Wofür er ist',
  },
})

export function Page() {
  const t = text.value
  const tokens = useLoad(async (signal) => api.call('GET /api/v1/tokens', { signal }), [])
  const making = useSignal(false)
  const revoking = useSignal<Token | undefined>(undefined)
  const add = (
    <button type="button" class="btn primary" onClick={() => (making.value = true)}>
      <Icon name="plus" size={15} />
      {t.add}
    </button>
  )
  return (
    <Frame tab="tokens" actions={add}>
      <Panel label={t.title}>
        <Shown of={tokens}>
          {({ items }) =>
            items.length === 0 ? (
              <Empty icon="key" title={t.none} action={add}>
                {t.noneText}
              </Empty>
            ) : (
              <div class="scroll">
                <table>
                  <thead>
                    <tr>
                      <th>{common.value.name}</th>
                      <th>{t.may}</th>
                      <th class="hide-s">{t.used}</th>
                      <th class="hide-s">{t.ends}</th>
                      <th>
                        <span class="sr">{common.value.actions}</span>
                      </th>
                    </tr>
                  </thead>
                  <tbody>
                    {items.map((token) => (
                      <tr key={token.id}>
                        <td>
                          <b>{token.name}</b>
                          <small>
                            hf_…{token.ending} · {t.user} {token.user}
                          </small>
                        </td>
                        <td>
                          <span class="row tight">
                            {token.scopes.map((scope) => (
                              <Tag key={scope} text={t.scopes[scope]} />
                            ))}
                          </span>
                        </td>
                        <td class="hide-s">
                          {token.lastUsedAt === undefined ? common.value.never : <Time at={token.lastUsedAt} />}
                        </td>
                        <td class="hide-s">{token.expiresAt === undefined ? t.ever : <Time at={token.expiresAt} />}</td>
                        <td class="acts">
                          <button type="button" class="btn s danger" onClick={() => (revoking.value = token)}>
                            {t.revoke}
                          </button>
                        </td>
                      </tr>
                    ))}
                  </tbody>
                </table>
              </div>
            )
          }
        </Shown>
      </Panel>
      <Twin cli="holdfast token list" http="GET /api/v1/tokens" />
      {making.value && <Maker onClose={() => (making.value = false)} onMade={() => tokens.reload()} />}
      {revoking.value !== undefined && (
        <Confirm
          title={t.revokeTitle(revoking.value.name)}
          action={t.revoke}
          onClose={() => (revoking.value = undefined)}
          run={async () => {
            await api.call('DELETE /api/v1/tokens/{id}', { params: { id: revoking.value?.id ?? '' } })
            tokens.reload()
          }}
        >
          <p>{t.revokeText}</p>
        </Confirm>
      )}
    </Frame>
  )
}

function Maker({ onClose, onMade }: { onClose: () => void; onMade: () => void }) {
  const t = text.value
  const name = useSignal('')
  const scopes = useSignal<TokenScope[]>(['read'])
  const days = useSignal<keyof typeof DAYS>('90')
  const made = useSignal<string | undefined>(undefined)
  const error = useSignal<ApiError | undefined>(undefined)
  if (made.value !== undefined)
    return (
      <Dialog title={t.add} onClose={onClose}>
        <Notice tone="warn" title={t.once} />
        <pre class="code" tabIndex={0}>
          {made.value}
        </pre>
        <div class="buttons">
          <Act icon="copy" run={async () => navigator.clipboard.writeText(made.value ?? '')}>
            {t.copy}
          </Act>
          <button type="button" class="btn primary" onClick={onClose}>
            {common.value.close}
          </button>
        </div>
      </Dialog>
    )
  return (
    <Dialog title={t.add} onClose={onClose}>
      <Text
        label={t.what}
        value={name.value}
        onInput={(typed) => (name.value = typed)}
        placeholder="nightly script"
        required
      />
      <fieldset class="stack s">
        <legend class="strong">{t.may}</legend>
        {SCOPES.filter((scope) => may(scope)).map((scope) => (
          <Check
            key={scope}
            label={t.scopes[scope]}
            hint={t.hints[scope]}
            value={scopes.value.includes(scope)}
            onChange={(on) =>
              (scopes.value = on ? [...scopes.value, scope] : scopes.value.filter((one) => one !== scope))
            }
          />
        ))}
      </fieldset>
      <Choice
        label={t.ends}
        showLabel
        value={days.value}
        options={(['30', '90', '365', 'ever'] as const).map((one) => [one, t.after[one]] as const)}
        onChange={(one) => (days.value = one)}
      />
      {error.value && <Failure error={error.value} />}
      <div class="buttons">
        <button type="button" class="btn" onClick={onClose}>
          {common.value.cancel}
        </button>
        <Act
          kind="primary"
          disabled={name.value.trim() === '' || scopes.value.length === 0}
          onError={(problem) => (error.value = problem)}
          run={async () => {
            const span = DAYS[days.value]
            const { data } = await api.call('POST /api/v1/tokens', {
              body: {
                name: name.value.trim(),
                scopes: scopes.value,
                ...(span !== undefined && { expiresAt: new Date(Date.now() + span * 86_400_000).toISOString() }),
              },
            })
            made.value = data.token
            onMade()
          }}
        >
          {t.make}
        </Act>
      </div>
    </Dialog>
  )
}
