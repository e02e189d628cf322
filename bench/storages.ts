/** Each driver beside `rclone copy`, to the same servers on loopback: one large stream, and many small objects. */
import { execFileSync } from 'node:child_process'
import { randomFillSync } from 'node:crypto'
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { AZURITE_ACCOUNT, AZURITE_KEY, noAzurite, startAzurite } from '../test/servers/azurite.ts'
import { noFakeGcs, startFakeGcs } from '../test/servers/fake-gcs.ts'
import { noVersitygw, startVersitygw } from '../test/servers/s3-servers.ts'
import { noSshd, startSshd } from '../test/servers/sshd.ts'
import { noRclone, startRcloneDav } from '../test/servers/webdav.ts'
import { compare, medians, type Command, type Figures } from './measure.ts'

const MIB = 1024 * 1024
const WIDTH = 8
const RETRIES = ['--retries', '1', '--low-level-retries', '3', '--ignore-times', '--config', '/dev/null']

interface Place {
  url: string
  env: Record<string, string>
  /** As rclone names it. */
  remote: string
  stop(): Promise<void>
}

const PLACES: Record<string, { unavailable: string | undefined; start(): Promise<Place> }> = {
  s3: {
    unavailable: noVersitygw,
    async start() {
      const { url, env, endpoint, stop } = await startVersitygw()
      const remote = `:s3,provider=Other,env_auth,endpoint='${endpoint}',region=us-east-1:backups/rclone`
      return { url: url.replace('&uploadPartSize=5m', ''), env, stop, remote }
    },
  },
  sftp: {
    unavailable: noSshd,
    async start() {
      const { url, port, keys, root, stop } = await startSshd()
      const remote = `:sftp,host=127.0.0.1,port=${port},user=root,key_file='${keys}/user',shell_type=none,md5sum_command=none,sha1sum_command=none:${root}/rclone`
      return { url, env: {}, stop, remote }
    },
  },
  azure: {
    unavailable: noAzurite,
    async start() {
      const { url, env, endpoint, stop } = await startAzurite()
      return {
        url,
        env,
        stop,
        remote: `:azureblob,account=${AZURITE_ACCOUNT},key='${AZURITE_KEY}',endpoint='${new URL(endpoint).origin}':backups/rclone`,
      }
    },
  },
  gcs: {
    unavailable: noFakeGcs,
    async start() {
      const { url, endpoint, stop } = await startFakeGcs()
      return { url, env: {}, stop, remote: `:gcs,anonymous,endpoint='${endpoint}/storage/v1/':backups/rclone` }
    },
  },
  webdav: {
    unavailable: noRclone,
    async start() {
      const { url, settings, stop } = await startRcloneDav()
      return { url, env: {}, stop, remote: `:webdav,url='${settings.url}',user=holdfast:rclone` }
    },
  },
}

/** Markdown; nothing but the put is compared, in whole processes. */
export async function storageBenchmarks(
  dir: string,
  { quick, runs, only }: { quick: boolean; runs: number; only?: string | undefined },
): Promise<string> {
  const [mebibytes, count] = quick ? [512, 1000] : [2048, 10_000]
  const [large, small] = [join(dir, 'stream'), join(dir, 'many')]
  makeMaterial(large, mebibytes, small, count)
  const rows: string[] = []
  for (const [name, { unavailable, start }] of Object.entries(PLACES)) {
    if (unavailable !== undefined || (only !== undefined && !only.split(',').includes(name))) continue
    for (const [title, path, width] of [
      [`${mebibytes} MiB stream`, large, 1],
      [`${count} objects of 10 KB, ${WIDTH} at a time`, small, WIDTH],
    ] as const) {
      console.error(`${name}: ${title}`)
      const place = await start()
      try {
        const [peer, own] = compare(commandsOf(place, path, width), runs, dir).map(medians)
        if (peer === undefined || own === undefined) continue
        const rate = peer.wall / own.wall
        rows.push(
          `| ${name}: ${title} | ${shown(peer)} | ${shown(own)} | ${rate.toFixed(2)} | ${rate >= 0.9 ? 'met' : '**missed**'} | ${Math.round(own.mebibytes)} MiB |`,
        )
      } catch (error) {
        rows.push(
          `| ${name}: ${title} | – | – | – | ${error instanceof Error ? (error.message.split('\n')[0] ?? '').slice(0, 120) : ''} | |`,
        )
      } finally {
        await place.stop()
      }
    }
  }
  rmSync(large)
  rmSync(small, { recursive: true })
  return `Wall time · processor time of the process.\n\n| driver | \`rclone copy\` | Holdfast | throughput, of rclone's | goal 0.9 | memory |\n|---|--:|--:|--:|---|--:|\n${rows.join('\n')}\n`
}

const shown = ({ wall, cpu }: Figures): string => `${wall.toFixed(2)} · ${cpu.toFixed(2)} s`

function commandsOf({ url, env, remote }: Place, path: string, width: number): Command[] {
  const node = ['--disable-warning=ExperimentalWarning', join(import.meta.dirname, 'storage-put.ts')]
  const secret: Record<string, string> = url.includes('passwordFile=') ? { RCLONE_WEBDAV_PASS: obscured(url) } : {}
  const copy =
    width === 1
      ? ['copyto', path, `${remote}/stream`]
      : ['copy', '--transfers', String(width), '--checkers', String(width), path, `${remote}/small`]
  return [
    { name: 'rclone', run: ['rclone', ...copy, ...RETRIES], env: { ...env, ...secret } },
    {
      name: 'holdfast',
      run: [process.execPath, ...node, url.replace(/(\?|$)/, '/holdfast$1'), path, String(width)],
      env,
    },
  ]
}

/** rclone wants passwords in its own form. */
function obscured(url: string): string {
  const file = new URL(url.replace(/^webdav/, 'http')).searchParams.get('passwordFile') ?? ''
  return execFileSync('rclone', ['obscure', readFileSync(file, 'utf8')], { encoding: 'utf8' }).trim()
}

function makeMaterial(large: string, mebibytes: number, small: string, count: number): void {
  const block = Buffer.alloc(MIB)
  const file = openSync(large, 'w')
  for (let i = 0; i < mebibytes; i += 1) writeSync(file, randomFillSync(block))
  closeSync(file)
  mkdirSync(small, { recursive: true })
  for (let i = 0; i < count; i += 1) writeFileSync(join(small, String(i)), randomFillSync(block.subarray(0, 10_000)))
}
