import { byName, words } from '../../app/language.ts'

/** What a notifier may want to hear of. */
export const EVENTS = ['failure', 'recovered', 'overdue', 'warning', 'success', 'start'] as const

export const eventWords = words({
  en: byName({
    failure: 'failures',
    recovered: 'recovered',
    overdue: 'overdue',
    warning: 'warnings',
    success: 'success',
    start: 'starts',
  }),
  de: {
    failure: 'Fehlschläge',
    recovered: 'wieder gut',
    overdue: 'Überfälliges',
    warning: 'Warnungen',
    success: 'Erfolge',
    start: 'Starts',
  },
})
