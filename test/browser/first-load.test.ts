import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { Browser } from 'playwright-core'
import { gzipSync } from 'node:zlib'
import { firstAccount, noChromium, openBrowser, startServer, visit } from '../support/browser.ts'
import { scratch } from '../support/holdfast.ts'

const LIMIT = 60 * 1024

let browser: Browser
before(async () => {
  if (noChromium === false) browser = await openBrowser()
})
after(async () => browser?.close())

test(
  'the first page takes less than 60 KB, from this server alone, without anything inline (driver:chromium)',
  { skip: noChromium },
  async (t) => {
    const server = await startServer(scratch(t, 'load'))
    t.after(async () => server.stop())
    const maker = await visit(browser)
    await firstAccount(maker.page, server)
    const cookies = await maker.context.cookies()
    const { page, context, problems } = await visit(browser)
    await context.addCookies(cookies)
    const loaded: { url: string; bytes: number }[] = []
    const waiting: Promise<void>[] = []
    page.on('response', (response) => {
      const url = response.url()
      if (url.includes('/api/')) return
      waiting.push(
        response.body().then((body) => void loaded.push({ url, bytes: gzipSync(body, { level: 9 }).length })),
      )
    })
    await page.goto(server.url)
    await page
      .getByRole('heading', { name: 'Nothing is backed up yet' })
      .or(page.getByText('Nothing is backed up yet'))
      .first()
      .waitFor()
    await Promise.all(waiting)
    const total = loaded.reduce((sum, { bytes }) => sum + bytes, 0)
    assert.ok(loaded.length >= 3, 'the test saw the files')
    assert.deepEqual(
      loaded.filter(({ url }) => !url.startsWith(server.url)),
      [],
    )
    assert.ok(
      total < LIMIT,
      `${total} bytes: ${loaded.map(({ url, bytes }) => `${join('/', new URL(url).pathname)} ${bytes}`).join(', ')}`,
    )
    t.diagnostic(`first load: ${total} bytes gzipped in ${loaded.length} files`)
    assert.equal(
      await page.evaluate<number>("document.querySelectorAll('script:not([src]), style, [style]:not(.menu)').length"),
      0,
    )
    assert.deepEqual(problems, [])
  },
)
