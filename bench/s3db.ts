/**
 * `npm run bench -- --on s3db`: backups of s3db databases beside the plugin that comes with s3db.js, and beside a bare
 * listing and reading of the same objects with as many reads at once.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { listKeys } from '../src/sources/s3db/listing.ts'
import type { ObjectClient } from '../src/sources/s3db/object-client.ts'
import { BackupPlugin } from '../src/s3db-plugin/index.ts'
import { bodyOf } from '../src/sources/s3db/fetch.ts'
import { BUCKET, noVersitygw, startVersitygw } from '../test/servers/s3-servers.ts'
import {
  closeDatabases,
  freshConnection,
  noS3db,
  openDatabase,
  upstreamPlugin,
  type Database,
} from '../test/support/s3db.ts'

const LANES = 32

interface Figure {
  what: string
  measured: string
  goal: string
}

export async function s3dbBenchmarks(dir: string, { quick }: { quick: boolean }): Promise<string> {
  if (noS3db !== undefined) return `s3db: ${noS3db}\n`
  rmSync(dir, { recursive: true, force: true })
  mkdirSync(dir, { recursive: true })
  const rows = quick ? 10_000 : 100_000
  const figures: Figure[] = []
  try {
    figures.push(await besideUpstream(dir))
    figures.push(...(await besideBare(dir, 'the sqlite client', freshConnection('sqlite'), rows, {})))
    if (noVersitygw === undefined) {
      const server = await startVersitygw()
      try {
        const { AWS_ACCESS_KEY_ID: id = '', AWS_SECRET_ACCESS_KEY: key = '' } = server.env
        const address = `${server.endpoint.replace('://', `://${id}:${encodeURIComponent(key)}@`)}/${BUCKET}/bench`
        const options = {
          executorPool: { enabled: false },
          clientOptions: { httpClientOptions: { useReckerHandler: false, maxSockets: 64 } },
        }
        figures.push(...(await besideBare(dir, 'an S3 server on loopback', address, Math.min(rows, 20_000), options)))
      } finally {
        await server.stop()
      }
    }
    figures.push(memoryOf(dir, quick ? 50_000 : 1_000_000))
  } finally {
    await closeDatabases()
    rmSync(dir, { recursive: true, force: true })
  }
  const table = figures.map(({ what, measured, goal }) => `| ${what} | ${measured} | ${goal} |`)
  return ['', '### s3db databases', '', '| case | measured | goal |', '|---|---|---|', ...table, ''].join('\n')
}

/** 1,000 rows, which is all that the other one stores; in turns, each with its own verification. */
async function besideUpstream(dir: string): Promise<Figure> {
  const db = await openDatabase(freshConnection('memory'))
  const users = await db.createResource({ name: 'users', attributes: { name: 'string', mail: 'email', age: 'number' } })
  await users.insertMany(
    Array.from({ length: 1000 }, (_, n) => ({
      id: `u${n}`,
      name: `Name ${n}`,
      mail: `u${n}@example.com`,
      age: n % 90,
    })),
  )
  const ours = new BackupPlugin({
    driver: 'filesystem',
    config: { path: join(dir, 'ours') },
    tempDir: join(dir, 'tmp'),
  })
  const theirs = await upstreamPlugin({
    driver: 'filesystem',
    config: { path: join(dir, 'theirs/') },
    tempDir: join(dir, 'tmp2'),
  })
  await db.usePlugin(theirs, 'upstream')
  await db.usePlugin(ours, 'ours')
  const times: [number[], number[]] = [[], []]
  for (let turn = 0; turn < 7; turn += 1) {
    times[0].push(await timed(async () => ours.backup('full')))
    times[1].push(await timed(async () => theirs.backup('full')))
  }
  await ours.stop()
  const [a, b] = times.map((each) => median(each.slice(1))) as [number, number]
  return {
    what: 'full backup of 1,000 rows, beside the plugin of s3db.js',
    measured: `${ms(a)}, the other ${ms(b)}: ${(b / a).toFixed(1)} times as fast`,
    goal: '3 times as fast',
  }
}

async function besideBare(
  dir: string,
  what: string,
  connection: string,
  rows: number,
  options: Record<string, unknown>,
): Promise<Figure[]> {
  const db = await openDatabase(connection, options)
  await db.createResource({ name: 'rows', attributes: { name: 'string', age: 'number' } })
  await inLanes(
    Array.from({ length: rows }, (_, n) => n),
    async (n) =>
      void (await db.client.putObject({
        key: `resource=rows/data/id=r${n}`,
        metadata: { _v: '1', '0': `Name of ${n}`, '1': String(n) },
        contentLength: 0,
      })),
  )
  const plugin = await pluginFor(db, join(dir, 'bare'), join(dir, 'tmp'))
  const times: [number[], number[], number[], number[]] = [[], [], [], []]
  for (let turn = 0; turn < 3; turn += 1) {
    times[0].push(await timed(async () => bare(db.client, true)))
    times[1].push(await timed(async () => plugin.backup('full')))
    times[2].push(await timed(async () => bare(db.client, false)))
    times[3].push(await timed(async () => plugin.backup('incremental')))
  }
  await plugin.stop()
  rmSync(join(dir, 'bare'), { recursive: true })
  await db.disconnect()
  const [read, full, list, nothing] = times.map(median) as [number, number, number, number]
  const count = rows.toLocaleString('en')
  return [
    {
      what: `full backup of ${count} rows from ${what}`,
      measured: `${ms(full)}, listing and reading alone ${ms(read)}: ${(full / read).toFixed(2)} times`,
      goal: '1.3 times',
    },
    {
      what: `incremental, nothing changed, ${count} rows in ${what}`,
      measured: `${ms(nothing)}, a listing alone ${ms(list)}`,
      goal: 'one listing',
    },
  ]
}

async function pluginFor(db: Database, path: string, tempDir: string): Promise<BackupPlugin> {
  const plugin = new BackupPlugin({
    config: { path },
    compression: 'zstd',
    verification: false,
    parallelism: LANES,
    tempDir,
  })
  await db.usePlugin(plugin)
  return plugin
}

/** What any backup has to do: every key, every object. */
async function bare(client: ObjectClient, reading: boolean): Promise<number> {
  let bytes = 0
  for await (const page of listKeys(client, ''))
    if (reading)
      await inLanes(page, async ({ key }) => {
        const object = await client.getObject(key)
        bytes += (await bodyOf(object, key)).length
      })
    else bytes += page.length
  return bytes
}

/** In a process of its own, whose memory is told at its end. The objects are made as files, as the client has them. */
function memoryOf(dir: string, rows: number): Figure {
  const base = join(dir, 'files')
  const folder = join(base, 'resource=rows/data')
  mkdirSync(folder, { recursive: true })
  for (let n = 0; n < rows; n += 1) {
    writeFileSync(join(folder, `id=r${n}`), '')
    const about = {
      metadata: { _v: '1', '0': `Name of ${n}` },
      contentType: 'application/octet-stream',
      contentLength: 0,
    }
    writeFileSync(join(folder, `id=r${n}.meta.json`), JSON.stringify(about))
  }
  writeFileSync(join(base, 's3db.json'), '{"version":"1","resources":{}}')
  const script = new URL('s3db-memory.ts', import.meta.url).pathname
  const { stdout, stderr } = spawnSync(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', script, base, join(dir, 'memory')],
    { encoding: 'utf8' },
  )
  const { seconds, rss, files } = JSON.parse(
    stdout.trim().split('\n').at(-1) || `{"files":${JSON.stringify(stderr.slice(-200))}}`,
  ) as Record<string, number>
  return {
    what: `memory of a full backup of ${rows.toLocaleString('en')} rows from the file client`,
    measured: `${rss} MB at most, ${files} objects in ${seconds} s`,
    goal: 'under 200 MB at 1,000,000',
  }
}

async function inLanes<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const waiting = items.values()
  await Promise.all(
    Array.from({ length: LANES }, async () => {
      for (const item of waiting) await work(item)
    }),
  )
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now()
  await work()
  return performance.now() - started
}

const median = (times: readonly number[]): number => [...times].sort((a, b) => a - b)[Math.floor(times.length / 2)] ?? 0
const ms = (time: number): string => (time < 1000 ? `${Math.round(time)} ms` : `${(time / 1000).toFixed(2)} s`)
