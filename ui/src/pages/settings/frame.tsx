import type { ComponentChildren } from 'preact'
import { me } from '../../app/api.ts'
import { words } from '../../app/language.ts'
import { place, to } from '../../app/router.ts'
import { Head } from '../../parts/page.tsx'

const text = words({
  en: {
    title: 'Settings',
    tabs: {
      account: 'Account',
      notifications: 'Notifications',
      users: 'Users',
      tokens: 'Tokens',
      audit: 'Audit log',
      server: 'Server',
      about: 'About',
    },
  },
  de: {
    title: 'Einstellungen',
    tabs: {
      account: 'Konto',
      notifications: 'Benachrichtigungen',
      users: 'Benutzer',
      tokens: 'Schlüssel',
      audit: 'Prüfprotokoll',
      server: 'Server',
      about: 'Über',
    },
  },
})

type Tab = keyof (typeof text)['value']['tabs']
const TABS: [Tab, path: string, admin: boolean][] = [
  ['account', '/settings', false],
  ['notifications', '/settings/notifications', false],
  ['users', '/settings/users', true],
  ['tokens', '/settings/tokens', false],
  ['audit', '/settings/audit', true],
  ['server', '/settings/server', true],
  ['about', '/settings/about', false],
]

/** The heading and the tabs that all settings share. */
export function Frame({
  tab,
  actions,
  children,
}: {
  tab: Tab
  actions?: ComponentChildren
  children: ComponentChildren
}) {
  const t = text.value
  const admin = me.value?.scopes.includes('admin') === true
  return (
    <>
      <Head title={t.title} name={`${t.tabs[tab]} · ${t.title}`} actions={actions} />
      <nav class="tabs" aria-label={t.title}>
        {TABS.filter(([, , only]) => admin || !only).map(([one, path]) => (
          <a key={one} href={to(path)} aria-current={place.value.path === path ? 'page' : undefined}>
            {t.tabs[one]}
          </a>
        ))}
      </nav>
      {children}
    </>
  )
}
