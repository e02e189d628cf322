/** Entries as one plain tar or zip stream, for `dump`. */
import { AppError } from '../base/errors.ts'
import { readerOfStream } from '../base/reader.ts'
import type { ByteStream } from '../base/streams.ts'
import type { RestoredEntry, SourceEntry } from '../model/entry.ts'
import { blockWriter } from './block-writer.ts'
import { codecPool } from './codec-pool.ts'
import { tarWriter } from './tar-writer.ts'
import { zipWriter } from './zip-writer.ts'

export type ExportFormat = 'tar' | 'zip'

/** The names of a backup are from outside; programs that unpack a dump may believe them. */
function assertInside(path: string): void {
  if (!path.includes('\0') && path.split('/').every((name) => name !== '' && name !== '.' && name !== '..')) return
  throw new AppError('restore.unsafe', `the backup holds the name ${JSON.stringify(path)}, which leads elsewhere`)
}

export async function* exportArchive(
  entries: AsyncIterable<RestoredEntry>,
  format: ExportFormat,
): ByteStream & AsyncGenerator<Uint8Array> {
  const pool = codecPool(1)
  const blocks = blockWriter({ compression: { type: 'none', level: 0 }, pool, copies: true })
  const container = format === 'zip' ? zipWriter(blocks, 6) : tarWriter(blocks)
  const writing = (async () => {
    for await (const entry of entries) {
      const { open, ...rest } = entry
      assertInside(entry.path)
      if (entry.hardlink !== undefined) assertInside(entry.hardlink)
      // Holes are written out: the content comes whole here.
      const member: SourceEntry = { ...rest, sparse: false }
      if (open === undefined) await container.member(member)
      else {
        const result = await container.file(member, readerOfStream(open()), () => undefined)
        if ('place' in result && result.size !== entry.size) {
          throw new AppError('backup.damaged', `${entry.path} has ${result.size} of ${entry.size} bytes`)
        }
      }
    }
    await container.end()
    await blocks.end()
  })()
  writing.catch((error: unknown) => blocks.fail(error))
  try {
    yield* blocks.output()
    await writing
  } finally {
    blocks.fail(new AppError('run.cancelled', 'the export was given up'))
    await writing.catch(() => {})
    await pool.close()
  }
}
