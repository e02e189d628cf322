/**
 * Takes docs/images/page-*.png: a server with made-up jobs and a month of made-up history, seen in Chromium. The pictures are of the
 * real page on the real API.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { firstAccount, openBrowser, startServer, until, visit } from '../test/support/browser.ts'
import { writePast } from '../test/support/history.ts'

const images = join(dirname(import.meta.filename), '../docs/images')
const GIB = 2 ** 30
const dir = mkdtempSync(join(tmpdir(), 'capture-page-'))

const config = `version: 1
vaults:
  offsite: { storage: "file:${dir}/offsite", format: archive, limits: { stop: 900g } }
  nas: { storage: "file:${dir}/nas", format: archive, limits: { warn: 90g, stop: 140g } }
jobs:
  shop-db: { source: { type: postgres, host: db-1, databases: [shop] }, vaults: [offsite], schedule: { cron: "0 */6 * * *", timezone: Europe/Berlin } }
  crm: { source: { type: mysql, host: db-2 }, vaults: [offsite], schedule: { cron: "0 3 * * *", timezone: Europe/Berlin } }
  events: { source: { type: mongodb, url: "mongodb://events" }, vaults: [nas], schedule: { cron: "30 * * * *", timezone: Europe/Berlin } }
  uploads: { source: { type: files, paths: ["${dir}/uploads"] }, vaults: [offsite], schedule: { cron: "0 21 * * *", timezone: Europe/Berlin } }
  letters: { source: { type: files, paths: ["${dir}/letters"] }, vaults: [nas], schedule: { cron: "0 12 * * 1-5", timezone: Europe/Berlin } }
`
const past = [
  {
    name: 'shop-db',
    vault: 'offsite',
    source: 'postgres',
    path: 'db-1/shop',
    bytes: 38 * GIB,
    growth: 0.3 * GIB,
    everyHours: 6,
    provenDaysAgo: 2,
  },
  {
    name: 'crm',
    vault: 'offsite',
    source: 'mysql',
    path: 'db-2',
    bytes: 6.1 * GIB,
    growth: 0.02 * GIB,
    provenDaysAgo: 6,
    ended: (back: number) => (back === 17 ? ('warning' as const) : undefined),
  },
  {
    name: 'events',
    vault: 'nas',
    source: 'mongodb',
    path: 'events',
    bytes: 12 * GIB,
    growth: 0.1 * GIB,
    everyHours: 1,
    provenDaysAgo: 1,
  },
  {
    name: 'uploads',
    vault: 'offsite',
    source: 'files',
    path: join(dir, 'uploads'),
    bytes: 318 * GIB,
    growth: 1.6 * GIB,
    provenDaysAgo: 5,
    ended: (back: number) => (back < 2 || back === 22 ? ('failed' as const) : undefined),
  },
  {
    name: 'letters',
    vault: 'nas',
    source: 'files',
    path: join(dir, 'letters'),
    bytes: 0.4 * GIB,
    days: 21,
    provenDaysAgo: 3,
  },
]

try {
  writeFileSync(join(dir, 'holdfast.yaml'), config)
  mkdirSync(join(dir, 'data'))
  mkdirSync(join(dir, 'letters/photos'), { recursive: true })
  mkdirSync(join(dir, 'uploads'))
  writeFileSync(
    join(dir, 'letters/aunt.txt'),
    'Dear aunt,\n\nthe garden is well, and so are we.\nThe pictures are in the other folder.\n',
  )
  for (let n = 1; n <= 9; n += 1) {
    writeFileSync(join(dir, `letters/letter-${n}.txt`), 'Dear all,\n'.repeat(40 * n))
    writeFileSync(join(dir, `letters/photos/garden-${n}.jpg`), Buffer.alloc(90_000 * n, n))
  }
  writePast(join(dir, 'data'), past)
  const server = await startServer(dir)
  const browser = await openBrowser()
  try {
    const { page } = await visit(browser, { width: 1200 })
    await firstAccount(page, server)
    await server.cli.run(['backup', 'letters'], { env: { HOLDFAST_SERVER__DATA_DIR: join(dir, 'data') } })
    await page.goto(server.url)
    // The service looks for what is wrong once a minute.
    await until('the alert is there', async () => (await page.locator('.alert').count()) > 0, 90_000).catch(() => {})
    await page.setViewportSize({ width: 1200, height: 800 })
    await page.screenshot({ path: join(images, 'page-overview.png') })
    await page.emulateMedia({ colorScheme: 'dark' })
    await page.goto(`${server.url}/restore?job=letters`)
    await page.locator('td a.name').first().click()
    for (const part of join(dir, 'letters').split('/').filter(Boolean))
      await page.getByRole('button', { name: part, exact: true }).click()
    await page.getByRole('button', { name: 'aunt.txt' }).click()
    await page.getByText('the garden is well', { exact: false }).waitFor()
    await page.getByLabel('Choose aunt.txt').check()
    await page.getByLabel('Choose photos').check()
    await page.screenshot({ path: join(images, 'page-restore.png') })
  } finally {
    await browser.close()
    await server.stop()
  }
} finally {
  rmSync(dir, { recursive: true, force: true })
}
