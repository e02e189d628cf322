/** Calls that nobody sane would make, thought up by schemathesis from the API's own description. */
import { execFile } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createApp, parseStorageUrl } from '../../src/app.ts'
import { loadConfig } from '../../src/config/load.ts'
import { startServer } from '../../src/http/server.ts'
import { newToken, newUser } from '../../src/operations/accounts.ts'
import { runService } from '../../src/service/service.ts'

/** Why it cannot run here, if it cannot. */
export const noSchemathesis: string | undefined =
  process.env['HOLDFAST_TEST_SCHEMATHESIS'] === undefined
    ? 'schemathesis is not there (HOLDFAST_TEST_SCHEMATHESIS)'
    : undefined

export interface Fuzzed {
  ok: boolean
  /** The end of what it said. */
  said: string
  cases: number
}

/** What would end the fuzzing itself, or never ends: signing out, revoking the token, streams. */
const LEFT_OUT = 'events$|/log$|session|/setup|oidc|users/|tokens/'
const CHECKS = 'not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance'

export async function fuzzApi(dir: string, seconds: number, seed = 1): Promise<Fuzzed> {
  const root = join(dir, 'root')
  mkdirSync(root)
  writeFileSync(join(root, 'a'), 'content')
  writeFileSync(
    join(dir, 'holdfast.yaml'),
    `version: 1
vaults: { v: { storage: { type: file, path: ./vault }, format: archive } }
jobs: { files: { source: { type: files, paths: [./root] }, vaults: [v], schedule: '0 3 * * *', retention: { daily: 7 } } }
server: { listen: '127.0.0.1:0', dataDir: ./state, roots: [./root], drain: 0s }
`,
  )
  // 502 and 507 tell of a storage that does not answer or is full: that is no fault of the server.
  writeFileSync(
    join(dir, 'schemathesis.toml'),
    `[checks]\nnot_a_server_error.expected-statuses = ["2xx", "3xx", "4xx", "502", "507"]\n`,
  )
  const loaded = await loadConfig({ cwd: dir, env: { HOME: dir }, parseStorageUrl })
  const app = createApp(loaded.settings)
  const server = await startServer(app, { loaded })
  const stopping = new AbortController()
  const serving = runService(app, { scheduler: false, worker: true, signal: stopping.signal })
  try {
    const { access } = app.history().server
    const user = newUser('fuzz', 'admin', app.clock.now())
    access.saveUser(user)
    const { secret, token } = newToken(
      user,
      { name: 'fuzz', scopes: ['read', 'operate', 'restore', 'admin'] },
      app.clock.now(),
    )
    access.saveToken(token)
    return await schemathesis(dir, server.url, secret, seconds, seed)
  } finally {
    stopping.abort()
    await server.close()
    await serving
    await app.close()
  }
}

async function schemathesis(cwd: string, url: string, token: string, seconds: number, seed: number): Promise<Fuzzed> {
  const args = ['run', `${url}/api/openapi.json`, '-H', `Authorization: Bearer ${token}`, '--checks', CHECKS]
  args.push('--exclude-path-regex', LEFT_OUT, '--workers', '1', '--request-timeout', '60', '--rate-limit', '45/s')
  args.push('--suppress-health-check', 'all', '--seed', String(seed), '--max-time', String(seconds), '--no-color')
  if (seconds <= 60) args.push('--max-examples', '5', '--phases', 'examples,coverage,fuzzing')
  else args.push('--max-examples', '1000')
  const program = process.env['HOLDFAST_TEST_SCHEMATHESIS'] ?? 'schemathesis'
  return new Promise((resolve) => {
    execFile(program, args, { cwd, maxBuffer: 256 * 1024 * 1024 }, (error, stdout, stderr) => {
      // Addresses of such calls are very long.
      const said = (stdout + stderr)
        .split('\n')
        .map((line) => line.slice(0, 400))
        .slice(-400)
        .join('\n')
      const cases = Number(/(\d+) generated/.exec(stdout)?.[1] ?? 0)
      resolve({ ok: error === null, said, cases })
    })
  })
}
