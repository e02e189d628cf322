/** A server with a thousand jobs, ten thousand runs and as many backups, for `bench/api.ts`: in a process of its own. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createApp, parseStorageUrl } from '../src/app.ts'
import { loadConfig } from '../src/config/load.ts'
import { startServer } from '../src/http/server.ts'
import { newRun } from '../src/model/run.ts'
import { newToken, newUser } from '../src/operations/accounts.ts'

const [dir = '', jobs = '1000', runsEach = '10', people = '220'] = process.argv.slice(2)
const DAY_MS = 86_400_000
const count = Number(jobs)
const names = Array.from({ length: count }, (_, n) => `job ${String(n).padStart(5, '0')}`)

writeFileSync(
  join(dir, 'holdfast.json'),
  JSON.stringify({
    version: 1,
    vaults: { v: { storage: `file:${join(dir, 'vault')}`, format: 'archive' } },
    jobs: Object.fromEntries(
      names.map((name, n) => [
        name,
        { source: { type: 'files', paths: ['/srv'] }, vaults: ['v'], schedule: `${n % 60} ${n % 24} * * *` },
      ]),
    ),
    server: { listen: '127.0.0.1:0', dataDir: join(dir, 'state') },
  }),
)
const loaded = await loadConfig({ cwd: dir, env: { HOME: dir }, parseStorageUrl })
const app = createApp(loaded.settings, { silent: true })
const catalogue = app.history()
const now = Date.now()
for (const [n, job] of names.entries()) {
  for (let k = 0; k < Number(runsEach); k += 1) {
    const at = new Date(now - k * DAY_MS - (n % 1440) * 60_000)
    const failed = (n + k) % 29 === 0
    const id = `${String(n).padStart(6, '0')}-${k}`
    catalogue.saveRun(
      newRun({
        id,
        kind: 'backup',
        job,
        vault: 'v',
        status: failed ? 'failed' : 'success',
        createdAt: at,
        startedAt: at,
        endedAt: new Date(at.getTime() + 60_000),
        ...(failed && { error: { code: 'storage.unreachable', message: 'no', hint: '' } }),
        stages: [{ stage: 'backup', startedAt: at, endedAt: at, status: 'success' }],
        summary: { files_new: 10, total_bytes_processed: 1e6, data_added_packed: 1e5 },
      }),
    )
    if (!failed)
      catalogue.saveBackup({
        id: `full-${id}`,
        job,
        vault: 'v',
        source: 'files',
        type: 'full',
        time: at,
        needs: [],
        tags: [],
        paths: ['/srv'],
        sourceBytes: 1e6,
        storedBytes: 4e5,
        files: 100,
        proof: { level: k === 0 ? 'V3' : 'V0', at },
        warnings: 0,
      })
  }
}
const tokens = Array.from({ length: Number(people) }, (_, n) => {
  const user = newUser(`user ${n}`, 'admin', app.clock.now())
  catalogue.server.access.saveUser(user)
  const { secret, token } = newToken(user, { name: 'bench', scopes: ['read', 'operate', 'admin'] }, app.clock.now())
  catalogue.server.access.saveToken(token)
  return secret
})
const server = await startServer(app, { loaded })
process.send?.({ url: server.url, tokens })
process.on('message', (message) => {
  if (message === 'memory') process.send?.({ rss: process.memoryUsage().rss })
})
process.on('disconnect', () => {
  void server.close().then(async () => {
    await app.close()
    process.exit(0)
  })
})
