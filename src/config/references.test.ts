import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { inspect } from 'node:util'
import { isAppError } from '../base/errors.ts'
import { parseStorageUrl } from '../storage/open.ts'
import { loadConfig } from './load.ts'
import { follow, partsOf, splitCommand, unknownKinds } from './references.ts'
import { encryptSecret } from './secret-box.ts'

const base = await mkdtemp(join(tmpdir(), 'holdfast-references-'))
after(() => rm(base, { recursive: true }))
await writeFile(join(base, 'secret'), 'from the file\n\n')
await writeFile(join(base, 'passphrase'), 'pass phrase\n')
await writeFile(join(base, 'say.sh'), 'echo "$1|$2|$SHOUT"; echo hidden-in-stderr >&2; exit ${3:-0}\n')

const env = { PATH: process.env['PATH'], WHO: 'world', SHOUT: 'loud' }
const read = (text: string, more: Record<string, string> = {}) => follow(text, { env: { ...env, ...more }, base })

test('references are followed alone and inside a text', async () => {
  assert.equal(await read('hello ${env:WHO}, ${env:WHO}!'), 'hello world, world!')
  assert.equal(await read('${file:secret}'), 'from the file\n')
  assert.equal(await read('<${file:./secret}>'), '<from the file\n>')
  assert.equal(await read(`\${cmd:sh say.sh "two words" 'a } brace'}`), 'two words|a } brace|loud')
})

test('a dollar sign doubled is a literal, and what the shell writes stays as it is', async () => {
  assert.equal(await read('$${env:WHO} $5 ${HOME} ${X:-y} ${x:-y}'), '${env:WHO} $5 ${HOME} ${X:-y} ${x:-y}')
  assert.deepEqual(unknownKinds('${evn:A} ${x:-y} $${zzz:q} ${env:A}'), ['evn'])
  assert.deepEqual(partsOf('plain'), ['plain'])
})

test('what a reference gives is not looked at for further references', async () => {
  assert.equal(await read('${env:A}', { A: '${env:WHO}' }), '${env:WHO}')
})

test('encrypted values open with the passphrase, its file or the key file of the environment', async () => {
  const token = encryptSecret('opened', { passphrase: 'pass phrase', kdf: 'scrypt' })
  assert.equal(await read(token, { HOLDFAST_SECRET_PASSPHRASE: 'pass phrase' }), 'opened')
  assert.equal(await read(`a ${token} b`, { HOLDFAST_SECRET_PASSPHRASE_FILE: 'passphrase' }), 'a opened b')
  assert.equal(await read(`a\${${token}}b`, { HOLDFAST_SECRET_PASSPHRASE: 'pass phrase' }), 'aopenedb')
  const byFile = encryptSecret('by file', { keyFile: Buffer.from('from the file\n\n'), kdf: 'scrypt' })
  assert.equal(await read(byFile, { HOLDFAST_SECRET_KEY_FILE: 'secret' }), 'by file')
  await assert.rejects(read(token), /needs a passphrase/)
  await assert.rejects(read(token, { HOLDFAST_SECRET_PASSPHRASE: 'other' }), /wrong passphrase/)
})

test('a command line is split into words by quotes, without a shell', () => {
  assert.deepEqual(splitCommand(String.raw`pass show "a b" 'c "d"' e\ f "g\"h" $HOME ""`), [
    'pass',
    'show',
    'a b',
    'c "d"',
    'e f',
    'g"h',
    '$HOME',
    '',
  ])
})

test('what cannot be followed says why and shows nothing of what it read', async () => {
  const failures: [string, RegExp][] = [
    ['${env:NOT_THERE}', /NOT_THERE is not set/],
    ['${file:none}', /cannot read the file .*none: ENOENT/],
    ['${cmd:sh say.sh a b 3}', /the command sh ended with 3/],
    ['${cmd:no-such-program}', /could not be run: ENOENT/],
    ['${cmd:}', /names no program/],
  ]
  for (const [text, expected] of failures) {
    await assert.rejects(read(text), (error) => {
      assert.ok(isAppError(error, 'config.secret'), text)
      assert.match(error.message, expected)
      assert.ok(!error.message.includes('hidden-in-stderr'))
      return true
    })
  }
})

test('a secret is read when it is wanted: a configuration loads while its secrets are away', async () => {
  const file = join(base, 'late.yaml')
  await writeFile(
    file,
    `vaults:
  a: { storage: ./a, password: "\${env:LATE_PASSWORD}" }
  b: { storage: ./b, passwordFile: late }
  c: { storage: ./c, passwordCommand: "sh say.sh one two" }
  d: { storage: ./d, passwordCommand: [sh, say.sh, "a b"] }
  e: { storage: ./e, password: "pre-\${file:late}-post" }
`,
  )
  const { settings } = await loadConfig({ cwd: base, explicitPath: file, env, parseStorageUrl })
  const password = (name: string) => settings.vaults[name]?.password
  await assert.rejects(
    async () => password('a')?.read(),
    (error) => isAppError(error, 'config.secret'),
  )
  await assert.rejects(async () => password('b')?.read(), /cannot read the file/)
  await writeFile(join(base, 'late'), 'came-late\r\n')
  assert.equal(await password('b')?.read(), 'came-late')
  assert.equal(await password('c')?.read(), 'one|two|loud')
  assert.equal(await password('d')?.read(), 'a b||loud')
  assert.equal(await password('e')?.read(), 'pre-came-late-post')
  assert.deepEqual(
    ['a', 'b', 'c', 'e'].map((name) => password(name)?.origin),
    ['${env:LATE_PASSWORD}', '${file:late}', '${cmd:sh …}', '…${file:late}…'],
  )
  assert.ok(!inspect(settings, { depth: 9 }).includes('came-late'))
})

test('values that are no secrets are resolved when the file is loaded, and become what their key takes', async () => {
  const file = join(base, 'now.yaml')
  await writeFile(
    file,
    'notify: { m: { type: email, from: a@b, to: ["${env:WHO}@example.org"], smtp: { host: h, port: "${env:PORT}", secure: "${env:TLS}" } } }\n',
  )
  const { settings } = await loadConfig({
    cwd: base,
    explicitPath: file,
    env: { ...env, PORT: '2525', TLS: 'false' },
    parseStorageUrl,
  })
  const mail = settings.notify['m']
  assert.ok(mail?.type === 'email')
  assert.deepEqual([mail.to, mail.smtp.port, mail.smtp.secure], [['world@example.org'], 2525, false])
})
