/** The index of a backup as a stream: one zstd frame of lines, sealed like the payload. */
import { Readable } from 'node:stream'
import { StringDecoder } from 'node:string_decoder'
import { constants, createZstdCompress, createZstdDecompress } from 'node:zlib'
import type { Bytes } from '../base/bytes.ts'
import { AppError, toAppError } from '../base/errors.ts'
import type { ByteStream } from '../base/streams.ts'
import type { ByteSource } from './cipher.ts'
import { parseIndexHeader, parseIndexLine, type IndexHeader, type IndexLine } from './index-format.ts'

const BATCH = 64 * 1024

export interface IndexWriter {
  /** Undefined while there is room. */
  line(text: string): Promise<void> | undefined
  end(): Promise<void>
  fail(error: unknown): void
  output(): ByteStream
}

export function indexWriter(header: IndexHeader): IndexWriter {
  const zstd = createZstdCompress({
    params: { [constants.ZSTD_c_compressionLevel]: 3, [constants.ZSTD_c_checksumFlag]: 1 },
  })
  let text = `${JSON.stringify(header)}\n`
  let failure: Error | undefined

  async function flush(): Promise<void> {
    const batch = text
    text = ''
    if (failure !== undefined) throw failure
    if (zstd.write(batch)) return
    await new Promise<void>((resolve) => {
      const done = (): void => {
        zstd.off('drain', done).off('close', done)
        resolve()
      }
      zstd.on('drain', done).on('close', done)
    })
    if (failure !== undefined) throw failure
  }

  return {
    line(line) {
      text += `${line}\n`
      return text.length < BATCH ? undefined : flush()
    },
    async end() {
      await flush()
      zstd.end()
    },
    fail(error) {
      failure ??= toAppError(error)
      zstd.on('error', () => {})
      zstd.destroy(failure)
    },
    output: () => zstd,
  }
}

export interface OpenIndex {
  header: IndexHeader
  /** Lines in batches, as text; the index is checked for its end mark. */
  batches: AsyncGenerator<string[]>
  /** To be called by who does not read to the end. */
  close(): Promise<void>
}

/** Reads the header; the rest streams. */
export async function openIndex(source: ByteSource): Promise<OpenIndex> {
  const lines = textLines(source)
  const first = await lines.next()
  if (first.done || first.value[0] === undefined) throw new AppError('backup.damaged', `${source.what} is empty`)
  const header = parseIndexHeader(first.value[0], source.what)
  const rest = first.value.slice(1)
  async function* batches(): AsyncGenerator<string[]> {
    let last = rest.at(-1)
    if (rest.length > 0) yield rest
    for await (const batch of lines) {
      last = batch.at(-1) ?? last
      yield batch
    }
    if (last === undefined || !last.startsWith('{"end"')) {
      throw new AppError('backup.damaged', `${source.what} ends before its end mark`)
    }
  }
  return { header, batches: batches(), close: async () => void (await lines.return(undefined)) }
}

/** All lines, parsed. */
export async function* indexLines(index: OpenIndex, what: string): AsyncGenerator<IndexLine> {
  for await (const batch of index.batches) for (const line of batch) yield parseIndexLine(line, what)
}

/** A list of a thousand deleted paths of the longest kind, or many large attributes, stay below it by far. */
const MAX_LINE = 64 * 1024 * 1024

async function* textLines(source: ByteSource): AsyncGenerator<string[]> {
  const input = Readable.from(source.read({ start: 0, end: source.size }), { objectMode: true })
  const zstd = createZstdDecompress({ chunkSize: 256 * 1024 })
  input.on('error', (error) => zstd.destroy(error))
  const decoder = new StringDecoder('utf8')
  let rest = ''
  try {
    for await (const chunk of input.pipe(zstd) as AsyncIterable<Bytes>) {
      const lines = decoder.write(chunk).split('\n')
      rest += lines[0]
      if (rest.length > MAX_LINE) throw new AppError('backup.damaged', `${source.what} has a line without end`)
      if (lines.length === 1) continue
      lines[0] = rest
      rest = lines.pop() ?? ''
      yield lines
    }
  } catch (error) {
    if (error instanceof AppError) throw error
    throw new AppError('backup.damaged', `${source.what} cannot be decompressed`, { cause: error })
  } finally {
    input.destroy()
    zstd.destroy()
  }
  if (rest !== '') throw new AppError('backup.damaged', `${source.what} ends in the middle of a line`)
}
