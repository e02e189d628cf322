/** Repositories on the command line: what restic has words for, and what a damaged one tells. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { scratch } from '../support/file-tree.ts'
import { holdfast, summary } from '../support/holdfast.ts'
import { noRestic, restic, RESTIC_PASSWORD, RESTICS } from '../support/restic.ts'

const env = { HOLDFAST_PASSWORD: RESTIC_PASSWORD }

test('a repository that cuts content as another one takes copies of the same chunks', async (t) => {
  const dir = scratch(t)
  const { run } = holdfast(dir)
  const [source, first, second, third] = ['source', 'first', 'second', 'third'].map((name) => join(dir, name)) as [
    string,
    string,
    string,
    string,
  ]
  mkdirSync(source)
  writeFileSync(join(source, 'large'), randomBytes(6_000_000))
  assert.equal((await run(['init', first, '--format', 'repository'], { env })).code, 0)
  const other = join(dir, 'password')
  writeFileSync(other, 'another one', { mode: 0o600 })
  const words = ['--format', 'repository', '--copy-chunker-params', first]
  // The new one may have a password of its own.
  const made = await run(['init', second, ...words, '--password-file', other, '--from-password-file', join(dir, 'p')], {
    env,
  })
  assert.equal(made.code, 2, 'a password file that is missing is told')
  writeFileSync(join(dir, 'p'), RESTIC_PASSWORD, { mode: 0o600 })
  for (const place of [second, third]) {
    const own = place === second ? ['--password-file', other, '--from-password-file', join(dir, 'p')] : []
    const done = await run(['init', place, ...(place === second ? words : words.slice(0, 2)), ...own], { env })
    assert.equal(done.code, 0, done.stderr)
  }
  for (const [place, options] of [
    [first, { env }],
    [second, { env: { HOLDFAST_PASSWORD: 'another one' } }],
    [third, { env }],
  ] as const)
    assert.equal((await run(['backup', source, '--to', place], options)).code, 0)
  const data = new Map<string, string>()
  for (const [place, password] of [
    [first, RESTIC_PASSWORD],
    [second, 'another one'],
    [third, RESTIC_PASSWORD],
  ] as const)
    if (noRestic === false) {
      writeFileSync(join(dir, 'key'), password)
      const program = RESTICS.at(-1) as (typeof RESTICS)[number]
      data.set(
        place,
        restic(program, place, '--password-file', join(dir, 'key'), 'list', 'blobs').split('\n').sort().join(),
      )
    }
  const chunks = (place: string): string => (data.get(place) ?? '').replaceAll(/tree \w+/g, '')
  assert.equal(chunks(first), chunks(second))
  if (noRestic === false) assert.notEqual(chunks(first), chunks(third))
  const wrong = await run(['init', join(dir, 'x'), '--copy-chunker-params', first], { env })
  assert.equal(wrong.code, 2)
})

test('a snapshot that cannot be read is told, and the others are listed', async (t) => {
  const dir = scratch(t)
  const { run, json } = holdfast(dir)
  const [source, vault] = [join(dir, 'source'), join(dir, 'vault')]
  mkdirSync(source)
  for (const content of ['one', 'two']) {
    writeFileSync(join(source, 'file'), content)
    const done = await run(['backup', source, '--to', vault, '--format', 'repository', '--json'], { env })
    assert.equal(summary(done.stdout)['status'], 'success')
  }
  const [victim = ''] = readdirSync(join(vault, 'snapshots'))
  const file = join(vault, 'snapshots', victim)
  const bytes = readFileSync(file)
  bytes[40] = (bytes[40] as number) ^ 1
  chmodSync(file, 0o600)
  writeFileSync(file, bytes)
  const listed = await run(['list', '--vault', vault], { env })
  assert.equal(listed.code, 0)
  assert.match(listed.stderr, new RegExp(`warning: snapshots/${victim}`))
  const left = await json<{ id: string }[]>(['list', '--vault', vault], { env })
  assert.equal(left.length, 1)
  assert.notEqual(left[0]?.id, victim)
})

test('backups that need what is lost are made again without it', async (t) => {
  const dir = scratch(t)
  const { run, json } = holdfast(dir)
  const [source, vault, out] = [join(dir, 'source'), join(dir, 'vault'), join(dir, 'out')]
  mkdirSync(join(source, 'folder'), { recursive: true })
  const packs = (): string[] =>
    readdirSync(join(vault, 'data'), { recursive: true, encoding: 'utf8' }).filter((path) => path.includes('/'))
  writeFileSync(join(source, 'folder/stays'), 'this stays')
  const backup = async (): Promise<void> => {
    assert.equal((await run(['backup', source, '--to', vault, '--format', 'repository'], { env })).code, 0)
  }
  await backup()
  const before = new Set(packs())
  writeFileSync(join(source, 'folder/goes'), randomBytes(300_000))
  await backup()
  const later = packs().filter((path) => !before.has(path))
  const [largest = ''] = later.sort(
    (a, b) => statSync(join(vault, 'data', b)).size - statSync(join(vault, 'data', a)).size,
  )
  rmSync(join(vault, 'data', largest))
  assert.equal((await run(['repair', '--vault', vault, '--forget'], { env })).code, 2)
  assert.equal((await run(['repair', '--vault', vault], { env })).code, 4)
  const repaired = await run(['repair', '--vault', vault, '--backups', '--forget'], { env })
  assert.equal(repaired.code, 0, repaired.stderr)
  assert.match(repaired.stdout, /left out: \w+:\/.*folder\/goes/)
  assert.equal((await json<unknown[]>(['list', '--vault', vault], { env })).length, 2)
  assert.equal((await run(['check', '--read-data', '--vault', vault], { env })).code, 0)
  assert.equal((await run(['restore', 'latest', '--vault', vault, '--to', out], { env })).code, 0)
  assert.deepEqual(readdirSync(join(out, source, 'folder')), ['stays'])
  for (const program of noRestic === false ? RESTICS : []) restic(program, vault, 'check', '--read-data')
})
