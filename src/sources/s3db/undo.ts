/**
 * What a restore replaces, kept in a private file until it has ended: one that fails or is cancelled puts everything back,
 * so that the database is as it was. (A process that is killed cannot; the same restore again completes the work.)
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeFolders } from '../../base/folders.ts'

/** In memory before they go to the file. */
const HELD = 1024 * 1024
/** Two lengths, of the key and of the content; `ABSENT` where there was no object. */
const HEADER = 12
const ABSENT = 2 ** 48 - 1

export class Undo implements AsyncDisposable {
  readonly #scratchDir: string
  #folder: string | undefined
  #file: FileHandle | undefined
  #waiting: Buffer[] = []
  #held = 0
  #size = 0
  /** Writes of the file, one after the other. */
  #writing: Promise<void> = Promise.resolve()

  constructor(scratchDir: string = tmpdir()) {
    this.#scratchDir = scratchDir
  }

  /** To be called before the object is changed; `before` is undefined where there is none. */
  async keep(key: string, before: Uint8Array | undefined): Promise<void> {
    const name = Buffer.from(key, 'utf8')
    const header = Buffer.alloc(HEADER)
    header.writeUInt32LE(name.length, 0)
    header.writeUIntLE(before === undefined ? ABSENT : before.length, 4, 6)
    for (const part of [header, name, ...(before === undefined ? [] : [before])]) {
      this.#waiting.push(Buffer.from(part))
      this.#held += part.length
    }
    if (this.#held >= HELD) await this.#flush()
  }

  #flush(): Promise<void> {
    const bytes = Buffer.concat(this.#waiting)
    this.#waiting = []
    this.#held = 0
    this.#writing = this.#writing.then(async () => {
      const file = await this.#opened()
      let at = 0
      while (at < bytes.length) at += (await file.write(bytes, at, bytes.length - at, this.#size + at)).bytesWritten
      this.#size += bytes.length
    })
    return this.#writing
  }

  async #opened(): Promise<FileHandle> {
    if (this.#file !== undefined) return this.#file
    makeFolders(this.#scratchDir, 0o700)
    this.#folder = mkdtempSync(join(this.#scratchDir, 'holdfast-undo-'))
    return (this.#file = await open(join(this.#folder, 'objects'), 'wx+', 0o600))
  }

  /** Everything that was kept, each key once. */
  async *kept(): AsyncGenerator<{ key: string; before: Buffer | undefined }> {
    await this.#flush()
    let at = 0
    while (at < this.#size) {
      const header = await this.#read(at, HEADER)
      const [keyLength, length] = [header.readUInt32LE(0), header.readUIntLE(4, 6)]
      const key = (await this.#read(at + HEADER, keyLength)).toString('utf8')
      const start = at + HEADER + keyLength
      const before = length === ABSENT ? undefined : await this.#read(start, length)
      at = start + (before?.length ?? 0)
      yield { key, before }
    }
  }

  async #read(at: number, length: number): Promise<Buffer> {
    const bytes = Buffer.alloc(length)
    let got = 0
    while (got < length) {
      const { bytesRead } = await (await this.#opened()).read(bytes, got, length - got, at + got)
      if (bytesRead === 0) throw new Error('the file of what was replaced ends early')
      got += bytesRead
    }
    return bytes
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writing.catch(() => undefined)
    await this.#file?.close()
    if (this.#folder !== undefined) rmSync(this.#folder, { recursive: true, force: true })
  }
}
