import { open, readFile, realpath, rename, rm, stat } from 'node:fs/promises'
import { randomBytes } from 'node:crypto'
import { AppError, errno } from '../base/errors.ts'
import { decryptSecret, ENCRYPTED, encryptSecret, kdfOf, type BoxKey, type Kdf } from './secret-box.ts'

/**
 * Encrypts every `enc:` value of a configuration file anew, in place: comments, layout, mode and owner stay, and a
 * crash leaves the old file or the new one. Rejects without a change when one value cannot be decrypted.
 */
export async function rekeyFile(file: string, from: BoxKey, to: BoxKey & { kdf?: Kdf }): Promise<{ values: number }> {
  const path = await realpath(file).catch((error: unknown) => {
    throw new AppError('config.not-found', `cannot read ${file}: ${errno(error) ?? 'failed'}`, { cause: error })
  })
  const text = await readFile(path, 'utf8')
  const { text: changed, values } = rekeyText(text, from, to)
  if (values > 0) await replaceFile(path, changed)
  return { values }
}

export function rekeyText(text: string, from: BoxKey, to: BoxKey & { kdf?: Kdf }): { text: string; values: number } {
  let values = 0
  const changed = text.replaceAll(ENCRYPTED, (token, offset: number) => {
    values += 1
    try {
      return encryptSecret(decryptSecret(token, from), { ...to, kdf: to.kdf ?? kdfOf(token) })
    } catch (error) {
      const line = text.slice(0, offset).split('\n').length
      if (error instanceof AppError)
        throw new AppError(error.code, `line ${line}: ${error.message}`, { hint: error.hint })
      throw error
    }
  })
  return { text: changed, values }
}

async function replaceFile(path: string, text: string): Promise<void> {
  const { mode, uid, gid } = await stat(path)
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`
  try {
    const handle = await open(temporary, 'wx', mode & 0o777)
    try {
      await handle.chmod(mode & 0o7777)
      await handle.chown(uid, gid).catch(ignoreDenied)
      await handle.writeFile(text)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw new AppError('config.invalid', `cannot write ${path}: ${errno(error) ?? 'failed'}`, { cause: error })
  }
}

/** Only root may give a file to another owner. */
function ignoreDenied(error: unknown): void {
  if (errno(error) !== 'EPERM') throw error
}
