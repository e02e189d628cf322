/** Each page on real data, in both themes and two widths: nothing that axe objects to, nothing wider than the window. */
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { Browser } from 'playwright-core'
import { violations } from '../support/axe.ts'
import {
  firstAccount,
  noChromium,
  openBrowser,
  painted,
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
vaults:
  local: { storage: "file:${dir}/vault", format: archive, limits: { warn: 1m, stop: 50m } }
  second: { storage: "file:${dir}/second", format: archive }
  gone: { storage: "file:/proc/nowhere", format: archive }
jobs:
  letters:
    source: { type: files, paths: ["${dir}/letters"] }
    vaults: [local, second]
    schedule: { cron: "0 3 * * *", timezone: America/New_York }
    retention: { last: 1, daily: 7 }
    description: What was written by hand
  broken: { source: { type: files, paths: ["${dir}/letters"] }, vaults: [gone] }
  never: { enabled: false, source: { type: command, command: "echo hello" }, vaults: [local] }
notify:
  ops: { type: webhook, url: "http://127.0.0.1:9/hook", on: [failure, recovered] }
`

test(
  'axe finds nothing on any page, in both themes and two widths (driver:chromium)',
  { skip: noChromium },
  async (t) => {
    const dir = scratch(t, 'pages')
    mkdirSync(join(dir, 'letters/old'), { recursive: true })
    for (let n = 0; n < 40; n += 1) writeFileSync(join(dir, `letters/letter-${n}.txt`), `Dear ${n},\n`.repeat(n + 1))
    writeFileSync(join(dir, 'letters/old/one.txt'), 'old')
    writeFileSync(join(dir, 'holdfast.yaml'), config(dir))
    const server = await startServer(dir)
    t.after(async () => server.stop())
    const maker = await visit(browser)
    await firstAccount(maker.page, server)

    // Some history: two backups that differ, a proof, a failure.
    const { cli } = server
    const env = { HOLDFAST_SERVER__DATA_DIR: join(dir, 'data') }
    const must = async (args: string[], code = 0): Promise<string> => {
      const ended = await cli.run(args, { env })
      assert.equal(ended.code, code, ended.stderr)
      return ended.stdout
    }
    await must(['backup', 'letters'])
    writeFileSync(join(dir, 'letters/letter-1.txt'), 'Dear nobody')
    writeFileSync(join(dir, 'letters/new.txt'), 'new')
    await must(['backup', 'letters'])
    await must(['verify', 'letters', '--vault', 'local', '--level', 'V4'])
    await cli.run(['backup', 'broken'], { env })
    const ask = async <T>(path: string): Promise<T> =>
      (await (await maker.page.request.get(`${server.url}${path}`)).json()) as T
    type Listed = { items: { id: string; kind: string; status: string }[] }
    const [backup] = (await ask<Listed>('/api/v1/backups?job=letters&vault=local')).items
    const runs = (await ask<Listed>('/api/v1/runs')).items
    const good = runs.find(({ status }) => status === 'success')
    const failed = runs.find(({ status }) => status === 'failed')
    await maker.context.close()

    const pages: Record<string, string> = {
      overview: '/',
      backups: '/backups',
      job: '/jobs/letters',
      'job-backups': '/jobs/letters?tab=backups',
      'job-settings': '/jobs/letters?tab=settings',
      wizard: '/backups/new',
      runs: '/backups/logs',
      run: `/runs/${good?.id}`,
      'run-failed': `/runs/${failed?.id}`,
      restore: '/restore?job=letters',
      search: '/restore?q=letter-1',
      backup: `/backup/${backup?.id}?vault=local&path=${encodeURIComponent(join(dir, 'letters').slice(1))}`,
      compare: `/backup/${backup?.id}?vault=local&tab=diff`,
      'backup-about': `/backup/${backup?.id}?vault=local&tab=about`,
      vaults: '/vaults',
      vault: '/vaults/local',
      'vault-new': '/vaults/new',
      alerts: '/alerts',
      account: '/settings',
      notifications: '/settings/notifications',
      users: '/settings/users',
      tokens: '/settings/tokens',
      audit: '/settings/audit',
      server: '/settings/server',
      about: '/settings/about',
      setup: '/setup',
      nowhere: '/nowhere',
    }
    const wrong: string[] = []
    const looks = [
      { theme: 'light', width: 1280 },
      { theme: 'dark', width: 1280 },
      { theme: 'dark', width: 360 },
      { theme: 'light', width: 360 },
    ] as const
    for (const language of ['en', 'de'] as const) {
      const { page, context, problems } = await visit(browser, { locale: language === 'de' ? 'de-DE' : 'en-US' })
      const examine = async (key: string): Promise<void> => {
        await page.locator('h1').waitFor()
        await until(`${key} is shown`, async () => (await page.locator('.wait, .spin').count()) === 0)
        for (const { theme, width } of language === 'en' ? looks : looks.slice(2, 3)) {
          const name = `${key}-${theme}-${width}-${language}`
          await page.emulateMedia({ colorScheme: theme })
          await page.setViewportSize({ width, height: 860 })
          await painted(page)
          const wide = await page.evaluate<number>('document.documentElement.scrollWidth - window.innerWidth')
          if (wide > 0) wrong.push(`${name}: ${wide} px wider than the window`)
          // The words change nothing of what axe looks at, the themes only colours.
          if (language === 'de') continue
          const only = theme === 'dark' ? ['color-contrast', 'link-in-text-block'] : undefined
          wrong.push(...(await violations(page, only)).map((one) => `${name}: ${one}`))
          await picture(page, name)
        }
        await page.setViewportSize({ width: 1280, height: 860 })
      }
      await page.goto(server.url)
      await examine('sign-in')
      await signIn(page, server, language)
      for (const [key, path] of Object.entries(pages)) {
        await page.goto(`${server.url}${path}`)
        await examine(key)
      }
      wrong.push(...problems.map((one) => `${language}: ${one}`))
      await context.close()
    }
    assert.deepEqual(wrong, [])
  },
)
