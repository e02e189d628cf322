/** A server with data of its own, and Debian's Chromium to look at it. */
import type { ChildProcess } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core'
import { holdfast, type Holdfast } from './holdfast.ts'

const PROGRAM = ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find((path) => existsSync(path))

/** For `skip` of a test: false where it can run. */
export const noChromium = PROGRAM === undefined ? 'driver:chromium is not installed' : false

export const PASSWORD = 'correct horse battery'

/** Where pictures of the pages go; nowhere if not asked for. */
const pictures = process.env['HOLDFAST_TEST_PICTURES']

export async function openBrowser(): Promise<Browser> {
  // As root, as in containers, there is no sandbox to be had; only our own server is visited.
  return chromium.launch({ executablePath: PROGRAM ?? '', args: ['--no-sandbox'] })
}

export interface RunningServer {
  cli: Holdfast
  url: string
  /** Of the first account; undefined where there is one already. */
  setupUrl: string | undefined
  child: ChildProcess
  stop(): Promise<void>
}

export async function startServer(
  dir: string,
  { listen = '127.0.0.1:0', env = {} }: { listen?: string; env?: Record<string, string> } = {},
): Promise<RunningServer> {
  const cli = holdfast(dir)
  const { child, ended } = cli.start(['server', '--listen', listen], {
    env: { HOLDFAST_SERVER__DATA_DIR: join(dir, 'data'), ...env },
  })
  let said = ''
  await new Promise<void>((resolve, reject) => {
    child.stderr?.on('data', (chunk: Buffer) => {
      said += chunk.toString()
      if (said.includes('scheduling')) resolve()
    })
    void ended.then(({ stderr }) => reject(new Error(`the server ended: ${stderr}`)))
  })
  const url = /http:\/\/127\.0\.0\.1:\d+/.exec(said)?.[0] ?? ''
  return {
    cli,
    url,
    setupUrl: /http:\S+\/setup#\S+/.exec(said)?.[0],
    child,
    async stop() {
      child.kill('SIGTERM')
      await ended
    },
  }
}

export interface Visitor {
  context: BrowserContext
  page: Page
  /** What went wrong in the page itself: nothing should. */
  problems: string[]
}

export interface Look {
  width?: number
  theme?: 'light' | 'dark'
  locale?: string
}

export async function visit(
  browser: Browser,
  { width = 1280, theme = 'light', locale = 'en-US' }: Look = {},
): Promise<Visitor> {
  const context = await browser.newContext({
    viewport: { width, height: width < 600 ? 780 : 860 },
    colorScheme: theme,
    locale,
    timezoneId: 'Europe/Berlin',
    reducedMotion: 'reduce',
  })
  const page = await context.newPage()
  page.setDefaultTimeout(30_000)
  const problems: string[] = []
  page.on('pageerror', (error) => problems.push(error.message))
  page.on('console', (message) => {
    // A refusal by the server is told as one, by the page.
    if (message.type() === 'error' && !/Failed to load resource/.test(message.text())) problems.push(message.text())
  })
  return { context, page, problems }
}

/** Makes the first account by the form. */
export async function firstAccount(page: Page, server: RunningServer): Promise<void> {
  await page.goto(server.setupUrl ?? server.url)
  await page.getByLabel('Name').fill('ada')
  await page.getByLabel('Password', { exact: true }).fill(PASSWORD)
  await page.getByLabel('Password once more').fill(PASSWORD)
  await page.getByRole('button', { name: 'Make the account' }).click()
  await page.getByRole('heading', { name: 'Set-up' }).waitFor()
}

const SIGN_IN = {
  en: { name: 'Name', password: 'Password', button: 'Sign in', menu: 'Main' },
  de: { name: 'Name', password: 'Passwort', button: 'Anmelden', menu: 'Hauptmenü' },
}

export async function signIn(page: Page, server: RunningServer, language: 'en' | 'de' = 'en'): Promise<void> {
  const words = SIGN_IN[language]
  await page.goto(`${server.url}/`)
  await page.getByLabel(words.name).fill('ada')
  await page.getByLabel(words.password).fill(PASSWORD)
  await page.getByRole('button', { name: words.button }).click()
  await page.locator(`nav[aria-label="${words.menu}"]`).waitFor({ state: 'attached' })
}

/** Looks again until it is so: the page's policy refuses the way in which the browser would wait for a function. */
export async function until(what: string, check: () => Promise<boolean>, waitMs = 30_000): Promise<void> {
  for (const end = Date.now() + waitMs; !(await check());) {
    if (Date.now() > end) throw new Error(`this did not come true: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 40))
  }
}

/** Until what changed is painted, and no colour is on its way to another one. */
export async function painted(page: Page): Promise<void> {
  await page.evaluate(`new Promise((done) => {
    const look = (left) => requestAnimationFrame(() => setTimeout(() => {
      if (left === 0 || document.getAnimations().length === 0) done()
      else look(left - 1)
    }, 40))
    look(12)
  })`)
}

export async function picture(page: Page, name: string): Promise<void> {
  if (pictures === undefined) return
  mkdirSync(pictures, { recursive: true })
  await page.screenshot({ path: join(pictures, `${name}.png`), fullPage: true })
}
