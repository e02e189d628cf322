/** Moments of a database's log on the page of its job: seen, looked at, and one restored. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { after, before, test } from 'node:test'
import type { Browser } from 'playwright-core'
import { violations } from '../support/axe.ts'
import { firstAccount, noChromium, openBrowser, picture, startServer, until, visit } from '../support/browser.ts'
import { scratch } from '../support/holdfast.ts'
import { pause, timelineOf } from '../support/pit.ts'

let browser: Browser
before(async () => {
  if (noChromium === false) browser = await openBrowser()
})
after(async () => browser?.close())

test(
  'the moments of a database are seen on the page of its job, and one is restored (driver:chromium)',
  { skip: noChromium },
  async (t) => {
    const dir = scratch(t, 'moments')
    writeFileSync(
      join(dir, 'holdfast.yaml'),
      `vaults: { v: { storage: { type: file, path: ./vault }, format: archive } }
server: { dataDir: ./data }
jobs: { shop: { source: { type: sqlite, file: ./shop.db }, vaults: [v], schedule: continuous } }`,
      { mode: 0o600 },
    )
    mkdirSync(join(dir, 'out'))
    using database = new DatabaseSync(join(dir, 'shop.db'), { timeout: 10_000 })
    database.exec('pragma journal_mode = wal; create table t (id integer primary key); insert into t values (1)')
    const server = await startServer(dir)
    t.after(async () => server.stop())
    const windows = async () => (await timelineOf(server.cli, 'shop')).windows
    await until('a window', async () => (await windows()).length === 1, 60_000)
    await pause(1500)
    const moment = new Date()
    await pause(2500)
    database.exec('insert into t values (2)')
    await until('the log up to now', async () => new Date((await windows())[0]?.to ?? 0) > moment, 60_000)

    const { page, problems } = await visit(browser)
    await firstAccount(page, server)
    await page.goto(`${server.url}/jobs/shop?tab=points`)
    await page.getByText('Moments in v').waitFor()
    await picture(page, 'moments')
    assert.deepEqual(await violations(page), [])
    // The browser's clock is that of Berlin.
    const local = new Intl.DateTimeFormat('sv-SE', {
      timeZone: 'Europe/Berlin',
      dateStyle: 'short',
      timeStyle: 'medium',
    }).format(new Date(moment.getTime() + 1000))
    await page.getByLabel('Restore to a moment').fill(local)
    await page.getByRole('button', { name: 'Restore…', exact: true }).last().click()
    const file = join(dir, 'out/back.db')
    await page.getByLabel('File of the database').fill(file)
    await page.getByRole('button', { name: 'Look first' }).click()
    await page.getByText('Nothing stands in the way.').waitFor()
    await page.getByRole('button', { name: 'Restore', exact: true }).click()
    await page.getByRole('heading', { name: 'Restore · shop' }).waitFor()
    await page.getByRole('heading', { name: /Good|Warnings/ }).waitFor({ timeout: 60_000 })
    assert.ok(existsSync(file))
    using back = new DatabaseSync(file, { readOnly: true })
    assert.deepEqual(
      back
        .prepare('select id from t')
        .all()
        .map(({ id }) => id),
      [1],
    )
    assert.deepEqual(problems, [])
  },
)
