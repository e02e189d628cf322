/** What changes while somebody looks: progress, another browser, a server that goes and comes back. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { Browser } from 'playwright-core'
import {
  firstAccount,
  noChromium,
  openBrowser,
  picture,
  signIn,
  startServer,
  until,
  visit,
} from '../support/browser.ts'
import { scratch } from '../support/holdfast.ts'

let browser: Browser
before(async () => {
  if (noChromium === false) browser = await openBrowser()
})
after(async () => browser?.close())

const config = (dir: string): string => `version: 1
vaults: { local: { storage: "file:${dir}/vault", format: archive } }
jobs:
  slow: { source: { type: files, paths: ["${dir}/much"] }, vaults: [local], bandwidth: 1024 }
  quick: { source: { type: command, command: "echo hello" }, vaults: [local] }
`

test(
  'a slow run is followed live by two browsers, and cancelled by one (driver:chromium)',
  { skip: noChromium },
  async (t) => {
    const dir = scratch(t, 'live')
    mkdirSync(join(dir, 'much'))
    // At 1 MiB a second long enough to look at.
    for (let n = 0; n < 60; n += 1) writeFileSync(join(dir, `much/${n}.bin`), randomBytes(1024 * 1024))
    writeFileSync(join(dir, 'holdfast.yaml'), config(dir))
    const server = await startServer(dir)
    t.after(async () => server.stop())
    const one = await visit(browser)
    await firstAccount(one.page, server)
    const two = await visit(browser)
    await signIn(two.page, server)
    const row = two.page.getByRole('row', { name: /slow/ }).locator('.tag')
    await row.getByText('Not yet run').waitFor()

    await one.page.goto(`${server.url}/jobs/slow`)
    await one.page.getByRole('button', { name: 'Run now' }).click()
    await one.page.getByRole('heading', { name: /Running/ }).waitFor()
    // The other one sees it by itself.
    await row.getByText('Running').waitFor()
    const read = one.page.locator('.figs > div').nth(1).locator('b')
    await until('something was read', async () => /[KM]iB/.test((await read.textContent()) ?? ''))
    const early = await read.textContent()
    await until('more was read', async () => (await read.textContent()) !== early)
    await one.page.getByRole('log').getByText('stage').first().waitFor()
    await picture(one.page, 'run-live')
    await one.page.getByRole('button', { name: 'Limit…' }).click()
    const dialog = one.page.getByRole('dialog')
    await dialog.getByLabel('Bytes a second').fill('fast')
    await dialog.getByRole('button', { name: 'Set the limit' }).click()
    await dialog.getByText('That is no size such as 500k or 5m.').first().waitFor()
    await dialog.getByLabel('Bytes a second').fill('1.5m')
    await dialog.getByRole('button', { name: 'Set the limit' }).click()
    await one.page.getByRole('log').getByText('limited to 1536 KiB/s, by hand').waitFor()
    await one.page.getByRole('button', { name: 'Cancel' }).click()
    await one.page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).last().click()
    await one.page.getByRole('heading', { name: /Cancelled/ }).waitFor()
    await row.getByText('Running').waitFor({ state: 'detached' })
    assert.deepEqual([...one.problems, ...two.problems], [])
  },
)

test(
  'a page outlives a restart of the server, and is right afterwards (driver:chromium)',
  { skip: noChromium },
  async (t) => {
    const dir = scratch(t, 'restart')
    writeFileSync(join(dir, 'holdfast.yaml'), config(dir))
    const server = await startServer(dir)
    t.after(async () => server.stop())
    const { page } = await visit(browser)
    await firstAccount(page, server)
    await page.getByRole('link', { name: 'Overview' }).click()
    const row = page.getByRole('row', { name: /quick/ }).locator('.tag')
    await row.getByText('Not yet run').waitFor()

    await server.stop()
    await page.getByText('The server cannot be reached.', { exact: false }).waitFor()
    const { code, stderr } = await server.cli.run(['backup', 'quick'], {
      env: { HOLDFAST_SERVER__DATA_DIR: join(dir, 'data') },
    })
    assert.equal(code, 0, stderr)
    const again = await startServer(dir, { listen: new URL(server.url).host })
    t.after(async () => again.stop())
    // Nobody reloads, nobody signs in again.
    await row.getByText('Good').waitFor({ timeout: 20_000 })
    await page.getByText('The server cannot be reached.', { exact: false }).waitFor({ state: 'detached' })
    await page.getByText('live', { exact: true }).waitFor()
  },
)
