import { AppError } from '../base/errors.ts'
import { registerSecret } from '../base/redact.ts'
import type { Secret, SecretReading } from './settings.ts'

/**
 * A secret that is read when it is first wanted, and then only when asked to read it again. What it gives is known to `redact` from then on, so that it
 * cannot appear in a log. Inspecting, printing or serialising it shows its origin only.
 */
export function lazySecret(origin: string, load: () => string | Promise<string>): Secret {
  return new LazySecret(origin, load)
}

/** A secret whose text is known already: typed at a prompt, or written in a file. */
export function literalSecret(text: string, origin: string): Secret {
  registerSecret(text)
  return new LazySecret(origin, () => text)
}

export const isSecret = (value: unknown): value is Secret => value instanceof LazySecret

class LazySecret implements Secret {
  readonly origin: string
  readonly #load: () => string | Promise<string>
  #text: Promise<string> | undefined

  constructor(origin: string, load: () => string | Promise<string>) {
    this.origin = origin
    this.#load = load
  }

  /** Rejects with `config.secret`; a failure is not remembered, so that mending the file mends the next read. */
  read({ again = false }: SecretReading = {}): Promise<string> {
    if (again) this.#text = undefined
    this.#text ??= this.#readOnce().catch((error: unknown) => {
      this.#text = undefined
      throw error
    })
    return this.#text
  }

  async #readOnce(): Promise<string> {
    const text = await this.#load()
    if (text === '') throw new AppError('config.secret', `the secret from ${this.origin} is empty`)
    registerSecret(text)
    return text
  }

  toJSON(): string {
    return this.toString()
  }

  toString(): string {
    return `[secret from ${this.origin}]`
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString()
  }
}
