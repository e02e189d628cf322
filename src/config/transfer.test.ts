import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { isAppError } from '../base/errors.ts'
import { parseStorageUrl } from '../storage/open.ts'
import { configJsonSchema } from './json-schema.ts'
import { loadConfig, type LoadedConfig } from './load.ts'
import { showConfig, shownValues } from './show.ts'
import { exportConfig, importConfig, yamlText } from './transfer.ts'

const folder = await mkdtemp(join(tmpdir(), 'holdfast-transfer-'))
after(() => rm(folder, { recursive: true }))

const FILE = `vaults:
  off-site:
    storage: { type: s3, bucket: b, accessKeyId: literal-key-id, secretAccessKey: "\${file:keys/s3}" }
    password: literal-password
  near: { storage: ./near, passwordFile: ./pw }
jobs:
  docs: { source: { type: files, paths: [./docs] }, vaults: [off-site, near], retention: { last: 3 } }
server: { catalogue: "postgres://holdfast:db-password@db/holdfast" }
profiles: { dev: { vaults: { off-site: { password: dev-password } } } }
`
await writeFile(join(folder, 'holdfast.yaml'), FILE, { mode: 0o600 })

const load = (name: string, env: Record<string, string> = {}): Promise<LoadedConfig> =>
  loadConfig({ cwd: folder, explicitPath: join(folder, name), env: { HOME: folder, ...env }, parseStorageUrl })

const SECRETS = ['literal-key-id', 'literal-password', 'db-password', 'dev-password']
function assertNoSecret(text: string): void {
  for (const secret of SECRETS) assert.ok(!text.includes(secret), text)
}

test('what is shown has every value in force and no secret', async () => {
  const loaded = await load('holdfast.yaml', {
    HOLDFAST_LOG__LEVEL: 'debug',
    HOLDFAST_VAULTS__NEAR__PASSWORD: 'literal-password',
  })
  const plain = await showConfig(loaded)
  const withOrigin = await showConfig(loaded, { origin: true })
  assertNoSecret(plain + withOrigin + JSON.stringify(shownValues(loaded)))
  const origin = (key: string) => shownValues(loaded).find((value) => value.key === key)
  const file = join(folder, 'holdfast.yaml')
  assert.deepEqual(origin('vaults.off-site.password'), {
    key: 'vaults.off-site.password',
    value: '[hidden]',
    origin: `${file}:4`,
  })
  assert.equal(origin('vaults.off-site.storage.secretAccessKey')?.value, '${file:keys/s3}')
  assert.equal(origin('vaults.near.password')?.origin, 'env HOLDFAST_VAULTS__NEAR__PASSWORD')
  assert.deepEqual(origin('log.level'), { key: 'log.level', value: 'debug', origin: 'env HOLDFAST_LOG__LEVEL' })
  assert.deepEqual(origin('log.maxFiles'), { key: 'log.maxFiles', value: 14, origin: 'default' })
  assert.equal(origin('server.dataDir')?.value, join(folder, 'data'))
  assert.match(withOrigin, /jobs\.docs\.retention\.last = 3 +# .*holdfast\.yaml:7\n/)
})

test('without any configuration the defaults are shown', async () => {
  const env = { HOME: folder, XDG_CONFIG_HOME: folder }
  const loaded = await loadConfig({ cwd: tmpdir(), env, parseStorageUrl })
  assert.match(await showConfig(loaded), /listen: 127\.0\.0\.1:3000/)
})

for (const format of ['yaml', 'json', 'toml'] as const) {
  test(`an exported ${format} file loads to the same settings once the variables it names are set`, async () => {
    const loaded = await load('holdfast.yaml')
    const { text, placeholders } = await exportConfig(loaded, { format })
    assertNoSecret(text)
    assert.deepEqual(placeholders, [
      { key: 'vaults.off-site.storage.accessKeyId', variable: 'HOLDFAST_VAULTS__OFF_SITE__STORAGE__ACCESS_KEY_ID' },
      { key: 'vaults.off-site.password', variable: 'HOLDFAST_VAULTS__OFF_SITE__PASSWORD' },
      { key: 'server.catalogue', variable: 'HOLDFAST_SERVER__CATALOGUE' },
    ])
    const name = `exported.${format}`
    await writeFile(join(folder, name), text, { mode: 0o600 })
    const again = await load(name, {
      HOLDFAST_VAULTS__OFF_SITE__STORAGE__ACCESS_KEY_ID: 'literal-key-id',
      HOLDFAST_VAULTS__OFF_SITE__PASSWORD: 'literal-password',
      HOLDFAST_SERVER__CATALOGUE: 'postgres://holdfast:db-password@db/holdfast',
    })
    assert.equal(await again.settings.vaults['off-site']?.password?.read(), 'literal-password')
    const shape = (settings: LoadedConfig['settings']) =>
      JSON.stringify(settings, (_, value: unknown) => value).replaceAll(/\[secret[^\]]*\]/g, 'S')
    assert.deepEqual(JSON.parse(shape(again.settings)), JSON.parse(shape(loaded.settings)))
  })
}

test('secrets can be exported encrypted', async () => {
  const { text, placeholders } = await exportConfig(await load('holdfast.yaml'), {
    encrypt: { passphrase: 'for export', kdf: 'scrypt' },
  })
  assertNoSecret(text)
  assert.deepEqual(placeholders, [])
  await writeFile(join(folder, 'encrypted.yaml'), text)
  const { settings, warnings } = await load('encrypted.yaml', { HOLDFAST_SECRET_PASSPHRASE: 'for export' })
  assert.equal(await settings.vaults['off-site']?.password?.read(), 'literal-password')
  assert.equal(settings.server.catalogue, 'postgres://holdfast:db-password@db/holdfast')
  assert.deepEqual(warnings, [])
})

test('a job file is imported into the normal form, with its paths and references as they were', async () => {
  await writeFile(
    join(folder, 'jobs.json'),
    JSON.stringify({
      s3: { bucket: 'b' },
      encryption: 'literal-password',
      jobs: [{ name: 'a', path: './a', retentionCount: 2 }],
    }),
  )
  const { text, placeholders } = await importConfig(join(folder, 'jobs.json'), {})
  assertNoSecret(text)
  assert.equal(
    text,
    `version: 1
vaults:
  s3:
    format: archive
    storage:
      type: s3
      bucket: b
    encryption:
      type: aes-256-gcm
      password: \${env:HOLDFAST_VAULTS__S3__ENCRYPTION__PASSWORD}
jobs:
  a:
    vaults:
      - s3
    source:
      type: files
      paths:
        - ./a
    retention:
      last: 2
`,
  )
  assert.equal(placeholders.length, 1)
})

test('importing keeps profiles, and refuses what is not valid', async () => {
  const { text } = await importConfig(join(folder, 'holdfast.yaml'), {}, { format: 'toml' })
  assertNoSecret(text)
  assert.match(text, /HOLDFAST_PROFILES__DEV__VAULTS__OFF_SITE__PASSWORD/)
  await writeFile(join(folder, 'bad.yaml'), 'jobs: { a: { source: { type: files, paths: [x] }, vaults: [nowhere] } }\n')
  await assert.rejects(importConfig(join(folder, 'bad.yaml'), {}), (error) => isAppError(error, 'config.invalid'))
})

test('the JSON Schema describes every key, with secrets as texts and profiles as parts', () => {
  const schema = configJsonSchema() as { properties: Record<string, unknown> }
  const text = JSON.stringify(schema)
  for (const key of ['passwordFile', 'secretAccessKeyCommand', 'restoreTest', 'replica', 'knownHosts']) {
    assert.equal(text.includes(`"${key}"`), key !== 'replica', key)
  }
  assert.match(text, /"password":\{"description":"Opens the vault\.","type":"string"\}/)
  const profile = (schema.properties['profiles'] as { additionalProperties: object }).additionalProperties
  assert.ok(!JSON.stringify(profile).includes('"required":['))
  assert.ok(JSON.stringify(profile).includes('"extends"'))
  assert.ok(JSON.stringify(schema.properties['jobs']).includes('"required":['))
})

test('what is no character of YAML is written so that every reader takes it', async () => {
  const tree = { jobs: { a: { description: 'odd \u0081 and \u007f, "quoted"', 'k\u0090': 'plain' } } }
  const text = await yamlText(tree)
  // oxlint-disable-next-line no-control-regex
  assert.doesNotMatch(text, /[\u007f-\u0084\u0086-\u009f]/)
  assert.deepEqual((await import('yaml')).parse(text), tree)
})
