/** Segments of lanes in an archive vault: `lanes/JOB/NAME.lane.zst`, with `.enc` or `.age`. docs/formats/lanes.md. */
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import type { Bytes } from '../base/bytes.ts'
import { AppError } from '../base/errors.ts'
import { collect, streamOf } from '../base/streams.ts'
import { LANE_OBJECT_BYTES, LANE_STORED_BYTES, type VaultLanes } from '../model/vault.ts'
import { aesOpener, plainOpener, type ByteSource, type Opener } from './cipher.ts'
import type { ArchiveContext } from './context.ts'
import type { KeyInfo, MasterKey } from './keys.ts'
import { headerLength, parseHeader } from './sealed-stream.ts'

const FOLDER = 'lanes/'
const KEY = /^lanes\/([^/]+)\/([^/]+)\.lane\.zst(\.enc|\.age)?$/
const SUFFIXES = { none: '', 'aes-256-gcm': '.enc', age: '.age' } as const

export interface LaneKeys {
  aes(info: KeyInfo, what: string): Promise<MasterKey>
  age(): Opener
}

export function archiveLanes({ storage, sealer }: ArchiveContext, keys: LaneKeys): VaultLanes {
  const folder = (job: string): string => `${FOLDER}${encodeURIComponent(job)}/`

  async function keyOf(job: string, name: string, signal?: AbortSignal): Promise<string> {
    for await (const { key } of storage.list(`${folder(job)}${name}.lane.`, signal ? { signal } : {}))
      if (KEY.exec(key)?.[2] === name) return key
    throw new AppError('storage.not-found', `${folder(job)}${name} is not in ${storage.name}`)
  }

  async function openerOf(key: string, bytes: Bytes): Promise<Opener> {
    const what = `${key} in ${storage.name}`
    if (key.endsWith('.age')) return keys.age()
    if (!key.endsWith('.enc')) return plainOpener
    const header = parseHeader(bytes.subarray(0, headerLength(bytes.subarray(0, 8), what)), what)
    return aesOpener(keys.aes, header.key)
  }

  return {
    async jobs({ signal } = {}) {
      const jobs = new Set<string>()
      for await (const { key } of storage.list(FOLDER, signal ? { signal } : {})) {
        const [, job] = KEY.exec(key) ?? []
        if (job !== undefined) jobs.add(decodeURIComponent(job))
      }
      return [...jobs]
    },
    async *list(job, { signal } = {}) {
      for await (const { key, size } of storage.list(folder(job), signal ? { signal } : {})) {
        const [, , name] = KEY.exec(key) ?? []
        if (name !== undefined) yield { name, size }
      }
    },
    async put(job, name, bytes, { signal } = {}) {
      if (bytes.length > LANE_OBJECT_BYTES) throw tooLarge(name, bytes.length)
      const seal = await sealer()
      const packed = zstdCompressSync(bytes, { params: { [constants.ZSTD_c_checksumFlag]: 1 } })
      const sealed = await collect(seal.seal(streamOf(packed)))
      await storage.put(`${folder(job)}${name}.lane.zst${SUFFIXES[seal.info.type]}`, sealed, {
        storageClass: 'warm',
        ...(signal && { signal }),
      })
    },
    async get(job, name, { signal } = {}) {
      const key = await keyOf(job, name, signal)
      const stored = await collect(storage.get(key, signal ? { signal } : {}), LANE_STORED_BYTES)
      const what = `${key} in ${storage.name}`
      const source: ByteSource = {
        size: stored.length,
        what,
        read: ({ start, end }) => streamOf(stored.subarray(start, end)),
      }
      const opened = await (await openerOf(key, stored)).open(source)
      const packed = await collect(opened.read({ start: 0, end: opened.size }), LANE_STORED_BYTES)
      try {
        return zstdDecompressSync(packed, { maxOutputLength: LANE_STORED_BYTES })
      } catch (cause) {
        throw new AppError('backup.damaged', `${what} is not what was written`, { cause })
      }
    },
    async remove(job, name, { signal } = {}) {
      await storage.remove(await keyOf(job, name, signal), signal ? { signal } : {})
    },
  }
}

const tooLarge = (name: string, size: number): AppError =>
  new AppError('source.unsupported', `${name} of a log has ${size} bytes, more than can be read again at once`)
