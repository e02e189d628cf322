import { byName, words } from '../../app/language.ts'

/** What a notifier may want to hear of. */
export const EVENTS = ['failure', 'recovered', 'overdue', 'warning', 'success', 'start'] as const
const OUTCOMES = ['failure', 'warning', 'success'] as const

/** What a kind of notifier can be told. */
export const eventsFor = (type: string): readonly (typeof EVENTS)[number][] =>
  type === 'opentelemetry' ? OUTCOMES : EVENTS

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
