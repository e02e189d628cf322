import { displayPath } from '../base/paths.ts'
import { redact } from '../base/redact.ts'

/** Text that is HTML already. Everything else that goes into `html` is redacted and escaped. */
export class Markup {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

export type Content = Markup | string | number | undefined | readonly Content[]

/** Escapes every value that stands in the template; lists are joined, `undefined` is nothing. */
export function html(strings: TemplateStringsArray, ...values: Content[]): Markup {
  return new Markup(strings.map((part, index) => part + textOf(values[index])).join(''))
}

/** Trusted text, such as a style sheet. */
export const raw = (text: string): Markup => new Markup(text)

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

function textOf(content: Content): string {
  if (content === undefined) return ''
  if (content instanceof Markup) return content.text
  if (typeof content === 'number') return String(content)
  if (typeof content === 'string') return escape(content)
  return content.map(textOf).join('')
}

function escape(text: string): string {
  // Line ends stay; other control characters and bytes that are no text are shown as \xNN.
  const printable = redact(text).split('\n').map(displayPath).join('\n')
  return printable.replaceAll(/[&<>"']/g, (char) => ENTITIES[char] ?? char)
}
