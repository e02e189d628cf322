/** Bytes to a new file, which stays only if all came; or to stdout. */
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { rm } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { AppError, errno } from '../base/errors.ts'

export async function writeOut(
  chunks: AsyncIterable<Uint8Array>,
  file: string | undefined,
  signal: AbortSignal,
): Promise<void> {
  if (file === undefined) {
    for await (const chunk of chunks) if (!process.stdout.write(chunk)) await once(process.stdout, 'drain', { signal })
    return
  }
  const output = createWriteStream(file, { flags: 'wx', mode: 0o600 })
  try {
    await once(output, 'open', { signal })
  } catch (error) {
    const exists = errno(error) === 'EEXIST'
    throw new AppError('usage.invalid', exists ? `${file} is there already` : `${file} cannot be written`, {
      cause: error,
      ...(exists && { hint: 'Name a new file.' }),
    })
  }
  try {
    await pipeline(copied(chunks), output, { signal })
  } catch (error) {
    await rm(file, { force: true })
    throw error
  }
}

/** A chunk may be used only until the next one comes. */
async function* copied(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) yield Buffer.from(chunk)
}
