import { effect, signal, useSignal } from '@preact/signals'
import type { ComponentChildren } from 'preact'
import { useEffect } from 'preact/hooks'
import { api, me } from './api.ts'
import { LANGUAGES, type Language, language, setLanguage, words } from './language.ts'
import { connected, onLive } from './live.ts'
import { go, place, to } from './router.ts'
import { theme } from './theme.ts'
import { zone } from '../format/time.ts'
import { Anchor, Icon } from '../parts/icon.tsx'
import { Menu } from '../parts/menu.tsx'
import { Toasts } from '../parts/toast.tsx'
import { Finder, finding } from './finder.tsx'
import { NAV, navText } from './nav.ts'

const text = words({
  en: {
    skip: 'To the content',
    main: 'Main',
    menu: 'Menu',
    close: 'Close the menu',
    find: 'Find…',
    offline: 'The server cannot be reached. What is shown here may be old; the page goes on by itself.',
    live: 'live',
    late: 'reconnecting',
    times: (name: string) => `times in ${name}`,
    out: 'Sign out',
    account: 'Account and settings',
    theme: { system: 'As the system', light: 'Light', dark: 'Dark' },
  },
  de: {
    skip: 'Zum Inhalt',
    main: 'Hauptmenü',
    menu: 'Menü',
    close: 'Menü schließen',
    find: 'Suchen…',
    offline: 'Der Server ist nicht erreichbar. Was hier steht, kann alt sein; die Seite macht von selbst weiter.',
    live: 'verbunden',
    late: 'verbindet neu',
    times: (name: string) => `Zeiten in ${name}`,
    out: 'Abmelden',
    account: 'Konto und Einstellungen',
    theme: { system: 'Wie das System', light: 'Hell', dark: 'Dunkel' },
  },
})

/** How many alerts are open, beside their entry. */
const openAlerts = signal(0)

async function countAlerts(): Promise<void> {
  try {
    const { data } = await api.call('GET /api/v1/alerts', { query: { open: 'true', limit: 500 } })
    openAlerts.value = data.items.filter(({ acknowledgedAt }) => acknowledgedAt === undefined).length
  } catch {
    // The pages themselves say what is wrong.
  }
}

export function Shell({ children }: { children: ComponentChildren }) {
  const t = text.value
  const open = useSignal(false)
  useEffect(() => {
    void countAlerts()
    return onLive((name) => {
      if (name.startsWith('alert.') || name === 'reset') void countAlerts()
    })
  }, [])
  useEffect(() => keys(), [])
  useEffect(
    () =>
      effect(() => {
        if (place.value.path !== '') open.value = false
      }),
    [],
  )
  return (
    <div class="app">
      <a
        class="skip"
        href="#main"
        onClick={(event) => {
          event.preventDefault()
          document.querySelector<HTMLElement>('h1')?.focus()
        }}
      >
        {t.skip}
      </a>
      <header class="bars">
        <div class="topbar">
          <Brand />
          <button type="button" class="btn quiet icon" aria-label={t.find} onClick={() => (finding.value = true)}>
            <Icon name="search" />
          </button>
          <button
            type="button"
            class="btn quiet icon"
            aria-label={t.menu}
            aria-expanded={open.value}
            onClick={() => (open.value = !open.value)}
          >
            <Icon name="menu" />
          </button>
        </div>
        {open.value && <button type="button" class="veil" aria-label={t.close} onClick={() => (open.value = false)} />}
        <div class={`side${open.value ? ' open' : ''}`}>
          <Brand />
          <button type="button" class="find" onClick={() => (finding.value = true)}>
            <Icon name="search" size={15} /> {t.find} <kbd class="push">/</kbd>
          </button>
          <nav aria-label={t.main}>
            {NAV.map(([name, path, , also]) => (
              <a key={name} href={to(path)} aria-current={also.test(place.value.path) ? 'page' : undefined}>
                <Icon name={name} size={17} />
                {navText(name)}
                {name === 'alerts' && openAlerts.value > 0 && <span class="badge">{openAlerts.value}</span>}
              </a>
            ))}
          </nav>
          <div class="foot">
            <Who />
            <span class="row tight">
              <span class={`dot${connected.value ? '' : ' off'}`} />
              {connected.value ? t.live : t.late}
            </span>
            <span>{t.times(zone)}</span>
          </div>
        </div>
      </header>
      <main class="main" id="main">
        {!connected.value && <Offline text={t.offline} />}
        {children}
      </main>
      <Finder />
      <Toasts />
    </div>
  )
}

/** Only after a while: a short break is nobody's concern. */
function Offline({ text: said }: { text: string }) {
  const late = useSignal(false)
  useEffect(() => {
    const timer = setTimeout(() => (late.value = true), 2500)
    return () => clearTimeout(timer)
  }, [])
  return late.value ? (
    <p class="offline" role="status">
      {said}
    </p>
  ) : null
}

const Brand = () => (
  <a class="brand" href={to('/')}>
    <Anchor /> Holdfast
  </a>
)

async function signOut(): Promise<void> {
  await api.call('DELETE /api/v1/session').catch(() => undefined)
  me.value = null
}

function Who() {
  const t = text.value
  const user = me.value
  if (!user) return null
  return (
    <Menu
      kind="who"
      items={[
        { text: t.account, icon: 'settings', run: () => go(to('/settings')) },
        '-',
        ...(['system', 'light', 'dark'] as const).map((one) => ({
          text: `${t.theme[one]}${theme.value === one ? ' ✓' : ''}`,
          icon: 'sun' as const,
          run: () => {
            theme.value = one
          },
        })),
        '-',
        ...(Object.keys(LANGUAGES) as Language[]).map((one) => ({
          text: `${LANGUAGES[one]}${language.value === one ? ' ✓' : ''}`,
          run: () => setLanguage(one),
        })),
        '-',
        { text: t.out, icon: 'out', run: () => void signOut() },
      ]}
    >
      <span class="disc" aria-hidden="true">
        {user.name.slice(0, 1).toUpperCase()}
      </span>
      <span class="clip">{user.name}</span>
      <span class="mute small push">{user.role}</span>
    </Menu>
  )
}

/** `/` finds, `g` and a letter goes. Never while somebody writes. */
function keys(): () => void {
  let went = 0
  const listener = (event: KeyboardEvent): void => {
    const { target, key } = event
    if (event.ctrlKey || event.metaKey || event.altKey) return
    if (target instanceof HTMLElement && target.closest('input, textarea, select, dialog, [popover]')) return
    if (key === '/') {
      event.preventDefault()
      finding.value = true
      return
    }
    if (key === 'g') {
      went = Date.now()
      return
    }
    const found = Date.now() - went < 1500 ? NAV.find(([, , letter]) => letter === key) : undefined
    went = 0
    if (found === undefined) return
    event.preventDefault()
    go(to(found[1]))
  }
  document.addEventListener('keydown', listener)
  return () => document.removeEventListener('keydown', listener)
}
