import { useSignal } from '@preact/signals'
import { api, type ApiError, me } from '../../app/api.ts'
import { words } from '../../app/language.ts'
import { Act } from '../../parts/button.tsx'
import { Text } from '../../parts/form.tsx'
import { Failure, Notice } from '../../parts/notice.tsx'
import { Panel } from '../../parts/page.tsx'
import { Tag } from '../../parts/state.tsx'

const text = words({
  en: {
    title: 'Second factor',
    on: 'on',
    off: 'off',
    about: 'With an authenticator on your phone a stolen password alone opens nothing.',
    password: 'Your password',
    begin: 'Set it up',
    secret: 'Type this key into your authenticator',
    open: 'or open it on this device',
    code: 'First code',
    confirm: 'Turn it on',
    codes: 'Recovery codes: each works once. Keep them where the phone is not.',
    turnOff: 'Turn it off',
  },
  de: {
    title: 'Zweiter Faktor',
    on: 'an',
    off: 'aus',
    about: 'Mit einer Authenticator-App öffnet ein gestohlenes Passwort allein nichts.',
    password: 'Ihr Passwort',
    begin: 'Einrichten',
    secret: 'Geben Sie diesen Schlüssel in die App ein',
    open: 'oder öffnen Sie ihn auf diesem Gerät',
    code: 'Erster Code',
    confirm: 'Einschalten',
    codes: 'Notfallcodes: Jeder gilt einmal. Bewahren Sie sie dort auf, wo das Telefon nicht ist.',
    turnOff: 'Ausschalten',
  },
})

export function TwoFactor() {
  const t = text.value
  const on = me.value?.totp === true
  const password = useSignal('')
  const code = useSignal('')
  const begun = useSignal<{ secret: string; uri: string } | undefined>(undefined)
  const codes = useSignal<string[]>([])
  const error = useSignal<ApiError | undefined>(undefined)
  const failed = (problem: ApiError): void => {
    error.value = problem
  }
  const changed = (totp: boolean): void => {
    if (me.value) me.value = { ...me.value, totp }
    error.value = undefined
    begun.value = undefined
    password.value = ''
    code.value = ''
  }
  return (
    <Panel
      title={t.title}
      actions={<Tag tone={on ? 'ok' : 'mute'} mark={on ? '✓' : '○'} text={on ? t.on : t.off} />}
      pad
    >
      <div class="stack narrow">
        <p class="soft">{t.about}</p>
        {codes.value.length > 0 && (
          <Notice tone="warn" title={t.codes}>
            <pre>{codes.value.join('\n')}</pre>
          </Notice>
        )}
        {error.value && <Failure error={error.value} />}
        {begun.value === undefined ? (
          <>
            <Text
              label={t.password}
              type="password"
              autocomplete="current-password"
              value={password.value}
              onInput={(typed) => (password.value = typed)}
            />
            <div>
              {on ? (
                <Act
                  disabled={password.value === ''}
                  onError={failed}
                  run={async () => {
                    await api.call('POST /api/v1/session/totp/off', { body: { password: password.value } })
                    codes.value = []
                    changed(false)
                  }}
                >
                  {t.turnOff}
                </Act>
              ) : (
                <Act
                  disabled={password.value === ''}
                  onError={failed}
                  run={async () => {
                    const { data } = await api.call('POST /api/v1/session/totp', { body: { password: password.value } })
                    begun.value = data
                    error.value = undefined
                  }}
                >
                  {t.begin}
                </Act>
              )}
            </div>
          </>
        ) : (
          <>
            <p>
              {t.secret}: <code class="break">{begun.value.secret}</code> <a href={begun.value.uri}>{t.open}</a>
            </p>
            <Text
              label={t.code}
              inputMode="numeric"
              autocomplete="one-time-code"
              value={code.value}
              onInput={(typed) => (code.value = typed)}
              mono
            />
            <div>
              <Act
                kind="primary"
                disabled={code.value.trim().length < 6}
                onError={failed}
                run={async () => {
                  const { data } = await api.call('PUT /api/v1/session/totp', { body: { code: code.value.trim() } })
                  codes.value = data.recoveryCodes
                  changed(true)
                }}
              >
                {t.confirm}
              </Act>
            </div>
          </>
        )}
      </div>
    </Panel>
  )
}
