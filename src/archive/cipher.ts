/** Encryption of a vault's streams as one small contract, so that writer and reader do not know which kind it is. */
import { collect, type ByteStream } from '../base/streams.ts'
import { AppError } from '../base/errors.ts'
import { unlockKey, type MasterKey } from './keys.ts'
import type { ManifestEncryption } from './manifest.ts'
import { headerLength, parseHeader, plainSize, seal, sealedRange, unseal } from './sealed-stream.ts'

/** Bytes that can be read from anywhere, any number of times. */
export interface ByteSource {
  readonly size: number
  /** For messages: which object this is. */
  readonly what: string
  read(range: { start: number; end: number }): ByteStream
}

/** Encrypts new streams. */
export interface Sealer {
  readonly info: ManifestEncryption
  seal(stream: ByteStream): ByteStream
}

/** Opens stored streams of one kind of encryption. */
export interface Opener {
  open(stored: ByteSource): Promise<ByteSource>
}

export const plainSealer: Sealer = { info: { type: 'none' }, seal: (stream) => stream }

export const plainOpener: Opener = { open: async (stored) => stored }

export function aesSealer(master: MasterKey): Sealer {
  const { kdf, check } = master
  return { info: { type: 'aes-256-gcm', kdf, check }, seal: (stream) => seal(stream, master) }
}

/**
 * `keyFor` gives the master key that `expected` describes: the manifest, whose sum was right. A stream whose header
 * describes another is damaged; asked for its key, any password would be wrong.
 */
export function aesOpener(
  keyFor: (info: MasterKeyInfo, what: string) => Promise<MasterKey>,
  expected: MasterKeyInfo,
): Opener {
  return {
    async open(stored) {
      const { what } = stored
      if (stored.size < 8) throw new AppError('backup.damaged', `${what} has been cut off`)
      const first = await collect(stored.read({ start: 0, end: 8 }))
      const length = headerLength(first, what)
      if (length > stored.size) throw new AppError('backup.damaged', `${what} has been cut off`)
      const header = parseHeader(await collect(stored.read({ start: 0, end: length })), what)
      const { kdf, check } = header.key
      if (check !== expected.check || JSON.stringify(kdf) !== JSON.stringify(expected.kdf))
        throw new AppError('backup.damaged', `the header of ${what} is not what was written`)
      const master = await keyFor(header.key, what)
      const size = plainSize(header, stored.size, what)
      return {
        size,
        what,
        async *read({ start, end }) {
          const range = sealedRange(header, stored.size, start, end)
          const plain = unseal(stored.read(range), master, header, {
            first: range.first,
            storedSize: stored.size,
            what,
          })
          yield* cut(plain, start - range.first * header.segment, end - start)
        },
      }
    },
  }
}

type MasterKeyInfo = Parameters<typeof unlockKey>[0]

/** `count` bytes of a stream, after the first `skip`; the stream is not read further. */
export async function* cut(stream: ByteStream, skip: number, count: number): AsyncGenerator<Uint8Array> {
  let before = skip
  let rest = count
  for await (const chunk of stream) {
    if (chunk.length <= before) {
      before -= chunk.length
      continue
    }
    const piece = chunk.subarray(before, before + rest)
    before = 0
    rest -= piece.length
    yield piece
    if (rest === 0) return
  }
}
