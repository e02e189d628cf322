/** Parsed JSON from outside, taken apart field by field: what is not what it must be ends in the caller's own error. */
export type Fail = (problem: string) => Error

export class Shape {
  readonly #value: Record<string, unknown>
  readonly #fail: Fail
  readonly #where: string

  constructor(value: unknown, fail: Fail, where = '') {
    this.#fail = fail
    this.#where = where
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw fail(`${where || 'it'} is no object`)
    this.#value = value as Record<string, unknown>
  }

  /** A field as it came. */
  raw(name: string): unknown {
    return Object.hasOwn(this.#value, name) ? this.#value[name] : undefined
  }

  text(name: string): string {
    const value = this.raw(name)
    return typeof value === 'string' ? value : this.#wrong(name, 'a text')
  }

  texts(name: string): string[] {
    return this.list(name).map((value) => (typeof value === 'string' ? value : this.#wrong(name, 'a list of texts')))
  }

  list(name: string): unknown[] {
    const value = this.raw(name)
    return Array.isArray(value) ? value : this.#wrong(name, 'a list')
  }

  /** A whole number from 0 on. */
  count(name: string): number {
    const value = this.raw(name)
    return isCount(value) ? value : this.#wrong(name, 'a whole number')
  }

  /** A time as ISO 8601 tells it. */
  time(name: string): string {
    const text = this.text(name)
    return /^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(text) && !Number.isNaN(Date.parse(text))
      ? text
      : this.#wrong(name, 'a time')
  }

  oneOf<T extends string>(name: string, ...known: readonly T[]): T {
    const value = this.raw(name)
    return known.find((one) => one === value) ?? this.#wrong(name, known.join(' or '))
  }

  /** Every field, all of them texts. */
  allTexts(): Record<string, string> {
    return Object.fromEntries(Object.keys(this.#value).map((name) => [name, this.text(name)]))
  }

  inner(name: string): Shape {
    return new Shape(this.raw(name), this.#fail, `${this.#where}${name}`)
  }

  inners(name: string): Shape[] {
    return this.list(name).map((value) => new Shape(value, this.#fail, `${this.#where}${name}`))
  }

  wrong(problem: string): Error {
    return this.#fail(problem)
  }

  #wrong(name: string, wanted: string): never {
    throw this.#fail(`${this.#where ? `${this.#where}.` : ''}${name} is not ${wanted}`)
  }
}

export const isCount = (value: unknown): value is number =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
