import { useSignal } from '@preact/signals'
import { api, type ApiError, me } from '../../app/api.ts'
import { LANGUAGES, type Language, language, setLanguage, words } from '../../app/language.ts'
import { useLoad } from '../../app/load.ts'
import { type Theme, theme } from '../../app/theme.ts'
import { Act } from '../../parts/button.tsx'
import { Choice, Text } from '../../parts/form.tsx'
import { Failure, Notice } from '../../parts/notice.tsx'
import { Panel, Shown } from '../../parts/page.tsx'
import { Tag } from '../../parts/state.tsx'
import { Time } from '../../parts/time.tsx'
import { tell } from '../../parts/toast.tsx'
import { Twin } from '../../parts/twin.tsx'
import { Frame } from './frame.tsx'
import { TwoFactor } from './two-factor.tsx'

const text = words({
  en: {
    look: 'Look',
    theme: 'Theme',
    themes: { system: 'As the system', light: 'Light', dark: 'Dark' } satisfies Record<Theme, string>,
    language: 'Language',
    who: 'Signed in as',
    role: 'Role',
    password: 'Password',
    current: 'Present password',
    next: 'New password',
    nextHint: 'At least 10 characters. Other sessions end.',
    change: 'Change the password',
    changed: 'The password is changed',
    sessions: 'Sessions',
    here: 'this one',
    seen: 'seen',
    until: 'ends',
    end: 'End',
    token: 'You came by a token: sessions and passwords are for people.',
  },
  de: {
    look: 'Aussehen',
    theme: 'Farben',
    themes: { system: 'Wie das System', light: 'Hell', dark: 'Dunkel' },
    language: 'Sprache',
    who: 'Angemeldet als',
    role: 'Rolle',
    password: 'Passwort',
    current: 'Bisheriges Passwort',
    next: 'Neues Passwort',
    nextHint: 'Mindestens 10 Zeichen. Andere Sitzungen enden.',
    change: 'Passwort ändern',
    changed: 'Das Passwort ist geändert',
    sessions: 'Sitzungen',
    here: 'diese',
    seen: 'gesehen',
    until: 'endet',
    end: 'Beenden',
    token: 'Sie kamen mit einem Schlüssel: Sitzungen und Passwörter sind für Menschen.',
  },
})

export function Page() {
  const t = text.value
  const user = me.value
  return (
    <Frame tab="account">
      <div class="stack">
        <div class="cols">
          <Panel title={t.look} pad>
            <div class="stack">
              <Choice
                label={t.theme}
                showLabel
                value={theme.value}
                options={(['system', 'light', 'dark'] as const).map((one) => [one, t.themes[one]] as const)}
                onChange={(one) => (theme.value = one)}
              />
              <Choice
                label={t.language}
                showLabel
                value={language.value}
                options={(Object.keys(LANGUAGES) as Language[]).map((one) => [one, LANGUAGES[one]] as const)}
                onChange={setLanguage}
              />
              <p class="soft">
                {t.who} <b>{user?.name}</b> · {t.role} <b>{user?.role}</b>
              </p>
            </div>
          </Panel>
          <Password />
        </div>
        <TwoFactor />
        <Sessions />
      </div>
      <Twin cli="holdfast user password NAME" http="GET /api/v1/session" />
    </Frame>
  )
}

function Password() {
  const t = text.value
  const current = useSignal('')
  const password = useSignal('')
  const error = useSignal<ApiError | undefined>(undefined)
  return (
    <Panel title={t.password} pad>
      <div class="stack">
        <Text
          label={t.current}
          type="password"
          autocomplete="current-password"
          value={current.value}
          onInput={(typed) => (current.value = typed)}
        />
        <Text
          label={t.next}
          hint={t.nextHint}
          type="password"
          autocomplete="new-password"
          value={password.value}
          onInput={(typed) => (password.value = typed)}
        />
        {error.value && <Failure error={error.value} />}
        <div>
          <Act
            disabled={current.value === '' || password.value.length < 10}
            onError={(problem) => (error.value = problem)}
            run={async () => {
              error.value = undefined
              await api.call('POST /api/v1/session/password', {
                body: { current: current.value, password: password.value },
              })
              current.value = ''
              password.value = ''
              tell('ok', t.changed)
            }}
          >
            {t.change}
          </Act>
        </div>
      </div>
    </Panel>
  )
}

function Sessions() {
  const t = text.value
  const sessions = useLoad(async (signal) => api.call('GET /api/v1/sessions', { signal }), [])
  if (me.value?.via === 'token') return <Notice tone="ok" title={t.token} />
  return (
    <Panel title={t.sessions}>
      <Shown of={sessions}>
        {({ items }) => (
          <div class="scroll">
            <table>
              <tbody>
                {items.map(({ id, current, agent, address, seenAt, expiresAt }) => (
                  <tr key={id}>
                    <td class="break">
                      {agent} {current && <Tag tone="ok" mark="✓" text={t.here} />}
                      <small>{address}</small>
                    </td>
                    <td>
                      {t.seen} <Time at={seenAt} />
                    </td>
                    <td class="hide-s">
                      {t.until} <Time at={expiresAt} />
                    </td>
                    <td class="acts">
                      {!current && (
                        <Act
                          kind="s"
                          run={async () => {
                            await api.call('DELETE /api/v1/sessions/{id}', { params: { id } })
                            sessions.reload()
                          }}
                        >
                          {t.end}
                        </Act>
                      )}
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
      </Shown>
    </Panel>
  )
}
