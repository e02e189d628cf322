/** Other ways in: below a prefix, by keys, from the search, and back into a database. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { DatabaseSync } from 'node:sqlite'
import type { Browser } from 'playwright-core'
import { firstAccount, noChromium, openBrowser, picture, startServer, until, visit } from '../support/browser.ts'
import { violations } from '../support/axe.ts'
import { scratch } from '../support/holdfast.ts'

let browser: Browser
before(async () => {
  if (noChromium === false) browser = await openBrowser()
})
after(async () => browser?.close())

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

test(
  'below a path prefix every address, file and call stays below it (driver:chromium)',
  { skip: noChromium },
  async (t) => {
    const port = await freePort()
    const base = `http://127.0.0.1:${port}/tools/backups`
    const server = await startServer(scratch(t, 'prefix'), {
      listen: `127.0.0.1:${port}`,
      env: { HOLDFAST_SERVER__URL: base },
    })
    t.after(async () => server.stop())
    const { page, problems } = await visit(browser)
    const outside: string[] = []
    page.on('request', (request) => {
      if (!request.url().startsWith(`${base}/`) && !request.url().startsWith('data:')) outside.push(request.url())
    })
    await firstAccount(page, server)
    await page.getByRole('link', { name: 'Vaults' }).click()
    await page.getByText('There is no vault yet').waitFor()
    assert.equal(page.url(), `${base}/vaults`)
    await page.reload()
    await page.getByText('There is no vault yet').waitFor()
    await page.getByText('live', { exact: true }).waitFor()
    assert.deepEqual(outside, [])
    assert.deepEqual(problems, [])
  },
)

test(
  'keys lead everywhere, the search to a file in an old backup (driver:chromium)',
  { skip: noChromium },
  async (t) => {
    const dir = scratch(t, 'keys')
    mkdirSync(join(dir, 'letters'))
    writeFileSync(join(dir, 'letters/to-the-aunt.txt'), 'first')
    writeFileSync(
      join(dir, 'holdfast.yaml'),
      `version: 1\nvaults: { local: { storage: "file:${dir}/vault", format: archive } }\njobs: { letters: { source: { type: files, paths: ["${dir}/letters"] }, vaults: [local] } }\n`,
    )
    const server = await startServer(dir)
    t.after(async () => server.stop())
    const env = { HOLDFAST_SERVER__DATA_DIR: join(dir, 'data') }
    for (const text of ['first', 'second and longer', 'second and longer']) {
      writeFileSync(join(dir, 'letters/to-the-aunt.txt'), text)
      const { code, stderr } = await server.cli.run(['backup', 'letters'], { env })
      assert.equal(code, 0, stderr)
    }
    const { page } = await visit(browser)
    await firstAccount(page, server)
    await page.locator('h1').waitFor()
    await page.evaluate('document.activeElement.blur()')
    for (const [key, heading] of [
      ['j', 'Backups'],
      ['r', 'Runs'],
      ['a', 'Alerts'],
      ['v', 'Vaults'],
    ] as const) {
      await page.keyboard.press('g')
      await page.keyboard.press(key)
      await page.getByRole('heading', { level: 1, name: heading }).waitFor()
    }
    // The focus is on the heading: whoever cannot see hears where they are.
    assert.equal(await page.evaluate('document.activeElement.textContent.trim()'), 'Vaults')
    await page.keyboard.press('/')
    await page.getByRole('combobox').fill('aunt')
    await page.getByRole('option', { name: 'Look for “aunt” in all backups' }).waitFor()
    await page.keyboard.press('ArrowDown')
    await page.keyboard.press('Enter')
    await page.getByText('3 versions').waitFor()
    await page.getByRole('cell', { name: 'as before' }).waitFor()
    await picture(page, 'search')
    await page.getByRole('row', { name: /first/ }).getByRole('link').click()
    await page.getByRole('button', { name: 'to-the-aunt.txt' }).click()
    await page.locator('.preview pre').getByText('first', { exact: true }).waitFor()

    // What changed within it, from the first backup to the last.
    const { items } = (await (await page.request.get(`${server.url}/api/v1/backups`)).json()) as {
      items: { id: string }[]
    }
    const [newest, oldest] = [items[0]?.id ?? '', items.at(-1)?.id ?? '']
    await page.goto(`${server.url}/backup/${newest}?vault=local&tab=diff&with=${oldest}`)
    await page.getByRole('button', { name: 'Lines that changed in' }).click()
    const lines = page.locator('.line-diff')
    await lines.locator('del').getByText('first').waitFor()
    await lines.locator('ins').getByText('second and longer').waitFor()
    await picture(page, 'line-diff')
    assert.deepEqual(await violations(page), [])
  },
)

test(
  'backups that were there are adopted; a vault is checked from its page, and damage is shown with what it touches (driver:chromium)',
  { skip: noChromium },
  async (t) => {
    const dir = scratch(t, 'checking')
    mkdirSync(join(dir, 'letters'))
    writeFileSync(join(dir, 'letters/one.txt'), 'one')
    writeFileSync(
      join(dir, 'holdfast.yaml'),
      `version: 1\nvaults: { local: { storage: "file:${dir}/vault", format: archive } }\njobs: { letters: { source: { type: files, paths: ["${dir}/letters"] }, vaults: [local] } }\n`,
    )
    const server = await startServer(dir)
    t.after(async () => server.stop())
    const { code, stderr } = await server.cli.run(['backup', 'letters'], {
      env: { HOLDFAST_SERVER__DATA_DIR: join(dir, 'data') },
    })
    assert.equal(code, 0, stderr)
    const stored = join(dir, 'vault/letters')
    const archive = join(stored, readdirSync(stored).find((name) => name.endsWith('.tar.zst')) ?? '')
    const bytes = readFileSync(archive)
    bytes.writeUInt8(bytes.readUInt8(bytes.length >> 1) ^ 1, bytes.length >> 1)
    writeFileSync(archive, bytes)
    const { page, problems } = await visit(browser)
    await firstAccount(page, server)
    // Set-up adopts what lies there already.
    await page.getByLabel('Name').fill('again')
    await page.getByLabel('Folder on the server').fill(join(dir, 'vault'))
    await page.getByLabel('Password of the vault').fill('none is needed')
    await page.locator('summary').getByText('Looking for damage').click()
    await page.getByLabel('By itself every').fill('7d')
    await page.getByLabel('Of the bytes it reads').fill('10%')
    await page.getByRole('button', { name: 'Add the vault' }).click()
    await page.getByText('I keep it where').click()
    await page.getByRole('button', { name: 'Go on' }).click()
    await page.getByText('again has 1 backup.').waitFor()
    await picture(page, 'setup-adopted')
    assert.deepEqual(await violations(page), [])
    await page.goto(`${server.url}/vaults/again`)
    await page.getByText('Next by itself').waitFor()
    await page.goto(`${server.url}/vaults/local`)
    await page.getByText('Nobody has looked for damage here yet.').waitFor()
    await page.getByRole('button', { name: 'Check', exact: true }).click()
    await page.locator('dialog').getByText('Every byte').click()
    await page.locator('dialog').getByRole('button', { name: 'Check' }).click()
    await page.getByRole('heading', { level: 1, name: 'Check · local' }).waitFor()
    await page.getByRole('heading', { name: '1 damaged object' }).waitFor()
    await page.getByRole('cell', { name: /tar\.zst/ }).waitFor()
    await picture(page, 'damage')
    assert.deepEqual(await violations(page), [])
    await page.getByRole('link', { name: 'local' }).first().click()
    await page.getByText('100 % of the bytes read').waitFor()
    await page.goto(`${server.url}/alerts`)
    await page
      .getByText(/1 damaged objects? in local/)
      .first()
      .waitFor()
    assert.deepEqual(problems, [])
  },
)

test('a database comes back as a new file, by the page (driver:chromium)', { skip: noChromium }, async (t) => {
  const dir = scratch(t, 'database')
  const file = join(dir, 'app.db')
  const database = new DatabaseSync(file)
  database.exec("create table note (id integer primary key, text); insert into note (text) values ('kept'), ('too')")
  database.close()
  writeFileSync(
    join(dir, 'holdfast.yaml'),
    `version: 1\nvaults: { local: { storage: "file:${dir}/vault", format: archive } }\njobs: { app: { source: { type: sqlite, file: "${file}" }, vaults: [local] } }\n`,
  )
  const server = await startServer(dir)
  t.after(async () => server.stop())
  const { page, problems } = await visit(browser)
  await firstAccount(page, server)
  await page.goto(`${server.url}/jobs/app`)
  await page.getByRole('button', { name: 'Run now' }).click()
  await page.getByRole('heading', { name: /Good/ }).waitFor({ timeout: 30_000 })
  await page.getByRole('link', { name: 'See the backup' }).click()
  await page.getByRole('button', { name: 'Restore everything…' }).click()
  const back = join(dir, 'back.db')
  await page.getByLabel('File of the database').fill(back)
  await page.getByRole('button', { name: 'Look first' }).click()
  await page.getByText('Nothing stands in the way.').waitFor()
  await picture(page, 'restore-database')
  await page.getByRole('button', { name: 'Restore', exact: true }).click()
  await page.getByRole('heading', { name: 'Restore · app' }).waitFor()
  await page.getByRole('heading', { name: /Good/ }).waitFor({ timeout: 30_000 })
  await until('the file is there', async () => {
    try {
      return execFileSync('sqlite3', [back, 'select count(*) from note'], { encoding: 'utf8' }).trim() === '2'
    } catch {
      return false
    }
  })
  assert.deepEqual(problems, [])
})
