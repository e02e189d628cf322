/** What opens over a page: reachable by keys, named, closed by Escape, and nothing that axe objects to. */
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

test(
  'dialogs and menus are sound in both themes, and give the focus back (driver:chromium)',
  { skip: noChromium },
  async (t) => {
    const dir = scratch(t, 'dialogs')
    mkdirSync(join(dir, 'letters'))
    writeFileSync(join(dir, 'letters/one.txt'), 'one')
    writeFileSync(
      join(dir, 'holdfast.yaml'),
      `version: 1\nvaults: { local: { storage: "file:${dir}/vault", format: archive } }\njobs: { letters: { source: { type: files, paths: ["${dir}/letters"] }, vaults: [local], retention: { last: 3 } } }\n`,
    )
    const server = await startServer(dir)
    t.after(async () => server.stop())
    const { code, stderr } = await server.cli.run(['backup', 'letters'], {
      env: { HOLDFAST_SERVER__DATA_DIR: join(dir, 'data') },
    })
    assert.equal(code, 0, stderr)
    const { page, problems } = await visit(browser)
    await firstAccount(page, server)
    const listed = await page.request.get(`${server.url}/api/v1/backups`)
    const { items } = (await listed.json()) as { items: { id: string }[] }
    const wrong: string[] = []
    for (const [path, button] of [
      ['/', 'Find… /'],
      ['/', /^ada/],
      ['/backups', 'More actions: letters'],
      [`/backup/${items[0]?.id}?vault=local`, 'Restore everything…'],
      ['/backups/new', 'Browse…'],
      ['/settings/notifications', 'New notifier'],
      ['/settings/users', 'Add a user'],
      ['/settings/tokens', 'New token'],
    ] as const) {
      await page.goto(`${server.url}${path}`)
      await page.locator('h1').waitFor()
      const opener = page.getByRole('button', { name: button }).first()
      await opener.focus()
      await page.keyboard.press('Enter')
      const open = page.locator('dialog[open], [popover]:popover-open')
      await open.waitFor()
      await until(`${button} is shown`, async () => (await open.locator('.wait').count()) === 0)
      for (const theme of ['light', 'dark'] as const) {
        await page.emulateMedia({ colorScheme: theme })
        await painted(page)
        wrong.push(...(await violations(page)).map((one) => `${button} ${theme}: ${one}`))
        await picture(page, `dialog-${String(button).replaceAll(/\W+/g, '-').toLowerCase()}-${theme}`)
      }
      await page.keyboard.press('Escape')
      await open.waitFor({ state: 'detached' })
      const focused = page.locator(':focus')
      if ((await focused.count()) === 0 || (await focused.textContent()) !== (await opener.textContent()))
        wrong.push(`${button}: the focus is lost`)
    }
    assert.deepEqual([...wrong, ...problems], [])
  },
)
