import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { createApp, parseStorageUrl } from '../../src/app.ts'
import type { Clock } from '../../src/base/clock.ts'
import { loadConfig } from '../../src/config/load.ts'
import { holdfast, scratch } from '../support/holdfast.ts'

interface Message {
  event: string
  title: string
  text: string
}

test('a week and a month are told once each, however often somebody looks and however long nothing ran', async (t) => {
  const messages: Message[] = []
  let refuse = false
  const receiver = createServer((request, response) => {
    if (refuse) {
      response.writeHead(400).end()
      return
    }
    let body = ''
    request.on('data', (chunk: Buffer) => (body += chunk.toString()))
    request.on('end', () => {
      messages.push(JSON.parse(body) as Message)
      response.end()
    })
  })
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve))
  t.after(() => receiver.close())
  const { port } = receiver.address() as AddressInfo
  const hf = holdfast(scratch(t, 'digest'))
  mkdirSync(join(hf.dir, 'data'))
  writeFileSync(join(hf.dir, 'data/a'), 'content')
  writeFileSync(
    join(hf.dir, 'holdfast.yaml'),
    `vaults: { v: { storage: { type: file, path: ./vault }, format: archive } }
server: { dataDir: ./state }
jobs:
  web: { source: { type: files, paths: [./data] }, vaults: [v] }
  <never>: { source: { type: files, paths: [./data] }, vaults: [v] }
notify: { ops: { type: webhook, url: 'http://127.0.0.1:${port}', on: [weekly, monthly] } }
`,
  )
  assert.equal((await hf.run(['backup', 'web'])).code, 0)
  const { settings } = await loadConfig({ cwd: hf.dir, env: { HOME: hf.dir }, parseStorageUrl })
  let now = new Date()
  const clock: Clock = { now: () => now, monotonic: () => now.getTime(), sleep: async () => {} }
  await using app = createApp(settings, { clock, silent: true })
  const after = async (days: number): Promise<number> => {
    now = new Date(now.getTime() + days * 86_400_000)
    const before = messages.length
    await app.tellDigests()
    return messages.length - before
  }
  assert.equal(await after(0), 0, 'there is nothing to look back on yet')
  assert.equal((await after(7)) >= 1, true)
  const first = messages.find(({ event }) => event === 'weekly')
  assert.match(first?.title ?? '', /^Holdfast: week of .*: <never> needs attention$/)
  assert.match(first?.text ?? '', /✓ web: 1 good, 0 failed/)
  assert.equal(await after(0), 0, 'told once')
  const many = messages.length
  await after(70)
  const late = messages.slice(many).map(({ event }) => event)
  assert.deepEqual(late.toSorted(), ['monthly', 'weekly'], 'of several that were missed the last')

  refuse = true
  assert.equal(await after(7), 0)
  refuse = false
  assert.equal(await after(0), 0, 'not at once again')
  now = new Date(now.getTime() + 16 * 60_000)
  assert.ok((await after(0)) >= 1, 'what nobody got is sent again')
  assert.equal(await after(0), 0)

  const page = await hf.run(['report', '--digest', 'weekly', '--html', 'week.html'])
  assert.equal(page.code, 0, page.stderr)
  const html = readFileSync(join(hf.dir, 'week.html'), 'utf8')
  assert.match(html, /&lt;never&gt;/)
  assert.doesNotMatch(html, /<script|src=|https?:\/\//)
})
