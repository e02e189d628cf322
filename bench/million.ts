/** A backup of a million files, looked at through the API: its folders, searches below one and in all. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createApp, parseStorageUrl } from '../src/app.ts'
import { loadConfig } from '../src/config/load.ts'
import { startServer } from '../src/http/server.ts'
import { readerOfStream } from '../src/base/reader.ts'
import type { SourceEntry } from '../src/model/entry.ts'
import { newToken, newUser } from '../src/operations/accounts.ts'

const FOLDERS = 1000
const EACH = 1000
const LOOKS = 200

const empty = () => readerOfStream((async function* () {})())
const four = (n: number): string => String(n).padStart(4, '0')

/** Empty files: their names are what is looked at. */
async function* entries(): AsyncGenerator<SourceEntry> {
  const base = { mtime: { s: 1_700_000_000, ns: 0 }, uid: 0, gid: 0, size: 0 }
  yield { ...base, path: 'srv', kind: 'directory', mode: 0o755 }
  for (let folder = 0; folder < FOLDERS; folder += 1) {
    const path = `srv/${four(folder)}`
    yield { ...base, path, kind: 'directory', mode: 0o755 }
    for (let file = 0; file < EACH; file += 1)
      yield { ...base, path: `${path}/document-${four(file)}.txt`, kind: 'file', mode: 0o644, open: empty }
  }
}

export async function millionFiles(parent: string): Promise<string> {
  const dir = join(parent, 'million')
  mkdirSync(dir)
  const config = {
    version: 1,
    vaults: { v: { storage: `file:${join(dir, 'vault')}`, password: 'bench' } },
    server: { listen: '127.0.0.1:0', dataDir: join(dir, 'state') },
  }
  writeFileSync(join(dir, 'holdfast.json'), JSON.stringify(config), { mode: 0o600 })
  const loaded = await loadConfig({ cwd: dir, env: { HOME: dir }, parseStorageUrl })
  const app = createApp(loaded.settings, { silent: true })
  const server = await startServer(app, { loaded })
  try {
    const vault = await app.vault('v', { create: true })
    const made = performance.now()
    const { backup } = await vault.backup({
      job: 'files',
      source: 'files',
      paths: ['/srv'],
      reading: { entries, close: async () => {} },
      type: 'full',
      tags: [],
      host: 'bench',
      time: new Date(),
    })
    const making = performance.now() - made
    app.history().saveBackup(backup)
    const { access } = app.history().server
    const user = newUser('bench', 'admin', app.clock.now())
    access.saveUser(user)
    const { secret, token } = newToken(user, { name: 'bench', scopes: ['read', 'operate'] }, app.clock.now())
    access.saveToken(token)
    const timed = async (path: string): Promise<number> => {
      const start = performance.now()
      const response = await fetch(`${server.url}/api/v1/${path}`, { headers: { authorization: `Bearer ${secret}` } })
      const answer = (await response.json()) as { items?: unknown[] }
      if (!response.ok) throw new Error(`${path}: ${response.status} ${JSON.stringify(answer)}`)
      return performance.now() - start
    }
    const tree = `backups/${backup.id}/tree?vault=v&limit=250&path=`
    const first = await timed(tree)
    const folders: number[] = []
    for (let n = 0; n < LOOKS; n += 1) folders.push(await timed(`${tree}srv/${four((n * 37) % FOLDERS)}`))
    folders.sort((a, b) => a - b)
    const [middle = 0, longest = 0] = [folders[LOOKS >> 1], folders.at(-1)]
    const search = await timed('search?q=document-0999&job=files')
    const none = await timed('search?q=no-such-name&job=files')
    return (
      `a backup of a million files, made in ${(making / 1000).toFixed(1)} s, through the API: looked at first in ${(first / 1000).toFixed(1)} s, ` +
      `then ${LOOKS} folders of a thousand, 250 of them a page: median ${middle.toFixed(1)} ms, longest ${longest.toFixed(1)} (goal 150), ` +
      `a search in all ${search.toFixed(0)} ms, one that finds nothing ${none.toFixed(0)} ms`
    )
  } finally {
    await server.close()
    await app.close()
    rmSync(dir, { recursive: true, force: true })
  }
}
