/** Cold storage classes: a real server behind one that refuses to read what nobody asked for, as Glacier does. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { startFaultProxy, type Passing } from '../servers/fault-proxy.ts'
import { noVersitygw, startVersitygw } from '../servers/s3-servers.ts'
import { holdfast, scratch } from '../support/holdfast.ts'

const THAW_MS = 1500

/** Keeps what was stored as GLACIER from being read until some time after it was asked for. */
function glacier() {
  const cold = new Map<string, number | undefined>()
  const asked: string[] = []
  const keyOf = ({ path }: Passing): string => path.split('?')[0] ?? ''
  const around = (passing: Passing) => {
    const { method, path, headers, length } = passing
    const key = keyOf(passing)
    if (headers['x-amz-storage-class'] === 'GLACIER') cold.set(key, undefined)
    if (!cold.has(key)) return undefined
    const from = cold.get(key)
    const ready = from !== undefined && Date.now() - from > THAW_MS
    if (method === 'POST' && /[?&]restore\b/.test(path)) {
      asked.push(key)
      assert.ok(length > 0)
      if (from === undefined) cold.set(key, Date.now())
      return { status: from === undefined ? 202 : 200 }
    }
    if (method === 'GET' && !ready && !path.includes('list-type'))
      return { status: 403, body: '<Error><Code>InvalidObjectState</Code><Message>cold</Message></Error>' }
    if (method === 'HEAD')
      return {
        change(answer: { headers: Record<string, string> }) {
          answer.headers['x-amz-storage-class'] = 'GLACIER'
          if (from !== undefined)
            answer.headers['x-amz-restore'] = ready
              ? 'ongoing-request="false", expiry-date="Fri, 21 Dec 2029 00:00:00 GMT"'
              : 'ongoing-request="true"'
        },
      }
    return undefined
  }
  return { around, asked, cold }
}

test(
  'driver:s3-versitygw: backups in Glacier are listed and looked into as they are, asked for by thaw, and then restored',
  { skip: noVersitygw },
  async (t) => {
    const server = await startVersitygw()
    const proxy = await startFaultProxy(server.endpoint)
    t.after(async () => {
      await proxy.stop()
      await server.stop()
    })
    const cli = holdfast(scratch(t))
    mkdirSync(join(cli.dir, 'data'))
    const env = { HOLDFAST_PASSWORD: 'open-sesame', ...server.env }
    const run = async (code: number, ...args: string[]): Promise<string> => {
      const ended = await cli.run(args, { env })
      assert.equal(ended.code, code, `${args.join(' ')}: ${ended.stdout}${ended.stderr}`)
      return `${ended.stdout}${ended.stderr}`
    }
    for (const format of ['archive', 'repository']) {
      const { around, asked, cold } = glacier()
      proxy.script = around
      const vault = `${server.url.replace(server.endpoint, proxy.origin).replace('?', `/${format}?`)}&storageClass=GLACIER`
      const contents = [randomBytes(400_000), randomBytes(400_000)]
      for (const [i, content] of contents.entries()) {
        writeFileSync(join(cli.dir, `data/${i}`), content)
        await run(0, 'backup', 'data', '--to', vault, '--format', format)
      }
      assert.ok(cold.size >= 2)
      assert.match(await run(0, 'ls', 'latest', '--vault', vault), /data\/1/)
      // The newest content of the repository's cache of packs is not on this machine.
      const refused = await cli.run(['restore', 'latest', '--to', 'early', '--vault', vault], { env })
      assert.notEqual(refused.code, 0)
      assert.match(refused.stderr, /holdfast thaw/)
      assert.match(
        await run(0, 'thaw', '--vault', vault),
        /0 of 2 objects can be read, 2 were asked for now[^]*run this again/,
      )
      assert.equal(asked.length, 2)
      assert.match(
        await run(0, 'thaw', '--vault', vault, '--wait', '20s', '--every', '1s'),
        /all 2 objects of .* can be read/,
      )
      assert.equal(asked.length, 2)
      await run(0, 'restore', 'latest', '--to', `out-${format}`, '--vault', vault)
      for (const [i, content] of contents.entries())
        assert.ok(readFileSync(join(cli.dir, `out-${format}`, cli.dir, `data/${i}`)).equals(content))
    }
  },
)
