import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, globSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { COMMANDS } from '../../src/cli/commands.ts'
import { ERRORS } from '../../src/base/errors.ts'
import { scratch } from '../support/holdfast.ts'

const root = join(import.meta.dirname, '../..')
const documents = globSync(['*.md', 'docs/**/*.md'], { cwd: root })
const read = (file: string): string => readFileSync(join(root, file), 'utf8')

for (const guide of ['files', 'repositories', 'api'])
  test(`the commands of the guide to ${guide} work, in their order`, (t) => {
    const dir = scratch(t, 'guide')
    mkdirSync(join(dir, 'bin'))
    mkdirSync(join(dir, 'documents'))
    writeFileSync(join(dir, 'documents/letter.txt'), 'dear all')
    symlinkSync(join(root, 'holdfast'), join(dir, 'bin/holdfast'))
    const env = {
      ...process.env,
      HOME: dir,
      XDG_DATA_HOME: join(dir, 'data'),
      PATH: `${join(dir, 'bin')}:${process.env['PATH'] ?? ''}`,
    }
    const blocks = [...read(`docs/guides/${guide}.md`).matchAll(/```sh\n([^]*?)```/g)].map((match) => match[1] ?? '')
    const commands = blocks.flatMap((block) => block.trim().split('\n'))
    assert.ok(commands.length >= 8)
    for (const command of commands) {
      try {
        execFileSync('sh', ['-c', command], { cwd: dir, env, stdio: 'pipe', encoding: 'utf8' })
      } catch (error) {
        assert.fail(`${command}\n${(error as { stderr?: string }).stderr ?? String(error)}`)
      }
    }
  })

test('every command that a document names exists', () => {
  const known = new Set(COMMANDS.flatMap(({ name, aliases = [] }) => [name, ...aliases]))
  // The formats quote texts that are hashed, which begin with the name too.
  const named = documents
    .filter((file) => !file.startsWith('docs/formats'))
    .flatMap((file) =>
      [...read(file).matchAll(/(?:^|[`$ ])(?:\.\/)?holdfast ([a-z][a-z0-9-]*)/gm)].map(
        (match) => [file, match[1] ?? ''] as const,
      ),
    )
  assert.ok(named.length > 20)
  assert.deepEqual(
    named.filter(([, name]) => !known.has(name) && !['server', 'connect'].includes(name)),
    [],
  )
})

test('links between documents lead somewhere', () => {
  const broken = documents.flatMap((file) =>
    [...read(file).matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)]
      .map((match) => match[1] ?? '')
      .filter((target) => !existsSync(join(root, dirname(file), target)))
      .map((target) => `${file} → ${target}`),
  )
  assert.deepEqual(broken, [])
})

test('the exit codes of the error table are those that the guide explains', () => {
  const explained = new Set(
    [...read('docs/guides/trouble.md').matchAll(/^\| (\d+) \|/gm)].map((match) => Number(match[1])),
  )
  const used = new Set(Object.values(ERRORS).map(({ exit }) => exit))
  assert.deepEqual(
    [...used].filter((code) => !explained.has(code)),
    [],
  )
})
