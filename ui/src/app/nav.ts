/** The main menu: names, paths, and the letter after `g`. */
import type { IconName } from '../parts/icon.tsx'
import { words } from './language.ts'

const text = words({
  en: {
    overview: 'Overview',
    backups: 'Backups',
    restore: 'Restore',
    runs: 'Runs',
    vaults: 'Vaults',
    alerts: 'Alerts',
    settings: 'Settings',
  },
  de: {
    overview: 'Übersicht',
    backups: 'Sicherungen',
    restore: 'Zurückholen',
    runs: 'Läufe',
    vaults: 'Tresore',
    alerts: 'Meldungen',
    settings: 'Einstellungen',
  },
})

type NavName = keyof (typeof text)['value'] & IconName

export const NAV: [name: NavName, path: string, key: string, also: RegExp][] = [
  ['overview', '/', 'o', /^\/$/],
  ['backups', '/backups', 'j', /^\/(backups(\/new)?|jobs(\/.*)?)$/],
  ['restore', '/restore', 'b', /^\/(restore|backup\/.*)$/],
  ['runs', '/backups/logs', 'r', /^\/(backups\/logs|runs(\/.*)?)$/],
  ['vaults', '/vaults', 'v', /^\/vaults/],
  ['alerts', '/alerts', 'a', /^\/alerts/],
  ['settings', '/settings', 's', /^\/settings/],
]

export const navText = (name: NavName): string => text.value[name]
