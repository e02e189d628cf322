/** What is shown to whoever is not signed in. */
import { useSignal } from '@preact/signals'
import type { ComponentChildren } from 'preact'
import type { Setup } from '../../app/app.tsx'
import { api, type ApiError, me, problemOf } from '../../app/api.ts'
import { LANGUAGES, type Language, language, setLanguage, words } from '../../app/language.ts'
import { go, place, to } from '../../app/router.ts'
import { Text } from '../../parts/form.tsx'
import { Anchor } from '../../parts/icon.tsx'
import { Failure } from '../../parts/notice.tsx'
import './door.css'

const text = words({
  en: {
    signIn: 'Sign in',
    name: 'Name',
    password: 'Password',
    code: 'Code of your authenticator, or a recovery code',
    or: 'or',
    by: (name: string) => `Sign in with ${name}`,
    forgot: 'Forgotten? On the server: ',
    first: 'Welcome',
    firstText: 'Make the account that may do everything. Then a place for backups, then the first job.',
    token: 'One-time token',
    tokenHint: 'From the console of the server: it is in the link that it printed when it started.',
    again: 'Password once more',
    differ: 'The two are not the same.',
    short: 'At least 10 characters.',
    long: 'At least 10 characters; a sentence is easier to keep than a riddle.',
    make: 'Make the account',
    about: 'Backups that are proven to restore.',
  },
  de: {
    signIn: 'Anmelden',
    name: 'Name',
    password: 'Passwort',
    code: 'Code der Authenticator-App oder ein Notfallcode',
    or: 'oder',
    by: (name: string) => `Anmelden mit ${name}`,
    forgot: 'Vergessen? Auf dem Server: ',
    first: 'Willkommen',
    firstText: 'Legen Sie das Konto an, das alles darf. Dann einen Ort für Sicherungen, dann den ersten Auftrag.',
    token: 'Einmal-Schlüssel',
    tokenHint: 'Von der Konsole des Servers: Er steht in dem Link, den der Server beim Start gezeigt hat.',
    again: 'Passwort noch einmal',
    differ: 'Die beiden sind nicht gleich.',
    short: 'Mindestens 10 Zeichen.',
    long: 'Mindestens 10 Zeichen; ein Satz merkt sich leichter als ein Rätsel.',
    make: 'Konto anlegen',
    about: 'Sicherungen, die sich nachweislich zurückholen lassen.',
  },
})

function Door({ title, children, version }: { title: string; children: ComponentChildren; version: string }) {
  document.title = `${title} · Holdfast`
  return (
    <main class="door">
      <div class="panel">
        <p class="brand">
          <Anchor size={26} /> Holdfast
        </p>
        <h1>{title}</h1>
        {children}
      </div>
      <p class="mute small row">
        <span>Holdfast {version}</span>
        {(Object.keys(LANGUAGES) as Language[])
          .filter((one) => one !== language.value)
          .map((one) => (
            <button type="button" key={one} class="btn quiet s" lang={one} onClick={() => setLanguage(one)}>
              {LANGUAGES[one]}
            </button>
          ))}
      </p>
    </main>
  )
}

export function SignIn({ setup }: { setup: Setup }) {
  const t = text.value
  const name = useSignal('')
  const password = useSignal('')
  const code = useSignal<string | undefined>(undefined)
  const busy = useSignal(false)
  const error = useSignal<ApiError | undefined>(undefined)
  const submit = async (): Promise<void> => {
    busy.value = true
    error.value = undefined
    try {
      const { data } = await api.call('POST /api/v1/session', {
        body: { name: name.value, password: password.value, ...(code.value && { code: code.value.trim() }) },
      })
      me.value = data
    } catch (thrown) {
      const problem = problemOf(thrown)
      if (problem.code === 'auth.code-needed' && code.value === undefined) code.value = ''
      else error.value = problem
    }
    busy.value = false
  }
  return (
    <Door title={t.signIn} version={setup.version}>
      <form
        class="stack"
        onSubmit={(event) => {
          event.preventDefault()
          void submit()
        }}
      >
        <Text
          label={t.name}
          value={name.value}
          onInput={(typed) => (name.value = typed)}
          autocomplete="username"
          required
        />
        <Text
          label={t.password}
          type="password"
          value={password.value}
          onInput={(typed) => (password.value = typed)}
          autocomplete="current-password"
          required
        />
        {code.value !== undefined && (
          <Text
            label={t.code}
            value={code.value}
            onInput={(typed) => (code.value = typed)}
            autocomplete="one-time-code"
            autofocus
            mono
            required
          />
        )}
        {error.value && <Failure error={error.value} />}
        <button type="submit" class="btn primary" disabled={busy.value}>
          {busy.value && <span class="spin" />}
          {t.signIn}
        </button>
      </form>
      {setup.oidc && (
        <a class="btn" href={to('/api/v1/oidc/start', { to: place.value.path })}>
          {t.by(setup.oidc.name)}
        </a>
      )}
      <p class="mute small">
        {t.forgot}
        <code>holdfast user password NAME</code>
      </p>
    </Door>
  )
}

export function FirstAccount({ setup }: { setup: Setup }) {
  const t = text.value
  // In the part of the link that a browser keeps to itself.
  const given = window.location.hash.length > 1 ? window.location.hash.slice(1) : null
  const token = useSignal(given ?? '')
  const name = useSignal('')
  const password = useSignal('')
  const again = useSignal('')
  const tried = useSignal(false)
  const busy = useSignal(false)
  const error = useSignal<ApiError | undefined>(undefined)
  const fault = {
    password: tried.value && password.value.length < 10 ? t.short : undefined,
    again: tried.value && again.value !== password.value ? t.differ : undefined,
  }
  const submit = async (): Promise<void> => {
    tried.value = true
    if (password.value.length < 10 || again.value !== password.value) return
    busy.value = true
    error.value = undefined
    try {
      const { data } = await api.call('POST /api/v1/setup', {
        body: { token: token.value.trim(), name: name.value.trim(), password: password.value },
      })
      go(to('/setup'), { replace: true })
      me.value = data
    } catch (thrown) {
      error.value = problemOf(thrown)
    }
    busy.value = false
  }
  return (
    <Door title={t.first} version={setup.version}>
      <p class="soft">{t.firstText}</p>
      <form
        class="stack"
        onSubmit={(event) => {
          event.preventDefault()
          void submit()
        }}
      >
        {given === null && (
          <Text
            label={t.token}
            hint={t.tokenHint}
            value={token.value}
            onInput={(typed) => (token.value = typed)}
            autocomplete="off"
            mono
            required
          />
        )}
        <Text
          label={t.name}
          value={name.value}
          onInput={(typed) => (name.value = typed)}
          autocomplete="username"
          required
        />
        <Text
          label={t.password}
          type="password"
          hint={t.long}
          fault={fault.password}
          value={password.value}
          onInput={(typed) => (password.value = typed)}
          autocomplete="new-password"
          required
        />
        <Text
          label={t.again}
          type="password"
          fault={fault.again}
          value={again.value}
          onInput={(typed) => (again.value = typed)}
          autocomplete="new-password"
          required
        />
        {error.value && <Failure error={error.value} />}
        <button type="submit" class="btn primary" disabled={busy.value}>
          {busy.value && <span class="spin" />}
          {t.make}
        </button>
      </form>
    </Door>
  )
}
