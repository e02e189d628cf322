/** What the sources of databases and programs have in common: entries of a dump, of which none may be missing. */
import { AppError, isAppError, toAppError } from '../base/errors.ts'
import { readerOfBytes, type ByteReader } from '../base/reader.ts'
import type { SourceEntry, Timestamp } from '../model/entry.ts'
import type { SourceReading } from '../model/source.ts'

/** A file of a dump may hold what only its owner should see. */
const FILE_MODE = 0o600
const FOLDER_MODE = 0o700

export const timestampOf = (time: Date): Timestamp => ({
  s: Math.floor(time.getTime() / 1000),
  ns: (time.getTime() - Math.floor(time.getTime() / 1000) * 1000) * 1e6,
})

export const dumpFolder = (path: string, mtime: Timestamp): SourceEntry => ({
  path,
  kind: 'directory',
  mode: FOLDER_MODE,
  mtime,
  size: 0,
})

/** A file whose bytes are there already. The memory must stay as it is until the next entry is asked for. */
export const dumpFile = (path: string, mtime: Timestamp, bytes: Uint8Array): SourceEntry => ({
  path,
  kind: 'file',
  mode: FILE_MODE,
  mtime,
  size: bytes.length,
  open: () => readerOfBytes(bytes),
})

/** A file whose size shows at its end, and that can be read once. */
export function dumpStream(path: string, mtime: Timestamp, open: () => ByteReader | Promise<ByteReader>): SourceEntry {
  let opened = false
  return {
    path,
    kind: 'file',
    mode: FILE_MODE,
    mtime,
    size: 0,
    sizeUnknown: true,
    open() {
      if (opened) throw new AppError('source.incomplete', `${path} cannot be read twice`)
      opened = true
      return open()
    },
  }
}

export const jsonBytes = (value: unknown): Buffer => Buffer.from(`${JSON.stringify(value, undefined, 2)}\n`)

/**
 * The reading of a dump. A file that cannot be read is a warning in a folder of files; in a dump it is the end: the
 * first failure of any entry is told with a code that no vault goes on after, and once more when the next entry is asked for.
 */
export function dumpReading(reading: SourceReading): SourceReading {
  let failure: AppError | undefined
  const fail = (error: unknown): never => {
    failure ??= asIncomplete(error)
    throw failure
  }
  function watched(reader: ByteReader): ByteReader {
    return {
      ...(reader.size !== undefined && { size: reader.size }),
      read(into) {
        try {
          const got = reader.read(into)
          return typeof got === 'number' ? got : got.catch(fail)
        } catch (error) {
          return fail(error)
        }
      },
      close: () => reader.close(),
    }
  }
  async function* entries(): AsyncGenerator<SourceEntry> {
    const iterator = reading.entries()[Symbol.asyncIterator]()
    try {
      for (;;) {
        const next = await iterator.next().catch(fail)
        if (failure !== undefined) throw failure
        if (next.done === true) return
        const entry = next.value
        const { open } = entry
        if (open === undefined) yield entry
        else
          yield {
            ...entry,
            open() {
              try {
                const opened = open()
                return opened instanceof Promise ? opened.then(watched, fail) : watched(opened)
              } catch (error) {
                return fail(error)
              }
            },
          }
        if (failure !== undefined) throw failure
      }
    } finally {
      await iterator.return?.()
    }
  }
  const { facts, labels } = reading
  return {
    entries,
    ...(facts && { facts: () => facts() }),
    ...(labels && { labels: () => labels() }),
    close: async () => reading.close(),
  }
}

function asIncomplete(error: unknown): AppError {
  const known = toAppError(error, 'source.incomplete')
  if (!isAppError(known, 'source.not-found', 'source.denied', 'source.failed')) return known
  return new AppError('source.incomplete', known.message, { cause: known, hint: known.hint, details: known.details })
}
