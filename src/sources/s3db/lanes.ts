/** Of contents in memory at once. */
const MAX_HELD = 64 * 1024 * 1024

/** Some at once, and not too many bytes of them; the first failure ends it. */
export class Lanes {
  readonly #most: number
  readonly #running = new Set<Promise<void>>()
  #held = 0
  #failed: { error: unknown } | undefined

  constructor(most: number) {
    this.#most = most
  }

  check(): void {
    if (this.#failed !== undefined) throw this.#failed.error
  }

  async run(bytes: number, work: () => Promise<void>): Promise<void> {
    while (this.#running.size >= this.#most || (this.#held > 0 && this.#held + bytes > MAX_HELD))
      await Promise.race(this.#running)
    this.check()
    this.#held += bytes
    const running = work()
      .catch((error: unknown) => void (this.#failed ??= { error }))
      .finally(() => {
        this.#held -= bytes
        this.#running.delete(running)
      })
    this.#running.add(running)
  }

  async end(): Promise<void> {
    await Promise.all(this.#running)
    this.check()
  }
}
