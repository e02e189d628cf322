import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test, type TestContext } from 'node:test'
import { SMTPServer } from 'smtp-server'
import { noVersitygw, startVersitygw } from '../servers/s3-servers.ts'
import { holdfast, lines, scratch, type Holdfast } from '../support/holdfast.ts'

function project(t: TestContext, config: string): Holdfast {
  const cli = holdfast(scratch(t))
  mkdirSync(join(cli.dir, 'files'))
  writeFileSync(join(cli.dir, 'files/a.txt'), 'one')
  writeFileSync(join(cli.dir, 'files/b.tmp'), 'left out')
  writeFileSync(join(cli.dir, 'holdfast.yaml'), config)
  return cli
}

const CONFIG = `version: 1
vaults:
  disk:
    storage: { type: file, path: ./backups, permissions: "0640", directoryPermissions: "0750" }
    format: archive
    encryption: { type: aes-256-gcm, password: "\${env:VAULT_PASSWORD}" }
  plain: { storage: "file:./plain", format: archive, compression: { type: gzip, level: 9 } }
jobs:
  web:
    source: { type: files, paths: [./files], exclude: ["*.tmp"] }
    vaults: [disk, plain]
    retention: { last: 2 }
    verify: { afterBackup: V1 }
    hooks: { before: ["test ! -e skip || exit 75"], after: ["echo $HOLDFAST_STATUS > after"], onFailure: ["echo $HOLDFAST_ERROR > failed"] }
report: { html: "./reports/{job}.html", json: "./reports/{job}.json" }
`
const env = { VAULT_PASSWORD: 'a secret that must not show' }

test('a job of the configuration is backed up to each of its vaults, verified, pruned and reported', async (t) => {
  const cli = project(t, CONFIG)
  for (let round = 0; round < 4; round += 1) {
    writeFileSync(join(cli.dir, 'files/a.txt'), `round ${round}`)
    const { code, stderr } = await cli.run(['backup', 'web', ...(round === 2 ? ['--type', 'full'] : [])], { env })
    assert.equal(code, 0, stderr)
  }
  const listed = await cli.json<{ vault: string; proof: { level: string } }[]>(['list'], { env })
  assert.deepEqual(listed.map(({ vault }) => vault).sort(), ['disk', 'disk', 'plain', 'plain'])
  assert.ok(listed.every(({ proof }) => proof.level === 'V1'))
  const html = readFileSync(join(cli.dir, 'reports/web.html'), 'utf8')
  assert.match(html, /<html/)
  assert.match(html, /pruned|removed/i)
  assert.doesNotMatch(html, /https?:\/\/(?!127)[^"]*\.(?:js|css)/)
  const report = JSON.parse(readFileSync(join(cli.dir, 'reports/web.json'), 'utf8')) as { runs: { status: string }[] }
  assert.deepEqual(
    report.runs.map(({ status }) => status),
    ['success', 'success'],
  )
  assert.equal(readFileSync(join(cli.dir, 'after'), 'utf8').trim(), 'success')
  const mode = execFileSync('stat', ['-c', '%a', join(cli.dir, 'backups/web')], { encoding: 'utf8' }).trim()
  assert.equal(mode, '750')
  for (const name of readdirSync(cli.dir, { recursive: true, encoding: 'utf8' })) {
    const path = join(cli.dir, name)
    if (statSync(path).isFile())
      assert.ok(!readFileSync(path, 'latin1').includes(env.VAULT_PASSWORD), `${name} shows the password`)
  }
})

test('a hook before that ends with 75 skips the run', async (t) => {
  const cli = project(t, CONFIG)
  writeFileSync(join(cli.dir, 'skip'), '')
  const { code } = await cli.run(['backup'], { env })
  assert.equal(code, 5)
  assert.ok(!existsSync(join(cli.dir, 'backups')))
})

test('one vault that fails does not keep the other from its backup, and the failure is told', async (t) => {
  const cli = project(t, CONFIG)
  writeFileSync(join(cli.dir, 'plain'), 'a file where the folder should be')
  const { code, stderr } = await cli.run(['backup', '--json'], { env })
  assert.equal(code, 2, stderr)
  assert.match(stderr, /A file is where a folder is needed/)
  assert.equal((await cli.json<unknown[]>(['list', '--vault', 'disk'], { env })).length, 1)
  assert.match(readFileSync(join(cli.dir, 'failed'), 'utf8'), /plain/)
  const runs = await cli.json<{ status: string; error?: { code: string } }[]>(['run', 'list'], { env })
  assert.deepEqual(runs.map(({ status }) => status).sort(), ['failed', 'success'])
})

test('all faults of a configuration are told at once, with file, line, key and what was meant', async (t) => {
  const cli = project(
    t,
    'version: 1\nvaults:\n  a: { storage: "file:./x", format: archiv }\njobs:\n  j: { source: { type: files, pahts: [./f] }, vaults: [b] }\n',
  )
  const { code, stderr } = await cli.run(['config', 'validate', '--json'])
  assert.equal(code, 2)
  const error = lines(stderr).at(-1) as { faults?: { line?: number; key: string; suggestion?: string }[] }
  assert.ok((error.faults?.length ?? 0) >= 3, stderr)
  assert.ok(error.faults?.some(({ key, suggestion }) => /pahts/.test(key) && suggestion === 'paths'))
  assert.ok(error.faults?.every(({ line }) => line !== undefined))
})

test('config show tells where each value came from and hides secrets', async (t) => {
  const cli = project(t, CONFIG)
  const { stdout, code } = await cli.run(['config', 'show', '--origin'], {
    env: { ...env, HOLDFAST_LOG__LEVEL: 'debug' },
  })
  assert.equal(code, 0)
  assert.match(stdout, /log\.level = "debug" +# env HOLDFAST_LOG__LEVEL/)
  assert.match(stdout, /holdfast\.yaml:\d+/)
  assert.doesNotMatch(stdout, /a secret that/)
})

test('a secret encrypted by the command opens a vault, also after the file was rekeyed', async (t) => {
  const cli = project(t, CONFIG)
  const key = { HOLDFAST_SECRET_PASSPHRASE: 'first' }
  const { stdout } = await cli.run(['secret', 'encrypt'], { env: key, input: 'vault password\n' })
  assert.match(stdout, /^enc:v1:/)
  writeFileSync(join(cli.dir, 'holdfast.yaml'), CONFIG.replace('${env:VAULT_PASSWORD}', stdout.trim()))
  assert.equal((await cli.run(['backup'], { env: key })).code, 0)
  const rekeyed = await cli.run(['secret', 'rekey', 'holdfast.yaml'], {
    env: { ...key, HOLDFAST_NEW_SECRET_PASSPHRASE: 'second' },
  })
  assert.equal(rekeyed.code, 0, rekeyed.stderr)
  assert.equal((await cli.run(['restore', '--vault', 'disk', '--to', 'out'], { env: key })).code, 2)
  assert.equal(
    (await cli.run(['restore', '--vault', 'disk', '--to', 'out'], { env: { HOLDFAST_SECRET_PASSPHRASE: 'second' } }))
      .code,
    0,
  )
})

test('a failed job sends a mail over SMTP, with the error and without secrets', async (t) => {
  const mails: string[] = []
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS'],
    onData: (stream, _session, done) => void text(stream).then((mail) => (mails.push(mail), done())),
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(async () => new Promise<void>((resolve) => server.close(resolve)))
  const { port } = server.server.address() as AddressInfo
  const cli = project(
    t,
    CONFIG.replace('./files]', './not-there]') +
      `notify:\n  mail: { type: email, smtp: { host: 127.0.0.1, port: ${port} }, from: holdfast@example.test, to: [ops@example.test], on: [failure] }\n`,
  )
  const { code, stderr } = await cli.run(['backup'], { env })
  assert.equal(code, 14, stderr)
  assert.equal(mails.length, 1, stderr)
  assert.match(mails[0] ?? '', /Subject: .*web/s)
  assert.match((mails[0] ?? '').replaceAll(/=\r?\n/g, ''), /not-there/)
  assert.equal((await cli.run(['notify', 'test'], { env })).code, 0)
  assert.equal(mails.length, 2)
})

test(
  'driver:s3-versitygw a job backs up to a bucket, and connect rebuilds the catalogue from it',
  { skip: noVersitygw ?? false },
  async (t) => {
    const server = await startVersitygw()
    t.after(async () => server.stop())
    const s3 = { ...env, ...server.env }
    const address = server.url
    const cli = project(t, CONFIG.replace('"file:./plain"', JSON.stringify(address)))
    assert.equal((await cli.run(['backup'], { env: s3 })).code, 0)
    const fresh = { env: { ...s3, XDG_DATA_HOME: join(cli.dir, 'fresh') }, cwd: '/' }
    const [found] = await cli.json<{ backups: number; jobs: string[] }[]>(['connect', '--vault', address], fresh)
    assert.deepEqual([found?.backups, found?.jobs], [1, ['web']])
    assert.equal((await cli.run(['restore', '--vault', address, '--to', join(cli.dir, 'out')], fresh)).code, 0)
    assert.equal(readFileSync(join(cli.dir, 'out', cli.dir, 'files/a.txt'), 'utf8'), 'one')
    const doctor = await cli.run(['doctor', '--vault', address], fresh)
    assert.equal(doctor.code, 0, doctor.stdout)
    const denied = await cli.run(['list', '--vault', address], {
      ...fresh,
      env: { ...fresh.env, AWS_SECRET_ACCESS_KEY: 'wrong' },
    })
    assert.equal(denied.code, 13)
    assert.ok(readdirSync(join(cli.dir, 'fresh/holdfast')).includes('catalogue.db'))
  },
)
