/** Secrets at rest in the catalogue: AES-256-GCM with a key in a file beside it. */
import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto'
import { closeSync, fsyncSync, linkSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { AppError, errno } from '../base/errors.ts'

export interface Seal {
  seal(value: unknown): Uint8Array
  /** Tells this key from another one, and nothing else of it. */
  mark(): string
  /** Throws `catalogue.failed` when the key is another one, or the bytes were changed. */
  open(bytes: Uint8Array): unknown
}

const NONCE = 12
const TAG = 16
const KEY = 32

/** The key in `file` is made at the first use; without a file it is one of this process. */
export function sealOf(file: string | undefined): Seal {
  let key: Buffer | undefined
  const theKey = (): Buffer => (key ??= file === undefined ? randomBytes(KEY) : keyOf(file))
  return {
    mark: () => createHash('sha256').update('holdfast seal').update(theKey()).digest('hex'),
    seal(value) {
      const nonce = randomBytes(NONCE)
      const cipher = createCipheriv('aes-256-gcm', theKey(), nonce)
      return Buffer.concat([nonce, cipher.update(JSON.stringify(value), 'utf8'), cipher.final(), cipher.getAuthTag()])
    },
    open(bytes) {
      const decipher = createDecipheriv('aes-256-gcm', theKey(), bytes.subarray(0, NONCE), { authTagLength: TAG })
      decipher.setAuthTag(bytes.subarray(-TAG))
      try {
        const text = Buffer.concat([decipher.update(bytes.subarray(NONCE, -TAG)), decipher.final()])
        return JSON.parse(text.toString('utf8')) as unknown
      } catch (cause) {
        throw new AppError(
          'catalogue.failed',
          `what is sealed in the catalogue does not open with ${file ?? 'the key'}`,
          {
            hint: 'Bring back the server.key that belongs to this catalogue; without it accounts and jobs of the page have to be made again.',
            cause,
          },
        )
      }
    },
  }
}

function keyOf(file: string): Buffer {
  for (let tries = 0; ; tries += 1) {
    try {
      const key = readFileSync(file)
      if (key.length === KEY) return key
      throw new AppError('catalogue.failed', `${file} holds no key: ${key.length} bytes where ${KEY} belong`)
    } catch (error) {
      if (errno(error) !== 'ENOENT' || tries > 1) throw error
    }
    make(file)
  }
}

/** Whole or not at all, and by one of several processes. */
function make(file: string): void {
  const temporary = `${file}.${createHash('sha256').update(randomBytes(16)).digest('hex').slice(0, 8)}`
  const handle = openSync(temporary, 'wx', 0o600)
  try {
    writeSync(handle, randomBytes(KEY))
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
  try {
    linkSync(temporary, file)
  } catch (error) {
    if (errno(error) !== 'EEXIST') throw error
  } finally {
    rmSync(temporary, { force: true })
  }
}
