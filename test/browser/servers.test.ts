/** A database of a server to a bucket and back, by the page alone: PostgreSQL, and S3 by versitygw. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Browser } from 'playwright-core'
import { noPostgres, PASSWORD, startPostgres } from '../servers/postgres.ts'
import { BUCKET, noVersitygw, startVersitygw } from '../servers/s3-servers.ts'
import { violations } from '../support/axe.ts'
import { firstAccount, noChromium, openBrowser, picture, startServer, visit } from '../support/browser.ts'
import { scratch } from '../support/holdfast.ts'

const skip = noChromium === false ? (noPostgres ?? noVersitygw ?? false) : noChromium

let browser: Browser
before(async () => {
  if (skip === false) browser = await openBrowser()
})
after(async () => browser?.close())

test(
  'databases are found, stored in a bucket, and one comes back beside the old one (driver:chromium)',
  { skip },
  async (t) => {
    const postgres = await startPostgres()
    t.after(async () => postgres.stop())
    const s3 = await startVersitygw()
    t.after(async () => s3.stop())
    postgres.sql('postgres', 'create database shop')
    postgres.sql('postgres', 'create database other')
    postgres.sql(
      'shop',
      "create table orders (id int primary key, note text); insert into orders select i, 'n' || i from generate_series(1, 500) i; create table bills (id int primary key); insert into bills values (7)",
    )
    const server = await startServer(scratch(t, 'servers'))
    t.after(async () => server.stop())
    const { page, problems } = await visit(browser)
    await firstAccount(page, server)
    const keys = s3.env

    // A bucket whose keys are wrong is told at once; with the right ones it works.
    await page.getByLabel('Name').fill('offsite')
    await page.locator('.card', { hasText: 'S3' }).getByRole('radio').check()
    await page.getByLabel('Bucket', { exact: true }).fill(BUCKET)
    await page.getByLabel('Region').fill('us-east-1')
    await page.getByLabel('Prefix').fill('page/')
    await page.getByLabel('Endpoint').fill(s3.endpoint)
    await page.getByLabel('Access key').fill(keys['AWS_ACCESS_KEY_ID'] ?? 'holdfast')
    await page.getByLabel('Secret key').fill('wrong')
    await page.getByText('More settings').first().click()
    await page.getByLabel('Bucket in the path').check()
    await page.getByLabel('Password of the vault').fill('the password of the vault')
    await page.getByRole('button', { name: 'Test it' }).click()
    await page.getByText('Does not work yet').or(page.getByRole('alert')).first().waitFor()
    await page.getByLabel('Secret key').fill(keys['AWS_SECRET_ACCESS_KEY'] ?? 'versitygw-secret-key')
    await page.getByRole('button', { name: 'Test it' }).click()
    await page.getByText('Works', { exact: false }).first().waitFor()
    await picture(page, 'vault-s3')
    await page.getByRole('button', { name: 'Add the vault' }).click()
    await page.getByText('Keep the recovery kit').waitFor()
    await page.getByRole('button', { name: 'Later' }).click()
    await page.getByRole('link', { name: 'Make the first job' }).click()

    await page.getByLabel('Name of the job').fill('shop')
    await page.locator('.card', { hasText: 'PostgreSQL' }).getByRole('radio').check()
    await page.getByLabel('Server').fill('127.0.0.1')
    await page.getByLabel('Port').fill(String(postgres.port))
    await page.getByLabel('User').fill('admin')
    await page.getByLabel('Password').fill(PASSWORD)
    await page.getByRole('button', { name: 'Test the connection' }).click()
    await page.getByText('Works', { exact: false }).first().waitFor()
    await page.getByText('Only these').click()
    await page.getByRole('checkbox', { name: /^other/ }).uncheck()
    await page.getByRole('checkbox', { name: /^postgres/ }).uncheck()
    await picture(page, 'wizard-postgres')
    await page.getByRole('link', { name: 'Next' }).click()
    await page.getByLabel('offsite').check()
    for (const heading of ['The next six times', 'Proof', 'There is nobody to tell yet']) {
      await page.getByRole('link', { name: 'Next' }).click()
      await page.getByText(heading, { exact: false }).first().waitFor()
    }
    await page.getByRole('link', { name: 'Next' }).click()
    await page.getByRole('button', { name: 'Create and run now' }).click()
    await page.getByRole('heading', { name: /Good|Warnings/ }).waitFor({ timeout: 60_000 })
    assert.ok(!(await page.content()).includes(PASSWORD))
    await page.getByRole('link', { name: 'See the backup' }).click()
    await picture(page, 'backup-postgres')

    await page.getByRole('button', { name: 'Restore everything…' }).click()
    await page.getByLabel('Name of the database').fill('shop_back')
    await page.getByRole('button', { name: 'Look first' }).click()
    await page.getByText('Nothing stands in the way.').waitFor()
    await page.getByRole('button', { name: 'Restore', exact: true }).click()
    await page.getByRole('heading', { name: 'Restore · shop' }).waitFor()
    await page.getByRole('heading', { name: /Good|Warnings/ }).waitFor({ timeout: 60_000 })
    assert.equal(postgres.sql('shop_back', 'select count(*) from orders'), '500')

    // One table goes into the place of what became of it, which is kept.
    postgres.sql('shop', 'truncate orders; update bills set id = 8')
    await page.goto(`${server.url}/jobs/shop?tab=backups`)
    await page.getByRole('table').getByRole('link').first().click()
    await page.getByRole('row', { name: /public\.orders 500/ }).waitFor()
    await page.getByLabel('Find a table').fill('orders')
    await page.getByRole('checkbox', { name: 'Choose public.orders' }).check()
    await picture(page, 'backup-tables')
    assert.deepEqual(await violations(page), [])
    await page.getByRole('button', { name: 'Restore 1 table…' }).click()
    await page.getByLabel('Name of the database').fill('shop')
    await page.getByLabel('Put it in the place of what is there').check()
    await page.getByRole('button', { name: 'Look first' }).click()
    await page.getByText('Nothing stands in the way.').waitFor()
    await page.getByRole('button', { name: 'Restore', exact: true }).click()
    await page.getByRole('heading', { name: 'Restore · shop' }).waitFor()
    await page.getByRole('heading', { name: /Good|Warnings/ }).waitFor({ timeout: 60_000 })
    assert.equal(postgres.sql('shop', 'select count(*) from orders'), '500')
    assert.equal(postgres.sql('shop', 'select id from bills'), '8')
    // The second one finds the vault full, and its page says so.
    await page.goto(`${server.url}/vaults/offsite`)
    await page.getByRole('row', { name: /shop/ }).first().waitFor()
    assert.deepEqual(problems, [])
  },
)
