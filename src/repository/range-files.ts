/** Ranges of files of this machine, read by one thread into memory that the next range uses again. */
import { closeSync, openSync, readSync } from 'node:fs'

export class RangeFiles {
  #path: string | undefined
  #fd = -1
  #memory = Buffer.alloc(0)

  /** Undefined when it cannot be read whole: whoever wants to know why reads it through the storage. */
  read({ path, start, length }: { path: string; start: number; length: number }): Uint8Array | undefined {
    try {
      if (path !== this.#path) this.#open(path)
      if (this.#memory.length < length) this.#memory = Buffer.allocUnsafeSlow(Math.max(length, 2 ** 20 + 2 ** 18))
      for (let done = 0; done < length;) {
        const got = readSync(this.#fd, this.#memory, done, length - done, start + done)
        if (got === 0) return undefined
        done += got
      }
      return this.#memory.subarray(0, length)
    } catch {
      return undefined
    }
  }

  close(): void {
    if (this.#fd !== -1) closeSync(this.#fd)
    this.#path = undefined
    this.#fd = -1
  }

  #open(path: string): void {
    this.close()
    this.#fd = openSync(path, 'r')
    this.#path = path
  }
}
