/** Real age opens what we write, and we open what real age wrote: recipients and passphrases. */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { encodeSummed } from '../../src/archive/manifest.ts'
import { local } from '../../src/storage/local.ts'
import { contents, openVault, request, secret, wantedOf, type VaultOptions } from '../support/archive.ts'
import { listing } from '../support/file-tree.ts'
import { scratch } from '../support/holdfast.ts'
import { without } from '../support/odd-tree.ts'

const TREE = { one: 'first', two: Buffer.alloc(200_000, 'two ').toString(), é: 'third' }
const PASSWORD = 'correct horse battery staple'

/** A program that insists on a terminal gets one, and the passphrase whenever it asks. */
const TERMINAL = `
import os, pty, sys, time
pid, fd = pty.fork()
if pid == 0: os.execvp(sys.argv[1], sys.argv[1:])
seen = b''
while True:
    try: got = os.read(fd, 1024)
    except OSError: break
    if not got: break
    seen += got
    if b'assphrase' in seen and b':' in seen[seen.rindex(b'assphrase'):]:
        seen = b''
        time.sleep(0.1)
        os.write(fd, (os.environ['PASSPHRASE'] + '\\n').encode())
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))`

function withTerminal(...command: string[]): void {
  const env = { ...process.env, PASSPHRASE: PASSWORD }
  const { status, stderr } = spawnSync('python3', ['-c', TERMINAL, ...command], { env, timeout: 60_000 })
  assert.equal(status, 0, String(stderr))
}

interface Key {
  identity: string
  recipient: string
  file: string
}

function makeKey(dir: string, name: string): Key {
  const file = join(dir, name)
  execFileSync('age-keygen', ['-o', file], { stdio: 'ignore' })
  const identity = readFileSync(file, 'utf8')
  return { identity, recipient: /age1\w+/.exec(identity)?.[0] ?? '', file }
}

const recipients = (...keys: Key[]): VaultOptions => ({
  encryption: {
    type: 'age',
    recipients: keys.map(({ recipient }) => recipient),
    identity: secret(keys[0]?.identity ?? ''),
  },
})

test(
  'age opens an archive for each of its recipients, and we open it with an identity',
  { skip: without('age', 'age-keygen', 'zstd', 'tar') },
  async (t) => {
    const dir = scratch(t, 'age')
    const keys = [makeKey(dir, 'one.key'), makeKey(dir, 'two.key')]
    const vault = await openVault(local({ path: join(dir, 'vault') }), recipients(...keys))
    const { backup } = await vault.backup(request(TREE))
    assert.deepEqual(await contents(vault, backup.id), wantedOf(TREE))
    for (const [n, { file }] of keys.entries()) {
      const target = join(dir, `out${n}`)
      mkdirSync(target)
      execFileSync(
        'bash',
        ['-o', 'pipefail', '-c', `age -d -i ${file} ../vault/job/*.tar.zst.age | zstd -d | tar -xf -`],
        { cwd: target },
      )
      assert.deepEqual(listing(target), wantedOf(TREE))
    }
    const stranger = await openVault(local({ path: join(dir, 'vault') }), recipients(makeKey(dir, 'three.key')))
    await assert.rejects(contents(stranger, backup.id), { code: 'vault.wrong-password' })
    const nobody = await openVault(local({ path: join(dir, 'vault') }), {
      encryption: { type: 'age', recipients: [keys[0]?.recipient ?? ''] },
    })
    await assert.rejects(contents(nobody, backup.id), { code: 'vault.no-password' })
  },
)

test('age opens an archive by its passphrase', { skip: without('age', 'python3', 'zstd', 'tar') }, async (t) => {
  const dir = scratch(t, 'age')
  const options: VaultOptions = { encryption: { type: 'age', password: secret(PASSWORD) } }
  const vault = await openVault(local({ path: join(dir, 'vault') }), options)
  const { backup } = await vault.backup(request(TREE))
  assert.deepEqual(await contents(vault, backup.id), wantedOf(TREE))
  withTerminal('age', '-d', '-o', `${dir}/plain.tar.zst`, `${dir}/vault/job/2024-03-15_14-30-45_full.tar.zst.age`)
  const target = join(dir, 'out')
  mkdirSync(target)
  execFileSync('bash', ['-c', `zstd -dc ${dir}/plain.tar.zst | tar -xf -`], { cwd: target })
  assert.deepEqual(listing(target), wantedOf(TREE))
  const wrong = await openVault(local({ path: join(dir, 'vault') }), {
    encryption: { type: 'age', password: secret('wrong') },
  })
  await assert.rejects(contents(wrong, backup.id), { code: 'vault.wrong-password' })
})

/** Every `.age` file of the vault, opened and encrypted again by the program itself; the manifest is told. */
function encryptAgain(
  folder: string,
  decrypt: (from: string, to: string) => void,
  encrypt: (from: string, to: string) => void,
): void {
  const told = new Map<string, { size: number; sha256: string }>()
  for (const name of readdirSync(folder).filter((name) => name.endsWith('.age'))) {
    const file = join(folder, name)
    decrypt(file, `${file}.plain`)
    execFileSync('rm', [file])
    encrypt(`${file}.plain`, file)
    execFileSync('rm', [`${file}.plain`])
    const bytes = readFileSync(file)
    told.set(name, { size: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') })
  }
  const manifest = join(folder, readdirSync(folder).find((name) => name.endsWith('.manifest.json')) ?? '')
  const { sum: _, ...value } = JSON.parse(readFileSync(manifest, 'utf8')) as {
    sum: string
    payload: { parts: { name: string }[] }
    index: { name: string }
  }
  const [part] = value.payload.parts
  const next = { ...part, ...told.get(part?.name ?? '') }
  writeFileSync(
    manifest,
    encodeSummed({
      ...value,
      payload: { ...value.payload, parts: [next], size: next.size },
      index: { ...value.index, ...told.get(value.index.name) },
    }),
  )
}

test(
  'we read what age encrypted, for recipients and by passphrase',
  { skip: without('age', 'age-keygen', 'python3') },
  async (t) => {
    const dir = scratch(t, 'age')
    const key = makeKey(dir, 'key')
    const vault = await openVault(local({ path: join(dir, 'vault') }), recipients(key))
    const { backup } = await vault.backup(request(TREE))
    const decrypt = (from: string, to: string): void => void execFileSync('age', ['-d', '-i', key.file, '-o', to, from])
    encryptAgain(
      join(dir, 'vault/job'),
      decrypt,
      (from, to) => void execFileSync('age', ['-r', key.recipient, '-o', to, from]),
    )
    assert.deepEqual(await contents(vault, backup.id), wantedOf(TREE))
    assert.equal((await vault.verify(backup.id, 'V2')).ok, true)
    encryptAgain(join(dir, 'vault/job'), decrypt, (from, to) => withTerminal('age', '-p', '-o', to, from))
    const byPassphrase = await openVault(local({ path: join(dir, 'vault') }), {
      encryption: { type: 'age', password: secret(PASSWORD) },
    })
    assert.deepEqual(await contents(byPassphrase, backup.id), wantedOf(TREE))
  },
)
