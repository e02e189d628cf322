/**
 * A whole cluster as its files, by BASE_BACKUP of the replication protocol: a tar for each tablespace and one for the
 * data folder, with the log that makes it consistent, and the server's own manifest. The tars are those of
 * `pg_basebackup -Ft`. docs/formats/database-dumps.md.
 */
import { AppError, isAppError } from '../../base/errors.ts'
import { comparePaths } from '../../base/paths.ts'
import type { ByteReader } from '../../base/reader.ts'
import type { PostgresSettings } from '../../model/databases.ts'
import type { SourceEntry } from '../../model/entry.ts'
import type { LaneBase } from '../../model/lane.ts'
import type { ReadOptions, Source, SourceCheck, SourceReading } from '../../model/source.ts'
import { dumpFile, dumpFolder, dumpReading, dumpStream, jsonBytes, timestampOf } from '../dump-reading.ts'
import { serverTime, sideSession } from './lane.ts'
import { parseLsn, positionOf } from './lsn.ts'
import {
  ABOUT_CLUSTER,
  BASE_TAR,
  incrementalFolder,
  incrementalManifest,
  INCREMENTALS,
  MANIFEST,
  tablespaceTar,
  tarPiece,
  type AboutCluster,
} from './physical-layout.ts'
import { buildOn, type Built } from './physical-parent.ts'
import { tarPieces } from './tar-pieces.ts'
import { openReplication, type Replication } from './replication.ts'
import type { Message } from './frames.ts'
import { rowOf, type Row } from './wire.ts'

export const PHYSICAL = 'postgres-physical'

export function postgresPhysical(settings: PostgresSettings): Source {
  for (const [set, what] of [
    [settings.databases ?? settings.excludeDatabases, 'databases'],
    [settings.tables ?? settings.excludeTables, 'tables'],
    [settings.schemas ?? settings.excludeSchemas, 'schemas'],
  ] as const)
    if (set !== undefined)
      throw new AppError('config.invalid', `method: physical takes the whole cluster, and \`${what}\` chooses of it`, {
        hint: 'Leave it out, or use method: logical.',
      })
  const where = settings.host ?? 'localhost'
  return {
    type: PHYSICAL,
    name: `postgres://${where} (physical)`,
    paths: [`postgres://${where}:${settings.port ?? 5432}`],
    builds: true,
    test: async ({ signal }) => check(settings, signal),
    read: async (options) => read(settings, options),
  }
}

async function read(settings: PostgresSettings, { signal, onWarning, parent }: ReadOptions): Promise<SourceReading> {
  const cancel = signal ? { signal } : {}
  const full = (why: string): void =>
    onWarning({ code: 'note', message: `the whole cluster is read, as what changed cannot be told: ${why}` })
  let replication = await openReplication(settings, cancel)
  let lane: LaneBase | undefined
  let about: AboutCluster | undefined
  const anew = async (why: string): Promise<void> => {
    full(why)
    await replication[Symbol.asyncDispose]()
    replication = await openReplication(settings, cancel)
  }

  /** By what changed where that can be had, else whole. */
  async function begin(): Promise<{ stream: BaseStream; begun: Begun; built?: Built }> {
    let refused: string | undefined
    const built = parent && (await buildOn(parent, replication, (why) => (refused = why)))
    if (refused !== undefined) await anew(refused)
    if (built !== undefined)
      try {
        const stream = baseStream(replication)
        return { stream, begun: await stream.begin(true), built }
      } catch (error) {
        if (!isAppError(error) || error.details['sqlstate'] === undefined) throw error
        await anew(error.message)
      }
    const stream = baseStream(replication)
    return { stream, begun: await stream.begin(false) }
  }

  async function* entries(): AsyncGenerator<SourceEntry> {
    const now = new Date()
    const mtime = timestampOf(now)
    const { stream, begun, built } = await begin()
    const { start, tablespaces } = begun
    const folder = built === undefined ? '' : `${incrementalFolder(built.number)}/`
    const before = built?.before ?? []
    yield* before.filter(({ path }) => comparePaths(path, folder) < 0)
    if (built !== undefined) {
      if (built.number === 1) yield dumpFolder(INCREMENTALS, mtime)
      yield dumpFolder(incrementalFolder(built.number), mtime)
    }
    for (const [index, tablespace] of tablespaces.entries()) {
      const path = folder + (tablespace.oid === undefined ? BASE_TAR : tablespaceTar(index, tablespace.oid))
      yield dumpFolder(path, mtime)
      yield* piecesOf(path, mtime, await stream.archive(tablespace.oid))
    }
    yield dumpStream(built === undefined ? MANIFEST : incrementalManifest(built.number), mtime, async () =>
      stream.manifest(),
    )
    yield* before.filter(({ path }) => comparePaths(path, folder) >= 0)
    const end = await stream.end()
    const time = await timeOf(settings, replication, signal)
    lane = {
      engine: 'postgres',
      system: replication.system,
      // Files of log are wanted from their beginning.
      from: positionOf({ ...end, lsn: end.lsn - (end.lsn % BigInt(replication.segmentSize)) }),
      to: positionOf(end),
      time,
    }
    about = {
      holdfast: PHYSICAL,
      version: built === undefined ? 1 : 2,
      serverVersion: replication.version,
      system: replication.system,
      segmentSize: replication.segmentSize,
      start: positionOf(start),
      end: positionOf(end),
      tablespaces: tablespaces.flatMap(({ oid, path }) => (oid === undefined ? [] : [{ oid, path: path ?? '' }])),
      fullAt: built?.fullAt ?? now.toISOString(),
      ...(built && { incrementals: built.number }),
    }
    if (tablespaces.length > 1)
      onWarning({ code: 'note', message: `${tablespaces.length - 1} tablespaces beside the data folder` })
    if (built !== undefined)
      onWarning({ code: 'note', message: `the server sent the blocks that changed since ${parent?.id}` })
    yield dumpFile(ABOUT_CLUSTER, mtime, jsonBytes(about))
  }
  return dumpReading({
    entries,
    facts: () => ({ cluster: about }),
    labels: (): Record<string, string> => (lane === undefined ? {} : { lane: JSON.stringify(lane) }),
    close: async () => replication[Symbol.asyncDispose](),
  })
}

/** By the clock of the server, where it can be asked. */
async function timeOf(
  settings: PostgresSettings,
  replication: Replication,
  signal: AbortSignal | undefined,
): Promise<Date> {
  try {
    await using asked = await sideSession(settings, replication, signal)
    return await serverTime(asked)
  } catch {
    return new Date()
  }
}

async function* piecesOf(
  folder: string,
  mtime: SourceEntry['mtime'],
  tar: AsyncIterable<Buffer>,
): AsyncGenerator<SourceEntry> {
  let index = 0
  for await (const { bytes, since } of tarPieces(tar)) {
    // With these a vault knows it again without reading it.
    yield { ...dumpFile(`${folder}/${tarPiece(index, since)}`, mtime, bytes), ctime: mtime, inode: 1 }
    index += 1
  }
}

interface Tablespace {
  oid?: string
  path?: string
}

interface Begun {
  start: { timeline: number; lsn: bigint }
  tablespaces: Tablespace[]
}

type BaseStream = ReturnType<typeof baseStream>

/** Its parts come in the order of the server, each to its end. */
function baseStream({ wire }: Replication) {
  let held: Message | undefined
  const next = async (): Promise<Message> => {
    const got = held ?? (await wire.next())
    held = undefined
    return got
  }

  async function begin(incremental: boolean): Promise<Begun> {
    wire.begin(
      `BASE_BACKUP (LABEL 'holdfast', PROGRESS false, CHECKPOINT 'fast', WAL true, WAIT true, MANIFEST 'yes', MANIFEST_CHECKSUMS 'SHA256', TABLESPACE_MAP true, TARGET 'client'${incremental ? ', INCREMENTAL true' : ''})`,
    )
    const results: Row[][] = []
    let rows: Row[] = []
    for (;;) {
      const got = await next()
      if (got.type === 'D') rows.push(rowOf(got.body))
      else if (got.type === 'C') {
        results.push(rows)
        rows = []
      } else if (got.type === 'H') break
    }
    const [[[lsn = '', timeline = ''] = []] = [], spaces = []] = results
    const tablespaces = spaces.map(([oid, path]) => ({
      ...(oid !== undefined && { oid }),
      ...(path !== undefined && { path }),
    }))
    return { start: { timeline: Number(timeline), lsn: parseLsn(lsn) }, tablespaces }
  }

  /** The bytes until the next part begins. */
  async function* part(): AsyncGenerator<Buffer> {
    for (;;) {
      const got = await next()
      if (got.type !== 'd') {
        held = { type: got.type, body: Buffer.from(got.body) }
        return
      }
      const kind = got.body[0]
      if (kind === 0x64) yield got.body.subarray(1)
      else if (kind === 0x6e || kind === 0x6d) {
        held = { type: got.type, body: Buffer.from(got.body) }
        return
      }
    }
  }

  async function archive(oid: string | undefined): Promise<AsyncIterable<Buffer>> {
    const got = await next()
    const name = got.type === 'd' && got.body[0] === 0x6e ? got.body.toString('utf8', 1).split('\0')[0] : undefined
    const wanted = oid === undefined ? 'base.tar' : `${oid}.tar`
    if (name !== wanted)
      throw new AppError('source.incomplete', `the server sends ${name ?? 'something else'} in place of ${wanted}`)
    return part()
  }

  async function manifest(): Promise<ByteReader> {
    const got = await next()
    if (got.type !== 'd' || got.body[0] !== 0x6d)
      throw new AppError('source.incomplete', 'the server sends no manifest of its backup')
    return readerOf(part())
  }

  async function end(): Promise<{ timeline: number; lsn: bigint }> {
    let stop: { timeline: number; lsn: bigint } | undefined
    for (;;) {
      const got = await next()
      if (got.type === 'D') {
        const [lsn = '', timeline = ''] = rowOf(got.body)
        stop = { timeline: Number(timeline), lsn: parseLsn(lsn) }
      } else if (got.type === 'Z') {
        if (stop !== undefined) return stop
        throw new AppError('source.incomplete', 'the server does not tell where its backup ends')
      }
    }
  }
  return { begin, archive, manifest, end }
}

/** A reader of pieces whose memory is used again. */
function readerOf(pieces: AsyncGenerator<Buffer>): ByteReader {
  let rest: Buffer = Buffer.alloc(0)
  return {
    async read(into) {
      while (rest.length === 0) {
        const { done, value } = await pieces.next()
        if (done === true) return 0
        rest = value
      }
      const count = Math.min(into.length, rest.length)
      rest.copy(into, 0, 0, count)
      rest = rest.subarray(count)
      return count
    },
    async close() {
      await pieces.return(undefined)
    },
  }
}

async function check(settings: PostgresSettings, signal: AbortSignal | undefined): Promise<SourceCheck[]> {
  await using replication = await openReplication(settings, signal ? { signal } : {})
  const { server, version, wire } = replication
  const show = async (name: string): Promise<string> => {
    const [[[value = ''] = []] = []] = await wire.query(`SHOW ${name}`)
    return value
  }
  const level = await show('wal_level')
  const senders = await show('max_wal_senders')
  const keep = await show('max_slot_wal_keep_size')
  const summarize = version < 170_000 ? undefined : await show('summarize_wal')
  return [
    { name: server.name, ok: true, detail: `PostgreSQL ${Math.floor(version / 10_000)}, replication is allowed` },
    {
      name: 'wal_level',
      ok: level !== 'minimal',
      detail: level,
      ...(level === 'minimal' && { fix: "ALTER SYSTEM SET wal_level = 'replica'; and restart the server" }),
    },
    {
      name: 'max_wal_senders',
      ok: Number(senders) >= 2,
      detail: senders,
      ...(Number(senders) < 2 && { fix: 'ALTER SYSTEM SET max_wal_senders = 10; and restart the server' }),
    },
    ...(summarize === undefined
      ? []
      : [
          {
            name: 'summarize_wal',
            ok: summarize === 'on',
            detail:
              summarize === 'on' ? 'on: what changed is read by block' : 'off: each backup reads the whole cluster',
            ...(summarize !== 'on' && { fix: 'ALTER SYSTEM SET summarize_wal = on; SELECT pg_reload_conf();' }),
          },
        ]),
    {
      name: 'max_slot_wal_keep_size',
      ok: keep !== '-1',
      detail: keep === '-1' ? 'a lane that stops for long would fill the disk of the server' : keep,
      ...(keep === '-1' && {
        fix: "ALTER SYSTEM SET max_slot_wal_keep_size = '20GB'; SELECT pg_reload_conf();",
      }),
    },
  ]
}
