import { computed, signal, type ReadonlySignal } from '@preact/signals'
import { remembered } from './remembered.ts'

export type Language = 'en' | 'de'

export const LANGUAGES: Record<Language, string> = { en: 'English', de: 'Deutsch' }

const wanted = remembered('language')

export const language = signal<Language>(
  wanted.read() === 'de' || wanted.read() === 'en'
    ? (wanted.read() as Language)
    : navigator.language.toLowerCase().startsWith('de')
      ? 'de'
      : 'en',
)

export function setLanguage(to: Language): void {
  wanted.write(to)
  language.value = to
  document.documentElement.lang = to
}

document.documentElement.lang = language.value

/** The words of one page or part in every language: a word that one of them lacks is a type error. */
export function words<T>(all: Record<Language, NoInfer<T>> & { en: T }): ReadonlySignal<T> {
  return computed(() => all[language.value])
}

/** `1 run`, `2 runs` */
export const count = (n: number, one: string, many: string): string => `${number(n)} ${n === 1 ? one : many}`

const numbers = new Map<string, Intl.NumberFormat>()

/** Making a format costs more than a hundred uses of it. */
export function number(n: number, digits?: number): string {
  const key = `${language.value} ${digits}`
  let format = numbers.get(key)
  if (format === undefined) {
    const exactly = digits === undefined ? {} : { minimumFractionDigits: digits, maximumFractionDigits: digits }
    format = new Intl.NumberFormat(language.value, exactly)
    numbers.set(key, format)
  }
  return format.format(n)
}

/** Words for names that others may add to, such as kinds of sources: one that is not there is undefined. */
export const byName = (named: Record<string, string>): Record<string, string> => named
