/** From the link on the console to a file that came back, in a real browser against the real server. */
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { Browser } from 'playwright-core'
import { firstAccount, noChromium, openBrowser, picture, startServer, visit } from '../support/browser.ts'
import { scratch } from '../support/holdfast.ts'

let browser: Browser
before(async () => {
  if (noChromium === false) browser = await openBrowser()
})
after(async () => browser?.close())

test('first run to first restore, by the page alone (driver:chromium)', { skip: noChromium }, async (t) => {
  const dir = scratch(t, 'journey')
  const documents = join(dir, 'documents')
  mkdirSync(join(documents, 'letters'), { recursive: true })
  writeFileSync(join(documents, 'letters/aunt.txt'), 'Dear aunt,\nall is well.\n')
  writeFileSync(join(documents, 'draft.tmp'), 'x'.repeat(5000))
  for (let n = 0; n < 20; n += 1) writeFileSync(join(documents, `photo-${n}.raw`), Buffer.alloc(50_000, n))
  const server = await startServer(dir)
  t.after(async () => server.stop())
  const { page, problems } = await visit(browser)
  page.on('dialog', (dialog) => void dialog.dismiss())

  await firstAccount(page, server)
  await picture(page, 'setup-vault')

  // A vault, tested before it is made.
  await page.getByLabel('Name').fill('local')
  await page.getByLabel('Folder on the server').fill(join(dir, 'vault'))
  await page.getByLabel('Password of the vault').fill('the password of the vault')
  await page.getByRole('button', { name: 'Test it' }).click()
  await page.getByText('Works', { exact: false }).first().waitFor()
  await page.getByRole('button', { name: 'Add the vault' }).click()

  // The kit holds what opens it.
  const download = page.waitForEvent('download')
  await page.getByRole('button', { name: 'Download the kit' }).click()
  const kit = readFileSync(await (await download).path(), 'utf8')
  assert.match(kit, /the password of the vault/)
  assert.match(kit, /holdfast restore latest --vault/)
  await page.getByText('I keep it where').click()
  await page.getByRole('button', { name: 'Go on' }).click()
  await page.getByRole('link', { name: 'Make the first job' }).click()

  // The wizard: a folder, and what a rule leaves out.
  await page.getByLabel('Name of the job').fill('documents')
  await page.getByLabel('Files and folders').fill(documents)
  await page.getByLabel('Files and folders').press('Enter')
  await page.getByLabel('Leave out', { exact: true }).fill('*.tmp')
  await page.getByLabel('Leave out', { exact: true }).press('Enter')
  const tester = page.getByRole('region', { name: 'What is taken' })
  await tester.getByText('21 files taken').waitFor()
  await tester.getByRole('cell', { name: '*.tmp' }).waitFor()
  await picture(page, 'wizard-source')
  await page.reload()
  await page.getByText('A draft is kept in this tab.').waitFor()
  assert.equal(await page.getByLabel('Name of the job').inputValue(), 'documents')
  await page.getByRole('link', { name: 'Next' }).click()
  await page.getByLabel('local').check()
  await page.getByRole('link', { name: 'Next' }).click()
  await page.getByText('On weekdays').click()
  await page.getByRole('region', { name: 'The next six times' }).getByRole('listitem').nth(5).waitFor()
  await picture(page, 'wizard-schedule')
  await page.getByRole('link', { name: 'Next' }).click()
  await page
    .getByText(/ of \d+ stay/)
    .first()
    .waitFor()
  await picture(page, 'wizard-retention')
  await page.getByRole('link', { name: 'Next' }).click()
  await page.getByText('There is nobody to tell yet', { exact: false }).waitFor()
  await page.getByRole('link', { name: 'Next' }).click()
  await page.getByText('In one sentence').waitFor()
  await picture(page, 'wizard-review')
  await page.getByRole('button', { name: 'Create and run now' }).click()

  // The run, live until it is over.
  await page.getByRole('heading', { name: 'Backup · documents' }).waitFor()
  await page.getByRole('heading', { name: /Good/ }).waitFor({ timeout: 30_000 })
  await picture(page, 'run')
  await page.getByRole('link', { name: 'See the backup' }).click()

  // Down to the file, a look into it, and back to disk.
  for (const part of documents.split('/').filter(Boolean))
    await page.getByRole('button', { name: part, exact: true }).click()
  await page.getByRole('button', { name: 'letters' }).click()
  await page.getByRole('button', { name: 'aunt.txt' }).click()
  await page.getByText('all is well.').waitFor()
  await picture(page, 'backup')
  await page.getByLabel('Choose aunt.txt').check()
  await page.getByRole('button', { name: 'Restore 1 item…' }).click()
  await page.getByLabel('Folder on the server').fill(join(dir, 'restored'))
  await page.getByRole('button', { name: 'Look first' }).click()
  await page.getByText('Nothing stands in the way.').waitFor()
  await picture(page, 'restore-plan')
  await page.getByRole('button', { name: 'Restore', exact: true }).click()
  await page.getByRole('heading', { name: 'Restore · documents' }).waitFor()
  await page.getByRole('heading', { name: /Good/ }).waitFor({ timeout: 30_000 })
  const restored = join(dir, 'restored', documents, 'letters/aunt.txt')
  assert.equal(readFileSync(restored, 'utf8'), 'Dear aunt,\nall is well.\n')

  // The overview says so.
  await page.getByRole('link', { name: 'Overview' }).click()
  await page.getByRole('heading', { name: 'The one job is backed up' }).waitFor()
  await picture(page, 'overview-first')
  assert.deepEqual(problems, [])
})
